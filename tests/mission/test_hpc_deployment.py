"""The commands of the page "HPC Deployment Reference", in its order and as it has them, with this host's name.

They are run by an ordinary user: where the tests are run by root, in a user namespace in which root has another number.
What needs a batch system (salloc, scontrol) is tested where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.waiting import SOON

AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []

PROGRAMS = ("curl", "sqlite3", "tmux", "netstat", "lsof", "pgrep", "nc")


class Login:
    """A login node: a shell of one user, whose variables stay from one command to the next."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch" / "ada"
        self.scratch.mkdir(parents=True)
        (root / "projects/ada").mkdir(parents=True)
        runtime = root / "run"
        runtime.mkdir(mode=0o700)
        self.env = {
            "HOME": str(root), "USER": "ada", "LANG": "C.UTF-8", "TMUX_TMPDIR": str(runtime),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "XDG_RUNTIME_DIR": str(runtime), "TERM": "xterm", "SHELL": "/bin/bash",
        }  # fmt: skip
        self.servers: list[subprocess.Popen[str]] = []

    def sh(self, text: str, *, code: int = 0) -> str:
        """Run a command as the page has it, but for its folders; what it printed on stdout."""
        done = subprocess.run(
            [*AS_USER, "bash", "-c", self.here(text)], cwd=self.root, env=self.env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{text}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, text: str) -> str:
        """Start a server as the page has it; the address that it says."""
        process = subprocess.Popen(
            [*AS_USER, "bash", "-c", f"exec {self.here(text)}"], cwd=self.root, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.servers.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1].startswith("TORC_API_URL="), lines
        return lines[1].partition("=")[2].strip()

    def stop(self) -> None:
        """End the server that was started last."""
        process = self.servers.pop()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        process.stdout.close()

    def here(self, text: str) -> str:
        """The text with this test's folders in place of the cluster's."""
        return text.replace("/scratch/", f"{self.root}/scratch/").replace(
            "/projects/", f"{self.root}/projects/"
        )


@pytest.fixture
def login(tmp_path: Path) -> Iterator[Login]:
    """A login node on which nothing runs; it has the programs that the page uses."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        packages = {"netstat": "net-tools", "pgrep": "procps", "nc": "netcat-openbsd"}
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", *(packages.get(one, one) for one in missing)], check=True
        )
    node = Login(tmp_path)
    yield node
    for process in node.servers:
        process.kill()
        process.communicate()


def test_server_configuration_on_login_nodes(login: Login) -> None:
    port = free_port()
    login.serve(f"torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {port}")
    login.env["TORC_API_URL"] = f"http://{os.uname().nodename}:{port}/torc-service/v1"

    login.sh("torc workflows list")
    assert json.loads(login.sh('curl -s "$TORC_API_URL/workflows" | head -c 500'))["items"] == []
    assert os.uname().nodename.partition(".")[0] in login.sh("hostname -s")


def test_database_placement_and_backup(login: Login) -> None:
    login.sh("mkdir -p /scratch/$USER/torc")
    login.env["TORC_API_URL"] = login.serve(
        f"torc-server run --database /scratch/$USER/torc/workflows.db --host $(hostname -s) --port {free_port()}"
    )
    login.sh("torc workflows new --name kept")

    login.sh('sqlite3 /scratch/$USER/torc/workflows.db ".backup /projects/$USER/torc_backup.db"')

    found = login.sh("sqlite3 /projects/$USER/torc_backup.db 'SELECT name FROM workflow'")
    assert found.strip() == "kept"
    assert login.sh("torc -f json workflows list | head -c 2000")


def test_port_selection(login: Login) -> None:
    url = login.serve(
        "torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port $((8000 + $(id -u) % 1000 + $RANDOM % 900))"
    )
    port = int(url.split(":")[2].partition("/")[0])

    # NOTE: lsof sees processes of its own user namespace only.
    assert (
        "LISTEN"
        in subprocess.run(["lsof", "-i", f":{port}"], capture_output=True, text=True, check=True).stdout
    )
    told = subprocess.run(
        [*AS_USER, "torc-server", "run", "--database", str(login.root / "other.db"), "--port", str(port)],
        env=login.env, cwd=login.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 4
    assert f"port {port} is taken" in told.stderr
    assert "--port auto" in told.stderr


def test_a_port_is_found_by_itself(login: Login) -> None:
    url = login.serve("torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port auto")

    assert 8_000 <= int(url.split(":")[2].partition("/")[0]) <= 9_999


def test_running_in_tmux(login: Login) -> None:
    port = free_port()
    login.sh(
        f"tmux new -d -s torc 'torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {port}'"
    )
    try:
        deadline = time.monotonic() + 20
        while "is served" not in login.sh("torc-server status --database /scratch/$USER/torc.db || true"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "torc" in login.sh("tmux ls")
        assert login.sh("pgrep -f torc-server").strip()
    finally:
        login.sh("torc-server stop --database /scratch/$USER/torc.db")


def test_the_complete_configuration_example(login: Login) -> None:
    port, host = free_port(), os.uname().nodename
    folder = login.root / ".config/torc"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        login.here(
            f"""[server]
