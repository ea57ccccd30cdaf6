"""Recounting what is counted beside the jobs: a few statements for each workflow with open jobs (`engine.md` §18)."""

from __future__ import annotations

from torc_core.engine import telling
from torc_core.model import JobStatus, WorkflowId
from torc_sql.change import Change
from torc_sql.shapes import Shapes
from torc_sql.transaction import Transaction


def in_question(tx: Transaction) -> list[WorkflowId]:
    """The workflows with open jobs."""
    return [WorkflowId(wf) for (wf,) in tx.rows("WITH_OPEN_JOBS")]


def differs(tx: Transaction, wf: WorkflowId) -> bool:
    """Whether any counter of a workflow is wrong; those that follow from others are looked at as they are."""
    wrong = ("WRONG_SETS", "WRONG_UNMET", "WRONG_CLASSES")
    return bool(_wrong_statuses(tx, wf)) or any(tx.rows(statement, wf_=wf) for statement in wrong)


def repair(tx: Transaction, wf: WorkflowId, shapes: Shapes) -> None:
    """Set every counter of a workflow to what it has to be, and tell how many were not.

    A job that waits for nothing any more becomes ready: whoever should have released it counted wrongly.
    """
    statuses = _wrong_statuses(tx, wf)
    for status, delta in statuses.items():
        tx.counted(wf, status, delta)
    tx.settle()
    sets, waiting, classes = (count(tx, wf) for count in COUNTS)
    change = Change(tx, wf, shapes)
    for job, job_class in tx.rows("STUCK", wf_=wf):
        tx.run("FREE_WAITER", job_=job, status_=int(JobStatus.READY), since_=tx.now, unmet_=0)
        change.shifted(JobStatus.BLOCKED, JobStatus.READY)
        tx.ready(job_class, 1)
        tx.wake(wf)
    change.tell(telling.repair(statuses=len(statuses), sets=sets, waiting_jobs=waiting, classes=classes))
    change.close()


def _sets(tx: Transaction, wf: WorkflowId) -> int:
    wrong = tx.rows("WRONG_SETS", wf_=wf)
    tx.many("WRITE_SET", [{"set_": id, "remaining_": open_, "bad_": bad} for id, open_, bad in wrong])
    return len(wrong)


def _waiting(tx: Transaction, wf: WorkflowId) -> int:
    wrong = tx.rows("WRONG_UNMET", wf_=wf)
    tx.many("WRITE_UNMET", [{"job_": id, "unmet_": unmet} for id, unmet in wrong])
    return len(wrong)


def _classes(tx: Transaction, wf: WorkflowId) -> int:
    wrong = tx.rows("WRONG_CLASSES", wf_=wf)
    tx.many("WRITE_READY", [{"class_": id, "ready_": ready} for id, ready in wrong])
    return len(wrong)


COUNTS = (_sets, _waiting, _classes)
"""Count sets, waiting jobs and classes anew from the statuses, each from those before it; how many were wrong."""


def _wrong_statuses(tx: Transaction, wf: WorkflowId) -> dict[int, int]:
    """By status how many jobs more there are than were counted."""
    real, counted = dict(tx.rows("REAL_COUNTS", wf_=wf)), dict(tx.rows("ALL_COUNTS", wf_=wf))
    return {
        status: real.get(status, 0) - counted.get(status, 0)
        for status in real.keys() | counted.keys()
        if real.get(status, 0) != counted.get(status, 0)
    }
