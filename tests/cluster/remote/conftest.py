"""What tests of `torc remote` share: a desk with a home of its own, from which hosts are reached, and a server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hosts import SshHosts

from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import JobStatus, Totals, WorkflowId
from torc_core.protocols import Store
from torc_core.system import SystemClock

TORC = [sys.executable, "-m", "torc_core"]
BESIDE = str(Path(sys.executable).parent / "torc")
PATIENCE = 120.0


def until(seen: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


class Desk:
    """An account of this machine, and what it has started."""

    def __init__(self, hosts: SshHosts, root: Path) -> None:
        self.hosts = hosts
        self.root = root
        ssh, runtime = root / ".ssh", root / "run"
        for folder in (ssh, runtime):
            folder.mkdir(mode=0o700, parents=True)
        for host in hosts.hosts.values():
            (host.folder / "root").chmod(0o711)  # the interpreter may lie below the home of root
        self.known_hosts = ssh / "known_hosts"
        self.known_hosts.write_text(hosts.known_hosts.read_text())
        self.config = ssh / "config"
        self.configure()
        self.env = {
            "HOME": str(root), "USER": "ada", "XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": f"{root}/.config",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8",
            "TORC_CLIENT__REMOTE__SSH_CONFIG": str(self.config),
        }  # fmt: skip
        self.url: str | None = None
        self._server: subprocess.Popen[str] | None = None

    def configure(self, more: str = "") -> None:
        """Write `~/.ssh/config`."""
        self.config.write_text(self.hosts.configuration(self.known_hosts, more))

    def serve(self, *words: str) -> str:
        """Start a server that hosts reach; its address for them."""
        command = [
            *TORC,
            "server",
            "run",
            "--database",
            str(self.root / "torc.db"),
            "--port",
            "0",
            "--auth",
            "credentials",
        ]
        words = words or ("--host", self.hosts.address)
        self._server = subprocess.Popen(
            [*command, *words], env=self.env, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._server.stdout is not None
        self._server.stdout.readline()
        self.url = self._server.stdout.readline().partition("=")[2].strip()
        assert self.url, "the server did not start"
        self.env["TORC_API_URL"] = self.url
        return self.url

    def popen(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start `torc` with these words."""
        return subprocess.Popen(
            [*TORC, *words], env={**self.env, **more.pop("env", {})}, cwd=self.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
        )  # fmt: skip

    def torc(self, *words: str, code: int | Sequence[int] = 0, **env: str) -> str:
        """Run `torc` to its end; what it printed, on both streams if it is to fail."""
        process = self.popen(*words, env=env)
        out, err = process.communicate(timeout=PATIENCE)
        codes = [code] if isinstance(code, int) else list(code)
        assert process.returncode in codes, f"{words}: {process.returncode}\n{out}\n{err}"
        return out if codes == [0] else out + err

    def answer(self, *words: str, code: int | Sequence[int] = 0, **env: str) -> Any:
        """What `torc -f json` answers."""
        process = self.popen("-f", "json", *words, env=env)
        out, err = process.communicate(timeout=PATIENCE)
        codes = [code] if isinstance(code, int) else list(code)
        assert process.returncode in codes, f"{words}: {process.returncode}\n{out}\n{err}"
        return json.loads(out)

    def workflow(self, *commands: str, **more: Any) -> int:
        """Make a workflow of these commands; its id."""
        jobs = [
            {"name": f"j{number:05}", "command": command, "resource_requirements": "small"}
            for number, command in enumerate(commands)
        ]
        spec = {
            "name": "w", "jobs": jobs,
            "resource_requirements": [{"name": "small", "num_cpus": 1, "memory": "1m", "runtime": "PT1M"}], **more,
        }  # fmt: skip
        (self.root / "w.json").write_text(json.dumps(spec))
        return int(self.answer("create", "w.json")["workflow_id"])

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, as a command of the desk would open it."""
        config = Config.load(environ=self.env, system_file=Path("/none"), project_file=Path("/none"))
        store = Host.load(config).open_store(config.store_url, SystemClock())
        try:
            yield store
        finally:
            store.close()

    def totals(self, workflow: int) -> Totals:
        """How a workflow stands."""
        with self.store() as store:
            return store.totals([WorkflowId(workflow)])[0]

    def counts(self, workflow: int) -> dict[str, int]:
        """Jobs by their status."""
        found = self.totals(workflow).counts
        return {status.label: found.get(status, 0) for status in JobStatus}

    def until_complete(self, workflow: int, seconds: float = PATIENCE) -> None:
        """Wait until a workflow is complete."""
        until(lambda: self.totals(workflow).complete, seconds)

    def workers_on(self, host: str, workflow: int | None = None) -> list[int]:
        """Numbers of the worker processes on a host, as it sees them."""
        lines = self.hosts[host].run("ps", "-ww", "-eo", "pid=,args=").splitlines()
        found = []
        for line in lines:
            words = line.split()
            if "torc_ssh.agent.worker" in words and "bash" not in words[1]:
                number = words[words.index("torc_ssh.agent.worker") + 2]
                if workflow is None or number == str(workflow):
                    found.append(int(words[0]))
        return found

    def close(self) -> None:
        """End everything that was started, here and on the hosts."""
        for name, host in self.hosts.hosts.items():
            if host.machine.alive and name != "mute" and not host.is_frozen:
                host.run("pkill", "-9", "-u", "dev", check=False)
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._server.communicate(timeout=20)
            if self._server.poll() is None:
                self._server.kill()
                self._server.communicate()
        for pid in _of(self.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for name, host in self.hosts.hosts.items():
            if host.machine.alive and name != "mute":
                host.run("sh", "-c", "rm -rf /home/dev/* /home/dev/.local /tmp/torc-*", check=False)


def _of(root: Path) -> list[int]:
    """Processes of this machine that were started from a desk: detached servers and tunnels."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"HOME={root}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


@pytest.fixture
def bare(ssh_hosts: SshHosts) -> Iterator[Desk]:
    """A desk without a server."""
    root = Path(tempfile.mkdtemp(prefix="desk-", dir="/tmp"))
    one = Desk(ssh_hosts, root)
    yield one
    one.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def desk(bare: Desk) -> Desk:
    """A desk whose server the hosts reach, and whose torc they see."""
    bare.env["TORC_CLIENT__REMOTE__TORC_COMMAND"] = BESIDE
    bare.serve()
    return bare


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    """Waits for something to be true."""
    return until
