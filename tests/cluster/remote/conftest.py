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
from hosts import USER, SshHosts

from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import Initialize, JobStatus, RemoteWorker, Totals, WorkflowId
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing import plans

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
            "XDG_DATA_HOME": f"{root}/.local/share",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8",
            "TORC_CLIENT__REMOTE__SSH_CONFIG": str(self.config),
        }  # fmt: skip
        self.url: str | None = None
        self._server: subprocess.Popen[str] | None = None

    def configure(self, more: str = "") -> None:
        """Write `~/.ssh/config`."""
        self.config.write_text(self.hosts.configuration(self.known_hosts, more))

    def serve(self, *words: str, torc: Sequence[str] = TORC) -> str:
        """Start a server that hosts reach; its address for them."""
        command = [
            *torc,
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

    def prepared(self, command: str, *workers: str, jobs: int = 1) -> int:
        """Make a workflow with workers, ready to run, without a command for each step; its id."""
        with self.store() as store:
            number = store.create(plans.fan(jobs, command), "ada").id
            store.add([RemoteWorker(workflow_id=number, worker=one) for one in workers])
            store.initialize(number, Initialize())
        return number

    def cut_sessions(self, name: str) -> None:
        """End all SSH sessions of a host, those too that have not logged in yet; its sshd goes on."""
        self.hosts[name].run("pkill", "-KILL", "-f", "^sshd: [^/]", check=False)

    def end_workers(self, *names: str) -> None:
        """Kill what runs on hosts."""
        for name in names:
            self.hosts[name].run("pkill", "-9", "-u", "dev", "python", check=False)
            until(lambda name=name: not self.workers_on(name))  # type: ignore[misc]  # bound early

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, as a command of the desk would open it."""
        config = Config.load(environ=self.env, system_file=Path("/none"), project_file=Path("/none"))
        store = Host.load(config).open_store(config.store_url, SystemClock())
        try:
            yield store
        finally:
            store.close()

    def output(self, host: str) -> Path:
        """The usual output directory of workers on a host, as it is seen from here."""
        return Path(self.hosts[host].folder) / "home/dev/torc_output"

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

    def reset(self) -> None:
        """End what runs on the hosts, and make their accounts and this one as they were."""
        deadline = time.monotonic() + PATIENCE
        # NOTE: other tests may have hosts of their own on this machine, with the same accounts.
        spaces = {_space(host.machine.first) for host in self.hosts.hosts.values()} - {None}
        while pids := [pid for pid, about in _processes() if about.st_uid == USER and _space(pid) in spaces]:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, pids
        for host in self.hosts.hosts.values():
            # NOTE: nothing else: what the hosts see of this machine is mounted below their /tmp.
            for path in (*(host.folder / "home/dev").iterdir(), *(host.folder / "tmp").glob("*data")):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            for path in (host.folder / "tmp").glob("torc-*/*.lock"):
                path.unlink()
        self.known_hosts.write_text(self.hosts.known_hosts.read_text())
        self.configure()

    def close(self) -> None:
        """End everything that was started, here and on the hosts."""
        self.reset()
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._server.communicate(timeout=20)
            if self._server.poll() is None:
                self._server.kill()
                self._server.communicate()
        home = f"HOME={self.root}".encode()
        for pid, _ in _processes():
            with suppress(OSError):
                if home in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGTERM)  # detached servers and tunnels


def _processes() -> Iterator[tuple[int, os.stat_result]]:
    """All processes of this machine, those of the hosts among them, but for zombies."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(path / "exe"):
                yield int(path.name), path.stat()


def _space(pid: int | None) -> str | None:
    """Which numbers a process has: those of which machine; None: it is gone."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return None


@contextmanager
def desk_of(hosts: SshHosts) -> Iterator[Desk]:
    """A desk, and its home."""
    root = Path(tempfile.mkdtemp(prefix="desk-", dir="/tmp"))
    one = Desk(hosts, root)
    one.env["TORC_CLIENT__REMOTE__TORC_COMMAND"] = BESIDE
    yield one
    one.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def bare(ssh_hosts: SshHosts) -> Iterator[Desk]:
    """A desk without a server."""
    with desk_of(ssh_hosts) as one:
        yield one


@pytest.fixture(scope="session")
def served(ssh_cluster: SshHosts) -> Iterator[Desk]:
    """A desk whose server the hosts reach, for all tests."""
    with desk_of(ssh_cluster) as one:
        one.serve()
        yield one


@pytest.fixture
def desk(served: Desk, ssh_hosts: SshHosts) -> Iterator[Desk]:
    """The same, as it was at first before and after the test."""
    yield served
    served.reset()


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    """Waits for something to be true."""
    return until
