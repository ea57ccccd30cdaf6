"""`torc compute-nodes` and `torc scheduled-compute-nodes`: where jobs run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.model import (
    Allocation,
    AllocationStatus,
    Ending,
    Initialize,
    JobStatus,
    NewNode,
    Offer,
    PlannedScheduler,
    Resources,
    Turn,
)
from torc_core.testing.plans import fan


@pytest.fixture
def allocated(store_of_the_user):
    """Workflow 1: job 1 has run in allocation 1, job 2 runs there; allocation 2 was refused."""
    with store_of_the_user() as store:
        short = PlannedScheduler(name="short", fields={"walltime": "01:00:00", "partition": "debug"})
        workflow = store.create(replace(fan(3), schedulers=[short]), "ana").id
        store.initialize(workflow, Initialize())
        first, second = store.intend(workflow, "r", 1, 2, 1)
        store.submitted(first.id, first.submission_key, "77")
        store.refused(second.id, "invalid account")
        node = store.join(
            NewNode(
                workflow_id=workflow, epoch="e", hostname="n7", pid=42, boot_id="b", process_start=1, type="slurm",
                capacity=Resources(cpus=1, memory=2**33, gpus=0), submission_key=first.submission_key,
            )
        )  # fmt: skip
        offer = Offer(claim_id="c", free=[node.capacity])
        (one,) = store.turn(Turn(node=node.id, epoch="e", offer=offer)).jobs
        ending = Ending(
            job=one.job.id,
            run_id=1,
            attempt_id=1,
            lease=one.job.lease,
            status=JobStatus.FAILED,
            return_code=1,
        )
        again = replace(offer, claim_id="d")
        store.turn(Turn(node=node.id, epoch="e", endings=[ending], offer=again))
    return workflow


def test_a_table_shows_how_nodes_are(torc, allocated):
    header, line = torc("compute-nodes", "list", allocated).out.splitlines()

    assert header.split()[:7] == ["ID", "Host", "Type", "Label", "PID", "State", "CPUs"]
    assert line.split()[:8] == ["1", "n7", "slurm", "42", "active", "1", "8.0g", "0"]


def test_json_has_the_fields_of_the_rest_model_and_the_jobs_that_run(torc, allocated):
    item = torc("compute-nodes", "get", "1", "--json").json

    assert (item["hostname"], item["num_cpus"], item["memory_gb"]) == ("n7", 1, 8.0)
    assert (item["jobs_running"], item["state"], item["on_lost"]) == (1, "active", "drain")
    assert item["scheduled_compute_node_id"] == 1


def test_a_draining_node_says_so(torc, allocated, store_of_the_user):
    with store_of_the_user() as store:
        store.drain(1, True)

    assert "active, draining" in torc("compute-nodes", "list", allocated).out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 1),
        (["--active"], 1),
        (["--scheduled-compute-node", "1"], 1),
        (["--scheduled-compute-node", "2"], 0),
        (["-s", "hostname", "-r"], 1),
        (["-o", "1"], 0),
    ],
)
def test_nodes_are_filtered_and_sorted(torc, allocated, options, expected):
    assert torc("compute-nodes", "list", allocated, "--json", *options).json["count"] == expected


def test_nodes_that_have_left_are_not_active(torc, allocated, store_of_the_user):
    with store_of_the_user() as store:
        store.bury(1, "stopped")

    assert torc("compute-nodes", "list", allocated, "--active", "--json").json["count"] == 0
    assert torc("compute-nodes", "list", allocated, "--json").json["items"][0]["state"] == "ended"


def test_allocations_are_shown_with_their_partition_and_why_they_were_refused(torc, allocated):
    first, second = torc("scheduled-compute-nodes", "list", allocated, "--json").json["items"]

    assert (first["scheduler_id"], first["status"], first["partition"]) == ("77", "active", "debug")
    assert (second["scheduler_id"], second["status"], second["reason"]) == (
        None,
        "canceled",
        "invalid account",
    )
    assert torc("scheduled-compute-nodes", "get", "1", "--json").json["walltime"] == "01:00:00"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "active"], [1]),
        (["--status", "canceled"], [2]),
        (["--status", "pending"], []),
        (["--scheduler-id", "77"], [1]),
        (["--scheduler-config-id", "1"], [1, 2]),
        (["--scheduler-config-id", "2"], []),
    ],
)
def test_allocations_are_filtered(torc, allocated, options, expected):
    assert torc("slurm", "create", allocated, "-n", "other", "-a", "a", "--json").json["id"] == 2

    items = torc("scheduled-compute-nodes", "list", allocated, "--json", *options).json["items"]

    assert [item["id"] for item in items] == expected


def test_an_intent_counts_as_pending(torc, allocated, store_of_the_user):
    with store_of_the_user() as store:
        store.intend(allocated, "s", 1, 1, 1)
        store.add([Allocation(workflow_id=allocated, scheduler_id="9", status=AllocationStatus.PENDING)])

    found = torc("scheduled-compute-nodes", "list", allocated, "--status", "pending", "--json").json

    assert found["count"] == 2


def test_an_unknown_status_is_refused_with_the_known_ones(torc, allocated):
    ran = torc("scheduled-compute-nodes", "list", allocated, "--status", "aktive")

    assert ran.code == 2
    assert "did you mean 'active'" in ran.err


def test_the_jobs_of_an_allocation_are_listed_an_attempt_a_line(torc, allocated):
    found = torc("scheduled-compute-nodes", "list-jobs", "1", "--json").json

    assert found["scheduled_compute_node_id"] == 1
    assert [(item["job_name"], item["status"], item["hostname"]) for item in found["items"]] == [
        ("job0", "failed", "n7"), ("job1", "running", "n7"),
    ]  # fmt: skip


def test_an_allocation_that_is_not_there_is_named(torc, allocated):
    ran = torc("scheduled-compute-nodes", "list-jobs", "9")

    assert ran.code == 5
    assert "no scheduled compute node 9" in ran.err
