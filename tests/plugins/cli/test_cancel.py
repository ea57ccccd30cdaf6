"""`torc cancel`: marks workflows, tells who runs them, waits when asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torc_core.model import Job, JobStatus, Query, WorkflowId
from torc_core.protocols import Store

Torc = Callable[..., Any]
Opened = Callable[[], AbstractContextManager[Store]]


def test_a_workflow_is_canceled_without_a_terminal_to_ask_on(torc: Torc, diamond: WorkflowId) -> None:
    ran = torc("cancel", "1")

    assert ran.code == 0
    assert ran.out == "Canceled workflow 1 (1 job stopped)\n"


def test_json_tells_the_number_of_jobs(torc: Torc, diamond: WorkflowId, store_of_the_user: Opened) -> None:
    ran = torc("cancel", "last", "--json", "--reason", "wrong data")

    assert ran.json["workflow_id"] == 1
    assert (ran.json["canceled_jobs"], ran.json["canceled_slurm_jobs"], ran.json["errors"]) == (1, [], [])
    with store_of_the_user() as store:
        jobs = store.find(Job, Query(workflow=diamond)).items
    assert JobStatus.RUNNING not in {job.status for job in jobs}


def test_what_is_complete_cannot_be_canceled(torc: Torc, diamond: WorkflowId) -> None:
    torc("cancel", "1")

    ran = torc("cancel", "1")

    assert ran.code == 3
    assert "workflow 1 is canceled; there is nothing to cancel" in ran.err


def test_several_are_canceled_and_complete_ones_told(torc: Torc, diamond: WorkflowId, home: Path) -> None:
    (home / "w.yaml").write_text("name: w\njobs: [{name: a, command: 'true'}]\n")
    torc("run", "w.yaml")

    ran = torc("cancel", "1-2")

    assert ran.code == 0
    assert ran.out.startswith("Canceled workflow 1 ")
    assert "workflow 2 is completed" in ran.err


def test_waiting_ends_when_every_runner_is_known_to_be_dead(torc: Torc, home: Path) -> None:
    (home / "w.yaml").write_text("name: w\njobs: [{name: a, command: 'true'}]\n")
    torc("create", "w.yaml")

    assert torc("cancel", "1", "--wait").code == 0


def test_a_missing_workflow_is_not_found(torc: Torc, home: Path) -> None:
    assert torc("cancel", "7").code == 5
    assert torc("cancel").code == 2
