"""`torc` in this process, on a home and a database of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import torc_http
import torc_sqlite
from torc_core import loading
from torc_core.config import Config
from torc_core.host import Host
from torc_core.main import main
from torc_core.model import (
    Assignment,
    Ending,
    Fingerprint,
    Initialize,
    InputKind,
    JobStatus,
    JobUsage,
    NewNode,
    Node,
    Offer,
    Plan,
    PlannedAction,
    PlannedFile,
    PlannedHandler,
    PlannedInput,
    PlannedJob,
    PlannedRequirement,
    PlannedUserData,
    PlannedWorkflow,
    Resources,
    Source,
    Turn,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        assert self.out, self.err
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Standard output as CSV."""
        return list(csv.DictReader(io.StringIO(self.out)))


Torc = Callable[..., Ran]
POINTS = entry_points(group=loading.GROUP)
"""What is installed; to look for it takes longer than most commands do."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh account: no configuration, no database, its own working directory."""
    for name in [name for name in os.environ if name.startswith(("TORC_", "XDG_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USER", "ana")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(loading, "entry_points", lambda group: POINTS)
    time.tzset()
    umask = os.umask(0o022)
    yield folder
    os.umask(umask)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def torc(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Torc:
    """Run a command line and see what it did: no terminal, nothing on standard input."""

    def run(*words: str) -> Ran:
        capfdbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Ran(code=code, out=out.decode(errors="replace"), err=err.decode())

    return run


@contextmanager
def opened() -> Iterator[Store]:
    """The user's default store."""
    config = Config.load()
    store = Host.of({"sqlite": torc_sqlite, "http": torc_http}, config).open_store(
        config.store_url, SystemClock()
    )
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def serve(home: Path) -> Callable[[], AbstractContextManager[str]]:
    """Serves the user's default store as long as a block lasts, and gives the address; everybody is its owner."""
    from torc_http.running import Running
    from torc_http.serving.listening import listen

    @contextmanager
    def served(port: int = 0) -> Iterator[str]:
        with opened() as store:
            running = Running(store, SystemClock(), listen(port=port, unix=False))
            running.start()
            try:
                yield f"http://127.0.0.1:{running.doors.port}/torc-service/v1"
            finally:
                running.close()

    return served


@pytest.fixture
def url(serve: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Address of a server with the user's default store."""
    with serve() as address:
        yield address


@pytest.fixture
def store_of_the_user(home: Path) -> Callable[[], AbstractContextManager[Store]]:
    """The store that commands use, to be opened between two of them."""
    return opened


@pytest.fixture
def diamond(home: Path) -> WorkflowId:
    """A workflow in the middle of its run: 1 completed, 2 failed, 3 running, 4 canceled because of 2."""
    (home / "raw.txt").write_text("raw")
    with opened() as store:
        workflow = store.create(diamond_plan(), "ana").id
        files = store.required_files(workflow)
        prints = [Fingerprint(file=file.id, st_mtime=1.0, size=3) for file in files]
        store.initialize(workflow, Initialize(fingerprints=prints))
        me = NewNode(
            workflow_id=workflow,
            epoch="0b7c2c0a-0000-4000-8000-000000000001",
            hostname="kl3",
            pid=os.getpid(),
            boot_id="b",
            process_start=1,
            capacity=Resources(cpus=8, memory=2**40, gpus=0),
            output_dir=str(home / "torc_output"),
        )
        node = store.join(me)
        first = claimed(store, node, 1)
        store.turn(Turn(node=node.id, epoch=node.epoch, endings=[ending(node, first[0], 0)]))
        rest = {one.job.name: one for one in claimed(store, node, 2)}
        store.turn(Turn(node=node.id, epoch=node.epoch, endings=[ending(node, rest["left"], 3)]))
    return workflow


def claimed(store: Store, node: Node, number: int) -> Sequence[Assignment]:
    """Jobs started on a node."""
    offer = Offer(claim_id=f"0b7c2c0a-0000-4000-8000-00000000001{number}", free=[node.capacity])
    return store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer)).jobs


def ending(node: Node, one: Assignment, code: int) -> Ending:
    """How a job ended, after 90 seconds."""
    return Ending(
        job=one.job.id,
        run_id=one.job.run_id,
        attempt_id=one.job.attempt_id,
        lease=one.job.lease,
        status=JobStatus.FAILED if code else JobStatus.COMPLETED,
        return_code=code,
        reason="exit_code" if code else None,
        exec_minutes=1.5,
        completed_at=1_777_651_402_123,
        node=node.id,
        usage=JobUsage(peak_memory_bytes=1024**3, peak_cpu_percent=199.5),
    )


def diamond_plan() -> Plan:
    """Four jobs with files, user data, two requirements, a failure handler and an action."""
    return Plan(
        workflow=PlannedWorkflow(
            name="diamond", project="geometry", description="four\njobs", metadata={"a": [1]}
        ),
        files=[
            PlannedFile(name="raw", path="raw.txt"),
            PlannedFile(name="mid", path="mid.txt"),
            PlannedFile(name="final", path="final.txt"),
        ],
        user_data=[
            PlannedUserData(name="params", data={"n": 3}, has_data=True),
            PlannedUserData(name="summary", is_ephemeral=True),
        ],
        requirements=[
            PlannedRequirement(name="default"),
            PlannedRequirement(
                name="big", num_cpus=4, memory="2g", memory_bytes=2 * 1024**3, runtime="PT30M", runtime_s=1800
            ),
        ],
        handlers=[PlannedHandler(name="again", rules=[{"exit_codes": [3], "max_retries": 2}])],
        actions=[
            PlannedAction(
                trigger_type="on_jobs_complete",
                action_type="run_commands",
                config={"commands": ["true"]},
                jobs=[3],
            )
        ],
        groups=[[0], [1, 2]],
        inputs=[
            PlannedInput(kind=InputKind.FILE, items=[0]),
            PlannedInput(kind=InputKind.FILE, items=[1], group=0),
            PlannedInput(kind=InputKind.USER_DATA, items=[0]),
        ],
        jobs=[
            PlannedJob(
                name="prep", command="cat raw.txt > mid.txt", inputs=[0], output_files=[1], priority=5
            ),
            PlannedJob(
                name="left",
                command="echo left",
                groups=[(0, Source.FILE)],
                inputs=[1],
                num_blockers=1,
                label=None,
            ),
            PlannedJob(
                name="right",
                command="echo " + "right " * 20,
                groups=[(0, Source.EXPLICIT)],
                inputs=[2],
                num_blockers=1,
                requirement=1,
                env={"A": "1"},
                handler=0,
            ),
            PlannedJob(
                name="join",
                command="echo join",
                groups=[(1, Source.EXPLICIT)],
                num_blockers=2,
                output_files=[2],
                output_user_data=[1],
            ),
        ],
    )
