"""What a check looks at: the records of a store, the ledger of its jobs, what its clients were told, what still lives."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

from torc_core.model import (
    ActionRun,
    Allocation,
    Event,
    Job,
    JobId,
    Node,
    Query,
    Requirement,
    RequirementId,
    Result,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.record import record
from torc_core.testing.checker import ledger

R = TypeVar("R")

Attempt = tuple[int, int, int]
"""Job, run, attempt."""


@record(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line of the ledger.

    Parameters
    ----------
    what
        `start`, `end`, or `effect`: something happened outside of torc, known by its `key`.
    ns
        Nanoseconds since the host's boot.
    alone
        At a start: no other attempt of the job was alive.
    gpus
        Devices that the job could see.
    """

    what: str
    workflow: int = 0
    job: int = 0
    run: int = 0
    attempt: int = 0
    host: str = ""
    pid: int = 0
    ns: int = 0
    alone: bool = True
    gpus: Sequence[str] = ()
    key: str = ""
    code: int = 0

    @property
    def of(self) -> Attempt:
        """The attempt it tells of."""
        return self.job, self.run, self.attempt


@record(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of a client, and what it was told.

    Parameters
    ----------
    name
        Of the store's method.
    answer
        None also when there was none.
    error
        Why there was no answer; None: there was one.
    """

    name: str
    args: tuple[Any, ...]
    answer: Any = None
    error: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A living process of a job."""

    pid: int
    mark: str

    @property
    def of(self) -> tuple[int, Attempt]:
        """Its workflow and its attempt."""
        workflow, job, run, attempt = (int(part) for part in self.mark.rsplit(".", 4)[1:])
        return workflow, (job, run, attempt)


@record(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a check may look at.

    Parameters
    ----------
    now
        The store's time, milliseconds since 1970.
    blockers
        Of each job.
    forced
        Jobs that a person had run again while they might still run: they may overlap (I1).
    """

    now: int = 0
    workflows: Sequence[Workflow] = ()
    jobs: Sequence[Job] = ()
    results: Sequence[Result] = ()
    nodes: Sequence[Node] = ()
    events: Sequence[Event] = ()
    action_runs: Sequence[ActionRun] = ()
    allocations: Sequence[Allocation] = ()
    requirements: Mapping[RequirementId, Requirement] = field(default_factory=dict)
    blockers: Mapping[JobId, Collection[JobId]] = field(default_factory=dict)
    marks: Sequence[Mark] = ()
    calls: Sequence[Call] = ()
    survivors: Sequence[Survivor] = ()
    forced: Collection[JobId] = ()


def gathered(store: Store, now: int, **more: Any) -> Evidence:
    """Everything that a store tells of all its workflows; `more` are the other fields."""
    workflows = list(store.find(Workflow, Query()).items)
    ids = [workflow.id for workflow in workflows]
    jobs = _all(store, Job, ids)
    needs = {one.id: one for one in _all(store, Requirement, ids)}
    return Evidence(
        now=now, workflows=workflows, jobs=jobs, results=_all(store, Result, ids), nodes=_all(store, Node, ids),
        events=_all(store, Event, ids), action_runs=_all(store, ActionRun, ids),
        allocations=_all(store, Allocation, ids), requirements=needs, blockers=_blockers(store, jobs), **more,
    )  # fmt: skip


def _all(store: Store, kind: type[R], workflows: Iterable[WorkflowId]) -> list[R]:
    found: list[R] = []
    for workflow in workflows:
        at = 0
        while True:
            page = store.find(kind, Query(workflow=workflow, offset=at))
            found += page.items
            at += len(page.items)
            if not page.has_more or not page.items:
                break
    return found


def _blockers(store: Store, jobs: Sequence[Job]) -> dict[JobId, Collection[JobId]]:
    found: dict[JobId, Collection[JobId]] = {}
    ids = [job.id for job in jobs if job.num_blockers]
    for at in range(0, len(ids), 1_000):
        some = ids[at : at + 1_000]
        for job, related in zip(some, store.relations(some), strict=True):
            found[job] = frozenset(related.depends_on)
    return found


def read_ledger(path: Path) -> list[Mark]:
    """The lines that jobs have written; a job that never started has left no file."""
    if not path.exists():
        return []
    return [Mark(**json.loads(line)) for line in path.read_text().splitlines()]


def noting(path: Path, *words: str) -> str:
    """The command of a job that keeps the ledger: `noting(path, "0.2")` sleeps in between."""
    return shlex.join(["exec", sys.executable, "-I", "-S", ledger.__file__, str(path), *words])


def survivors(folder: Path | None = None, proc: Path = Path("/proc")) -> list[Survivor]:
    """Living processes that carry a job's mark; of jobs below a folder only, if it is given."""
    found = []
    for path in proc.glob("[0-9]*"):
        try:
            environ = (path / "environ").read_bytes().split(b"\0")
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        marks = [word.partition(b"=")[2].decode() for word in environ if word.startswith(b"TORC_MARK=")]
        if not marks or state in "ZX":
            continue
        if folder is None or any(bytes(folder) in word for word in environ):
            found.append(Survivor(pid=int(path.name), mark=marks[0]))
    return found


class Recording:
    """A store in front of another one that notes every call and its answer, for `Evidence.calls`."""

    def __init__(self, store: Store, calls: list[Call]) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method

        def noted(*args: Any, **named: Any) -> Any:
            given = (*args, *named.values())
            try:
                answer = method(*args, **named)
            except BaseException as error:
                self._calls.append(Call(name=name, args=given, error=f"{type(error).__name__}: {error}"))
                raise
            self._calls.append(Call(name=name, args=given, answer=answer))
            return answer

        return noted
