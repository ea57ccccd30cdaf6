"""The checker finds each invariant that is violated once, and nothing in what is in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.waiting import until
from torc_core.model import (
    ActionRun,
    ActionState,
    Allocation,
    Event,
    Initialize,
    JobStatus,
    NodeState,
    Plan,
    PlannedWorkflow,
    Resources,
)
from torc_core.model.resources import GIB
from torc_core.testing.checker import (
    Call,
    Evidence,
    Mark,
    Recording,
    Survivor,
    check,
    gathered,
    ledger,
    noting,
    read_ledger,
    survivors,
)
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import diamond
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene

Damage = Callable[[Evidence], Evidence]


@pytest.fixture
def evidence(clock: SetClock) -> Evidence:
    """What a diamond leaves that ran as it should, the last of its jobs in two attempts."""
    calls: list[Call] = []
    store = MemoryStore(clock)
    scene = Scene(Recording(store, calls), clock)  # type: ignore[arg-type]  # it does what a store does
    workflow = scene.started(diamond())
    scene.store.add([Event(workflow_id=workflow, data={"said": "hello"})])
    node = scene.node(workflow)
    marks, ns = [], 1_000
    while given := scene.claim(node):
        for one in given:
            marks.append(mark(one.job.id, one.job.attempt_id, ns))
            marks.append(mark(one.job.id, one.job.attempt_id, ns + 50, "end"))
        ns += 100
        scene.move(1)
        last = given[0].job.name == "d" and given[0].job.attempt_id == 1
        scene.finish(node, given, JobStatus.FAILED if last else JobStatus.COMPLETED)
        if last:
            scene.store.retry(given[0].job.id, 1)
    return gathered(store, clock.now(), marks=marks, calls=calls)


def mark(job: int, attempt: int, ns: int, what: str = "start", **more: object) -> Mark:
    return Mark(
        what=what,
        workflow=1,
        job=job,
        run=1,
        attempt=attempt,
        host="n1",
        pid=job * 10 + attempt,
        ns=ns,
        **more,
    )  # type: ignore[arg-type]  # fields of a mark


def rules(evidence: Evidence, **how: bool) -> list[str]:
    return sorted({one.rule for one in check(evidence, **how)})


def test_nothing_is_found_in_what_is_in_order(evidence: Evidence) -> None:
    assert check(evidence, ends=True) == []
    assert len(evidence.marks) == 10
    assert {call.name for call in evidence.calls} >= {"create", "join", "turn", "add", "retry"}


def changed(evidence: Evidence, field: str, at: int, **values: object) -> Evidence:
    """The same but for one record."""
    rows = list(getattr(evidence, field))
    rows[at] = replace(rows[at], **values)
    return replace(evidence, **{field: rows})


DAMAGES: dict[str, tuple[str, Damage]] = {
    "an attempt is started twice": (
        "I1", lambda e: replace(e, marks=[*e.marks, replace(mark(4, 2, 5_000), pid=7)]),
    ),
    "two attempts of a job overlap": (
        "I1", lambda e: replace(e, marks=[*e.marks, mark(1, 2, 1_010), mark(1, 2, 1_020, "end")]),
    ),
    "a job starts while a killed attempt of it is alive": (
        "I1", lambda e: replace(e, marks=[*e.marks, mark(1, 2, 9_000, alone=False)]),
    ),
    "an acknowledged result is gone": ("I2", lambda e: replace(e, results=e.results[1:], jobs=e.jobs[1:])),
    "an acknowledged result has another code": ("I2", lambda e: changed(e, "results", 3, return_code=9)),
    "a created workflow is gone": ("I2", lambda e: replace(e, workflows=[])),
    "a node that joined is gone": ("I2", lambda e: replace(e, nodes=[])),
    "a posted event is gone": (
        "I2", lambda e: replace(e, events=[one for one in e.events if one.category != "user"]),
    ),
    "a job runs on a node that has ended": (
        "I3", lambda e: changed(
            replace(e, nodes=[replace(e.nodes[0], state=NodeState.ENDED)]), "jobs", 3, status=JobStatus.RUNNING, node_id=1
        ),
    ),
    "a job runs on a node that was silent for too long": (
        "I3", lambda e: changed(
            replace(e, now=e.now + 2_000_000), "jobs", 3, status=JobStatus.RUNNING, node_id=1
        ),
    ),
    "a job is blocked by nothing": ("I3", lambda e: changed(e, "jobs", 3, status=JobStatus.BLOCKED)),
    "a node is given more than it has": (
        "I4", lambda e: changed(
            replace(e, nodes=[replace(e.nodes[0], capacity=Resources(cpus=0, memory=GIB, gpus=0))]), "jobs", 3,
            status=JobStatus.RUNNING, node_id=1,
        ),
    ),
    "more lives on a node at once than it has": (
        "I4", lambda e: replace(e, nodes=[replace(e.nodes[0], capacity=Resources(cpus=1, memory=GIB, gpus=0))]),
    ),
    "two jobs share a device": (
        "I4", lambda e: changed(changed(e, "marks", 2, gpus=("0",)), "marks", 4, gpus=("0", "1")),
    ),
    "a job starts before the end of what it waits for": (
        "I5", lambda e: replace(
            e, events=[one for one in e.events if (one.category, one.data.get("job_id")) != ("job_completed", 1)]
        ),
    ),
    "a job starts after the bad end of what it waits for": (
        "I5", lambda e: replace(e, events=[
            replace(one, category="job_failed") if (one.category, one.data.get("job_id")) == ("job_completed", 2) else one
            for one in e.events
        ]),
    ),
    "a job starts before the end of another by the ledger": ("I5", lambda e: changed(e, "marks", 2, ns=1_020)),
    "an attempt has two results": ("I6", lambda e: replace(e, results=[*e.results, replace(e.results[0], id=99)])),
    "a job has no result": ("I6", lambda e: changed(e, "jobs", 0, result_id=None)),
    "a job completed twice": (
        "I6", lambda e: replace(e, events=[
            *e.events, *[replace(one, id=one.id + 100) for one in e.events if one.category == "job_completed"][:1]
        ]),
    ),
    "two different ends of an attempt are taken": (
        "I6", lambda e: replace(e, calls=[*e.calls, other_end(e)]),
    ),
    "a process of an ended attempt lives": (
        "I7", lambda e: replace(e, survivors=[Survivor(pid=5, mark="server.1.4.1.2")]),
    ),
    "an action fires twice": (
        "I8", lambda e: replace(e, action_runs=[firing(1), firing(2)]),
    ),
    "something outside is done twice": (
        "I8", lambda e: replace(e, marks=[*e.marks, *[Mark(what="effect", key="action 1 run 1")] * 2]),
    ),
    "an intent is submitted twice": (
        "I8", lambda e: replace(e, allocations=[
            Allocation(id=at, workflow_id=1, submission_key="key", scheduler_id=str(at)) for at in (1, 2)  # type: ignore[arg-type]  # numbers
        ]),
    ),
}  # fmt: skip


def firing(id: int) -> ActionRun:
    return ActionRun(id=id, workflow_id=1, action_id=1, run_id=1, state=ActionState.DONE)  # type: ignore[arg-type]  # numbers


def other_end(evidence: Evidence) -> Call:
    """An answer that says done to another end of the first attempt."""
    turn = next(call for call in evidence.calls if call.name == "turn" and call.args[0].endings)
    ending = replace(turn.args[0].endings[0], status=JobStatus.FAILED, return_code=1)
    return replace(turn, args=(replace(turn.args[0], endings=[ending]),))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_violation_is_found(evidence: Evidence, name: str) -> None:
    rule, damage = DAMAGES[name]

    assert rule in rules(damage(evidence))


def test_a_job_that_somebody_forced_may_overlap(evidence: Evidence) -> None:
    marks = [*evidence.marks, mark(1, 2, 1_010), mark(1, 2, 1_020, "end")]

    assert rules(replace(evidence, marks=marks, forced={evidence.jobs[0].id})) == []


def test_what_has_not_ended_is_found_when_it_has_to_have(clock: SetClock) -> None:
    store = MemoryStore(clock)
    Scene(store, clock).started(diamond())

    assert rules(gathered(store, clock.now())) == []
    assert rules(gathered(store, clock.now()), ends=True) == ["I3"]


def test_an_empty_workflow_is_in_order(clock: SetClock) -> None:
    store = MemoryStore(clock)
    workflow = store.create(Plan(workflow=PlannedWorkflow(name="w")), "ann")
    store.initialize(workflow.id, Initialize())

    assert check(gathered(store, clock.now()), ends=True) == []


ENV = {
    "TORC_WORKFLOW_ID": "1",
    "TORC_JOB_ID": "2",
    "TORC_RUN_ID": "3",
    "TORC_ATTEMPT_ID": "4",
    "PATH": os.environ["PATH"],
}


def test_a_job_writes_its_start_its_end_and_what_it_did(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    done = subprocess.run(["sh", "-c", noting(path, "sh", "-c", "exit 3")], env=ENV, check=False)
    subprocess.run(
        [sys.executable, "-I", "-S", ledger.__file__, path, "--effect", "a b"], env=ENV, check=True
    )

    start, end, effect = read_ledger(path)
    assert done.returncode == 3
    assert [(one.what, one.of, one.alone) for one in (start, end)] == [
        ("start", (2, 3, 4), True),
        ("end", (2, 3, 4), True),
    ]
    assert (start.pid, start.ns < end.ns, end.code, effect.key) == (end.pid, True, 3, "a b")


def test_a_job_that_is_killed_is_not_alone_while_its_child_lives(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = subprocess.Popen(
        ["sh", "-c", noting(path, "sleep", "30")], env=ENV | {"TORC_MARK": f"{tmp_path}.1.2.3.4"}
    )
    until(lambda: read_ledger(path) and len(survivors(tmp_path)) == 2)

    first.kill()
    first.wait()
    subprocess.run(["sh", "-c", noting(path, "0")], env=ENV | {"TORC_ATTEMPT_ID": "5"}, check=True)

    left = survivors(tmp_path)
    assert [one.of for one in left] == [(1, (2, 3, 4))]
    assert [one.alone for one in read_ledger(path) if one.what == "start"] == [True, False]
    assert rules(Evidence(marks=read_ledger(path), survivors=left)) == ["I1", "I7"]
    os.kill(left[0].pid, 9)
