"""When a runner counts as alive, what proves it dead, and what becomes of its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.engine.completion import RECOVERING
from torc_core.engine.liveness import (
    BEYOND_MS,
    FLAG_MS,
    after_loss,
    at_lease_end,
    lost,
    may_still_run,
    reruns_lost,
    seen,
    slurm_number,
    succeeds,
)
from torc_core.engine.retry import Retry
from torc_core.model import (
    AllocationId,
    Job,
    JobId,
    JobStatus,
    NewNode,
    Node,
    NodeId,
    NodeState,
    RequirementId,
    Resources,
    WorkflowId,
)

W_MS = 1_200_000
SIZE = Resources(cpus=1, memory=1, gpus=0)
NODE = Node(
    id=NodeId(1), workflow_id=WorkflowId(1), epoch="a", hostname="n1", pid=1, boot_id="one", process_start=1,
    capacity=SIZE, start_time=0, last_beat=0,
)  # fmt: skip
NEW = NewNode(
    workflow_id=WorkflowId(1), epoch="b", hostname="n1", pid=2, boot_id="one", process_start=2, capacity=SIZE
)
JOB = Job(
    id=JobId(1), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1),
    node_id=NodeId(1), lease="l", status=JobStatus.RUNNING,
)  # fmt: skip
ANOTHER = Retry(again=True, lost=True)


@pytest.mark.parametrize(
    ("silent", "state"),
    [
        (0, NodeState.ACTIVE),
        (FLAG_MS - 1, NodeState.ACTIVE),
        (FLAG_MS, NodeState.UNREACHABLE),
        (W_MS + BEYOND_MS - 1, NodeState.UNREACHABLE),
        (W_MS + BEYOND_MS, NodeState.LOST),
        (-5_000, NodeState.ACTIVE),
    ],
)
def test_a_node_stands_by_its_last_sign_of_life(silent: int, state: NodeState) -> None:
    assert seen(NODE, silent) is state


def test_only_nodes_that_beat_can_fall_silent() -> None:
    assert seen(replace(NODE, beats=False), 10 * W_MS) is NodeState.ACTIVE
    assert seen(replace(NODE, is_active=False, state=NodeState.ENDED), 10 * W_MS) is NodeState.ENDED


@pytest.mark.parametrize(
    ("old", "new", "dead"),
    [
        ({}, {}, False),
        ({}, {"epoch": "a", "boot_id": "two"}, False),
        ({}, {"boot_id": "two"}, True),
        ({}, {"boot_id": "two", "hostname": "n2"}, False),
        ({"boot_id": ""}, {"boot_id": "two"}, False),
        ({"state": NodeState.ENDED}, {"boot_id": "two"}, False),
        ({"state": NodeState.LOST, "is_active": False}, {"boot_id": "two"}, True),
        ({"scheduler": {"slurm_job_id": 7}}, {"scheduler": {"slurm_job_id": "7"}}, False),
        ({"scheduler": {"slurm_job_id": 7}}, {"scheduler": {"slurm_job_id": "7"}, "restart_count": 1}, True),
        ({"scheduler": {"slurm_job_id": 8}}, {"scheduler": {"slurm_job_id": "7"}, "restart_count": 1}, False),
        ({"allocation_id": 5}, {"restart_count": 1, "hostname": "n9"}, True),
        (
            {"scheduler": {"type": "remote", "worker": "w"}},
            {"scheduler": {"type": "remote", "worker": "w"}},
            True,
        ),
        (
            {"scheduler": {"type": "remote", "worker": "w"}},
            {"scheduler": {"type": "remote", "worker": "v"}},
            False,
        ),
        ({"scheduler": {"type": "other"}}, {"scheduler": {"type": "other"}}, False),
    ],
)
def test_a_runner_from_the_same_place_proves_the_former_one_dead(
    old: dict[str, Any], new: dict[str, Any], dead: bool
) -> None:
    assert succeeds(replace(NEW, **new), AllocationId(5), replace(NODE, **old)) is dead


@pytest.mark.parametrize(
    ("told", "number"), [(None, None), ({}, None), ({"slurm_job_id": ""}, None), ({"slurm_job_id": 0}, "0")]
)
def test_the_number_of_an_allocation_is_a_text(told: Any, number: str | None) -> None:
    assert slurm_number(told) == number


@pytest.mark.parametrize(
    ("rule", "again"),
    [
        ({"exit_codes": [-128]}, True),
        ({"exit_codes": [-128], "max_retries": 1}, False),
        ({"exit_codes": [-128], "recovery_script": "fix"}, False),
        ({"match_all_exit_codes": True}, True),
        ({"exit_codes": [1]}, False),
    ],
)
def test_a_rule_without_a_script_runs_lost_jobs_again(rule: dict[str, Any], again: bool) -> None:
    assert reruns_lost([rule]) is again
    assert at_lease_end(False, 0, [[rule]]) == ("fence" if again else "drain")
    assert after_loss([rule], attempt_id=1, losses=0, retry_on_node_loss=0).again is again


def test_losses_that_the_workflow_allows_come_before_rules() -> None:
    rule = {"exit_codes": [-128], "delay_seconds": 60}

    assert after_loss([rule], attempt_id=1, losses=0, retry_on_node_loss=1).delay_ms == 0
    assert after_loss([rule], attempt_id=2, losses=1, retry_on_node_loss=1).delay_ms == 120_000
    assert not after_loss([rule], attempt_id=3, losses=2, retry_on_node_loss=1).again


@pytest.mark.parametrize("on_lost", ["fence", "drain"])
@pytest.mark.parametrize("proven", [False, True])
def test_only_what_is_dead_is_run_again(on_lost: str, proven: bool) -> None:
    how = lost(JOB, replace(NODE, on_lost=on_lost), proven=proven, retry=ANOTHER)

    assert how is not None
    assert how.result
    assert (how.again is not None) is (proven or on_lost == "fence")


def test_what_was_only_held_is_ready_and_has_no_result() -> None:
    how = lost(replace(JOB, status=JobStatus.PENDING), NODE, proven=False, retry=ANOTHER)

    assert how is not None
    assert (how.status, how.result, how.again) == (JobStatus.READY, False, None)


def test_a_recovery_script_is_never_run_twice() -> None:
    how = lost(replace(JOB, reason=RECOVERING), NODE, proven=True, retry=ANOTHER)

    assert how is not None
    assert how.ends


@pytest.mark.parametrize(
    ("on_lost", "proven", "freed"), [("drain", False, False), ("drain", True, True), ("fence", False, True)]
)
def test_a_canceled_job_keeps_its_node_until_it_is_dead(on_lost: str, proven: bool, freed: bool) -> None:
    how = lost(
        replace(JOB, status=JobStatus.CANCELED, stop=1),
        replace(NODE, on_lost=on_lost),
        proven=proven,
        retry=Retry(),
    )

    assert (how is not None) is freed


@pytest.mark.parametrize(
    ("node", "may"),
    [
        (None, False),
        (replace(NODE, state=NodeState.LOST), True),
        (replace(NODE, state=NodeState.ACTIVE), True),
        (replace(NODE, state=NodeState.ENDED), False),
        (replace(NODE, state=NodeState.LOST, on_lost="fence"), False),
    ],
)
def test_only_a_draining_node_that_is_not_proven_dead_may_still_run_jobs(
    node: Node | None, may: bool
) -> None:
    assert may_still_run(node) is may
