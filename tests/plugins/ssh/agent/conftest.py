"""A host of its own for the agent: a home, a runtime folder, a server that it reaches; everything as real processes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, until
from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import WorkflowId
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_ssh.agent.asked import PROTOCOL
from torc_ssh.agent.processes import MARK, environment, living, process_start
from torc_ssh.framing import answer, new_marker

TORC = [sys.executable, "-m", "torc_core"]


def alive(pid: int) -> bool:
    return process_start(pid) is not None


class Machine:
    """A host that is asked as over SSH, but without it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        runtime = root / "run"
        for folder in (self.home, runtime):
            folder.mkdir(mode=0o700)
        self.env = {
            "HOME": str(self.home), "USER": "ada", "XDG_RUNTIME_DIR": str(runtime),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TORC_TEST_HOST": str(root),
        }  # fmt: skip

    def popen(self, request: Mapping[str, Any], marker: str) -> subprocess.Popen[bytes]:
        """Start the agent with a request."""
        process = subprocess.Popen(
            [*TORC, "_worker-agent"], env=self.env, cwd=self.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"protocol": PROTOCOL, "marker": marker, **request}).encode() + b"\n")
        process.stdin.close()
        process.stdin = None
        return process

    def raw(self, **request: Any) -> bytes:
        """What comes after the marker."""
        marker = new_marker()
        process = self.popen(request, marker)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        return answer(out, marker)

    def ask(self, **request: Any) -> dict[str, Any]:
        """The object that is answered."""
        return dict(json.loads(self.raw(**request)))

    def archive(self, **request: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The head of an answer, and the files of the archive that follows it."""
        head, _, rest = self.raw(action="logs", **request).partition(b"\n")
        if not rest:
            return json.loads(head), {}
        with tarfile.open(fileobj=io.BytesIO(rest), mode="r:gz") as packed:
            return json.loads(head), {
                one.name: file.read() for one in packed if (file := packed.extractfile(one)) is not None
            }

    def processes(self) -> list[int]:
        """What workers and their jobs run here now."""
        ours = f"TORC_TEST_HOST={self.env['TORC_TEST_HOST']}".encode()
        return [
            pid
            for pid in living()
            if ours in (found := environment(pid))
            and any(one.startswith(f"{MARK}=".encode()) for one in found)
        ]

    def kill_all(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A host; whatever workers run on it are killed in the end."""
    host = Machine(tmp_path)
    yield host
    host.kill_all()


class Centre:
    """A server in a home of its own, and its store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        runtime = root / "run"
        runtime.mkdir(mode=0o700)
        self.env = {
            "HOME": str(root), "USER": "ada", "XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": f"{root}/.config",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [*TORC, "server", "run", "--database", str(root / "torc.db"), "--port", "0", "--auth", "credentials"],
            env=self.env, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.url = self.process.stdout.readline().partition("=")[2].strip()
        config = Config.load(environ=self.env).over({"client.api_url": (self.url, "--url")})
        self.store: Store = Host.load(config).open_store(config.store_url, SystemClock())

    def workflow(self, *commands: str, **more: Any) -> int:
        """Make a workflow of these commands, ready to run; its id."""
        spec = {
            "name": "w",
            "resource_requirements": [{"name": "small", "num_cpus": 1, "memory": "1m", "runtime": "PT1M"}],
            "jobs": [
                {"name": f"j{number}", "command": command, "resource_requirements": "small"}
                for number, command in enumerate(commands)
            ],
            **more,
        }
        (self.root / "w.json").write_text(json.dumps(spec))
        done = subprocess.run(
            [*TORC, "--url", self.url, "-f", "json", "create", "w.json"], env=self.env, cwd=self.root,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        from torc_core.model import Initialize

        number = int(json.loads(done.stdout)["workflow_id"])
        self.store.initialize(WorkflowId(number), Initialize())
        return number

    def about(self, workflow: int) -> dict[str, Any]:
        """Which worker a request is about."""
        return {"store_id": self.store.server_id, "workflow": workflow, "output_dir": "torc_output"}

    def start(self, workflow: int, **more: Any) -> dict[str, Any]:
        """A request to start a worker."""
        return {
            "action": "start", **self.about(workflow), "url": self.url, "worker": "alice@here", "start_id": new_marker(),
            "key": self.store.runner_key(WorkflowId(workflow)), "num_cpus": 2, "memory_gb": 1, "num_gpus": 0, **more,
        }  # fmt: skip

    def close(self) -> None:
        self.store.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A server for the tests of a module."""
    one = Centre(tmp_path_factory.mktemp("centre"))
    yield one
    one.close()


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    """Waits for something to be true."""
    return until


@pytest.fixture(name="alive")
def _alive() -> Callable[[int], bool]:
    """Whether a process lives."""
    return alive