# Use internal hostname for compute node access
host = "{host}"
port = {port}
database = "/scratch/ada/torc/workflows.db"
threads = 4
completion_check_interval_secs = 30.0
log_level = "info"

[server.logging]
log_dir = "/scratch/ada/torc/logs"

[client]
# Match the server's internal hostname and port
api_url = "http://{host}:{port}/torc-service/v1"
format = "table"

[client.run]
output_dir = "/scratch/ada/torc/torc_output"
"""
        )
    )
    assert "warning" not in login.sh("torc config validate")

    assert login.serve("torc-server run") == f"http://{host}:{port}/torc-service/v1"
    (login.root / "one.yaml").write_text("name: one\njobs:\n  - name: a\n    command: echo done\n")
    login.sh("torc run one.yaml")

    (out,) = (login.scratch / "torc/torc_output/job_stdio").glob("*.o")
    assert out.read_text() == "done\n"
    assert login.sh("tail -100 /scratch/$USER/torc/logs/torc-server*.log")


def test_environment_variables(login: Login) -> None:
    login.env["TORC_API_URL"] = login.serve(
        f"torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {free_port()}"
    )
    login.env["TORC_CLIENT__RUN__OUTPUT_DIR"] = str(login.scratch / "torc_output")
    (login.root / "one.yaml").write_text("name: one\njobs:\n  - name: a\n    command: echo done\n")

    login.sh("torc run one.yaml")

    assert list((login.scratch / "torc_output/job_stdio").glob("*.o"))


def test_server_tuning_for_large_workflows(login: Login) -> None:
    login.env |= {"HOST": os.uname().nodename, "PORT": str(free_port())}

    url = login.serve(
        "torc-server run --threads 8 --database /scratch/$USER/torc.db --host $HOST --port $PORT"
    )

    assert login.sh(f"curl -s {url}/ping") == '{"status":"ok"}'


def test_troubleshooting_refused_connections(login: Login) -> None:
    port = free_port()
    login.serve(f"torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {port}")

    assert "LISTEN" in login.sh(f"netstat -tln | grep {port}")
    login.sh(f"nc -zv $(hostname) {port}")


def test_troubleshooting_a_locked_database(login: Login) -> None:
    login.serve(f"torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {free_port()}")
    began = time.monotonic()

    told = login.sh("torc-server run --database /scratch/$USER/torc.db --port 0 2>&1", code=4)

    assert time.monotonic() - began < SOON
    assert "is in use by process" in told


def test_troubleshooting_a_server_that_has_gone(login: Login) -> None:
    login.serve(
        f"torc-server run --database /scratch/$USER/torc.db --host $(hostname) --port {free_port()} --log-dir"
        " /scratch/$USER/torc/logs"
    )
    assert login.sh("pgrep -f torc-server").strip()
    login.stop()

    assert "stopping" in login.sh("tail -100 /scratch/$USER/torc/logs/torc-server*.log")
    assert "nobody serves" in login.sh("torc-server status --database /scratch/$USER/torc.db", code=1)
