"""Counters that were spoiled are set right, told of, and the workflow goes on (`engine.md` §18)."""

from __future__ import annotations

import os
import sqlite3
import time

import pytest

from torc_core.model import Event, Initialize, Job, NewNode, Offer, Query, Resources, Turn
from torc_core.testing.plans import chain, fan

COUNT = int(os.environ.get("TORC_REPAIR_JOBS", "5000"))


@pytest.fixture
def spoiled(opened, path):
    """Spoils a database between two openings."""

    def spoil(*statements):
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return opened()

    return spoil


def test_every_counter_is_set_right_and_what_was_stuck_is_ready(opened, spoiled):
    store = opened()
    workflow = store.create(chain(3), "ann").id
    store.initialize(workflow, Initialize())
    other = store.create(fan(2), "ann").id
    store.close()
    store = spoiled(
        "UPDATE status_count SET jobs = jobs + 2 WHERE status = 2",
        "UPDATE dep_set SET remaining = 5",
        "UPDATE job SET unmet = 3 WHERE unmet = 1 AND name = 'job2'",
        "UPDATE job_class SET num_ready = 9",
        f"UPDATE job SET status = 5 WHERE wf = {workflow} AND name = 'job0'",
    )

    assert list(store.repair()) == [workflow, other]

    told = store.find(Event, Query(workflow=workflow, where={"category": "repair"})).items[0].data
    assert (told["sets"], told["waiting_jobs"], told["classes"], told["statuses"]) == (2, 2, 1, 2)
    statuses = [job.status.label for job in store.find(Job, Query(workflow=workflow)).items]
    assert statuses == ["completed", "ready", "blocked"]
    assert list(store.repair()) == []
    node = store.join(NewNode(
        workflow_id=workflow, epoch="e", hostname="n", pid=1, boot_id="b", process_start=1,
        capacity=Resources(cpus=4, memory=2**33),
    ))  # fmt: skip
    orders = store.turn(Turn(node=node.id, epoch="e", offer=Offer(claim_id="c", free=[node.capacity])))
    assert [one.job.name for one in orders.jobs] == ["job1"]


def test_looking_is_quick(opened):
    store = opened()
    for plan in (chain(COUNT), fan(COUNT)):
        store.initialize(store.create(plan, "ann").id, Initialize())

    begun = time.process_time()
    assert list(store.repair()) == []

    # 3 s are allowed for a start with 100,000 jobs.
    assert time.process_time() - begun < max(0.5, 3 * 2 * COUNT / 100_000)
