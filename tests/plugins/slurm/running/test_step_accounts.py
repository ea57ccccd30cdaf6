"""What Slurm says of steps, while they run and afterwards, is gathered seldom, by few questions (EX6, RB3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from torc_core.model import Job, JobId, Query, SlurmStats, WorkflowId
from torc_core.model.resources import MIB
from torc_core.protocols import Task
from torc_core.system import SystemClock
from torc_core.testing.executors import Tasks
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_slurm.running.accounts import Accounts
from torc_slurm.scheduler.budget import Budget
from torc_slurm.scheduler.slurm import Slurm

SSTAT = """\
7.0|00:02.000|104857600
7.extern|00:00.000|0
"""
SACCT = """\
wf1_j1_r1_a1|209715200|0|12|0|00:03.500|n1|COMPLETED|0:0
wf1_j2_r1_a1|0|0|0|0|00:00.000|n1|RUNNING|0:0
"""


class Gathering(Accounts):
    """Looks when the test says so."""

    def _work(self) -> None: ...


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SystemClock())


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """The words of each call of an sstat and a sacct that always say the same."""
    for tool, text in (("sstat", SSTAT), ("sacct", SACCT)):
        (tmp_path / f"{tool}.out").write_text(text)
        program = tmp_path / tool
        program.write_text(f'#!/bin/sh\necho {tool} "$@" >>{tmp_path}/calls\ncat {tmp_path}/{tool}.out\n')
        program.chmod(0o755)
    return tmp_path / "calls"


@pytest.fixture
def accounts(store: MemoryStore, calls: Path, tmp_path: Path) -> Iterator[Gathering]:
    clock = SystemClock()
    workflow = store.create(fan(2), "ana")
    slurm = Slurm(
        {"PATH": f"{tmp_path}:/usr/bin:/bin"}, Budget(None, {"queries": 100, "submissions": 100}, clock), clock
    )  # fmt: skip
    yield Gathering(store, slurm, clock, workflow, "7", every=30.0)


def step(tmp_path: Path, job: int) -> Task:
    made = Tasks(tmp_path).task("true")
    return replace(made, job=job, files=f"{tmp_path}/job_wf1_j{job}_r1_a1")


def test_what_was_seen_while_it_ran_goes_with_its_end(accounts: Gathering, tmp_path: Path) -> None:
    task = step(tmp_path, 1)
    accounts.began("wf1_j1_r1_a1")

    accounts._look()
    usage = accounts.ended(task, "7.0", 4.0)

    assert (usage.peak_memory_bytes, usage.avg_cpu_percent) == (100 * MIB, 50.0)


def test_one_question_tells_of_all_that_is_over_and_of_nothing_else(
    accounts: Gathering, store: MemoryStore, calls: Path, tmp_path: Path
) -> None:
    for job in (1, 2):
        accounts.ended(step(tmp_path, job), f"7.{job}", 4.0)

    accounts._ask()
    (stats,) = store.find(SlurmStats, Query(workflow=WorkflowId(1))).items

    # The second is not over in the accounts, which lag.
    assert (stats.job_id, stats.max_rss_bytes, stats.ave_cpu_seconds) == (1, 200 * MIB, 3.5)
    assert (stats.max_disk_read_bytes, stats.max_vm_size_bytes) == (12, None)
    assert len(calls.read_text().splitlines()) == 1
    for _ in range(9):
        accounts._ask()
    assert len(calls.read_text().splitlines()) == 6


def test_nobody_asks_while_nothing_runs_or_is_over(accounts: Gathering, calls: Path) -> None:
    accounts._look()
    accounts._ask()

    assert not calls.exists()


@pytest.mark.parametrize(("live", "pause"), [(0, 30.0), (1, 30.0), (40, 1200.0)])
def test_all_allocations_of_a_workflow_together_ask_as_often_as_one(
    accounts: Gathering, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, live: int, pause: float
) -> None:
    totals = store.totals
    monkeypatch.setattr(store, "totals", lambda ids: [replace(totals(ids)[0], active_allocations=live)])

    assert accounts._pause() == pause


def test_a_job_that_was_deleted_keeps_nothing_of_others(
    accounts: Gathering, store: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "sacct.out").write_text(SACCT.replace("RUNNING", "COMPLETED"))
    for job in (1, 2):
        accounts.ended(step(tmp_path, job), f"7.{job}", 4.0)
    store.remove(Job, [JobId(1)])

    accounts._ask()

    assert [one.job_id for one in store.find(SlurmStats, Query(workflow=WorkflowId(1))).items] == [2]


def test_who_leaves_does_not_ask_an_accounting_again_that_does_not_answer(
    accounts: Gathering, calls: Path, tmp_path: Path
) -> None:
    (tmp_path / "sacct").write_text(f"#!/bin/sh\necho sacct >>{calls}\nexit 1\n")
    accounts.ended(step(tmp_path, 1), "7.1", 4.0)

    accounts.close()

    assert len(calls.read_text().splitlines()) == 1
