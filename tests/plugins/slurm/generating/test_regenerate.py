"""`torc slurm regenerate`: what is left of a workflow is planned anew, less what it has already (`slurm.md` §7.7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema

from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import Action, Job, Query, SlurmScheduler, WorkflowId
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.slurm import FakeSlurm
from torc_terminal import schemas

ONE = WorkflowId(1)


@contextmanager
def opened() -> Iterator[Store]:
    """The user's default store."""
    config = Config.load()
    store = Host.load(config).open_store(config.store_url, SystemClock())
    try:
        yield store
    finally:
        store.close()


def records(kind):
    with opened() as store:
        return list(store.find(kind, Query(workflow=ONE)).items)


def started(torc, home: Path) -> None:
    torc("create", "stages.yaml")
    torc("workflows", "initialize", "1")


def checked(ran):
    jsonschema.validate(ran.json, schemas.load("torc.slurm.regenerate/1"))
    return ran.json


def test_what_is_left_gets_schedulers_and_actions(torc, home: Path, slurm: FakeSlurm) -> None:
    started(torc, home)

    document = checked(torc("-f", "json", "slurm", "regenerate", "1", "-a", "me", "--profile", "slurm"))

    names = [one["name"] for one in document["schedulers_created"]]
    assert all("_scheduler_regen_" in name for name in names)
    assert document["pending_jobs"] == 7
    assert (document["allocations_submitted"], document["allocations_deferred"]) == (
        0,
        document["total_allocations"] - 1,
    )
    schedulers = {one.id: one.name for one in records(SlurmScheduler)}
    assert {schedulers[job.scheduler_id] for job in records(Job)} == set(names)
    actions = records(Action)
    assert {(one.trigger_type, one.trigger_mode, one.is_recovery) for one in actions} == {
        ("on_jobs_ready", "any", True)
    }
    assert not slurm.jobs()


def test_allocations_that_are_queued_count(torc, home: Path, slurm: FakeSlurm) -> None:
    (home / "fan.yaml").write_text("""\
name: fan
resource_requirements: [{name: whole, num_cpus: 4, memory: 1g, runtime: PT1H}]
jobs: [{name: "work_{i}", command: echo, resource_requirements: whole, parameters: {i: "1:5"}}]
slurm_schedulers: [{name: mine, account: me, walltime: "02:30:00", mem: 2000M, partition: standard, extra: --exclusive}]
""")
    torc("create", "fan.yaml")
    torc("workflows", "initialize", "1")
    with opened() as store:
        for job in store.find(Job, Query(workflow=ONE)).items:
            store.change(Job, job.id, {"scheduler_id": 1})
        store.intend(ONE, "test", store.find(SlurmScheduler, Query(workflow=ONE)).items[0].id, 1, 1)

    document = checked(torc("-f", "json", "slurm", "regenerate", "1"))

    # Two of the five jobs run one after the other in the allocation that is there, under the account of its scheduler.
    assert (document["pending_jobs"], document["served_jobs"], document["total_allocations"]) == (5, 2, 3)
    assert document["schedulers_created"][0]["account"] == "me"


def test_a_dry_run_changes_nothing(torc, home: Path, slurm: FakeSlurm) -> None:
    started(torc, home)
    before = (records(Job), records(Action), records(SlurmScheduler))

    ran = torc("slurm", "regenerate", "1", "-a", "me", "--submit", "--dry-run")

    assert ran.code == 0
    assert "-> " in ran.out
    assert (records(Job), records(Action), records(SlurmScheduler)) == before
    assert not slurm.jobs()


def test_a_canceled_workflow_gets_no_nodes(torc, home: Path, slurm: FakeSlurm) -> None:
    started(torc, home)
    torc("cancel", "1")

    assert torc("slurm", "regenerate", "1").code == 3


def test_unknown_jobs_are_told(torc, home: Path, slurm: FakeSlurm) -> None:
    started(torc, home)

    ran = torc("slurm", "regenerate", "1", "-a", "me", "--include-job-ids", "99")

    assert (ran.code, "no job 99" in ran.err) == (2, True)
