"""What a run offers of its host: what was given, else what was found less what other runners hold (`runner.md` §2.3)."""

from __future__ import annotations

from typing import Any

import pytest

from torc_cli.execute.capacity import Asked, offered
from torc_core.detection import Detected
from torc_core.errors import Conflict, UsageError
from torc_core.model import Node, NodeId, Resources, WorkflowId
from torc_core.model.resources import GIB

FOUND = Detected(capacity=Resources(cpus=8, memory=16 * GIB, gpus=3), gpus=("a", "b", "c"))


def runner(number: int, cpus: int, memory: int, *gpus: str) -> Node:
    capacity = Resources(cpus=cpus, memory=memory * GIB, gpus=len(gpus))
    there: dict[str, Any] = {
        "hostname": "h",
        "boot_id": "b",
        "process_start": 1,
        "lease_seconds": 1,
        "start_time": 0,
    }
    return Node(
        id=NodeId(number),
        workflow_id=WorkflowId(1),
        epoch="e",
        pid=4700 + number,
        capacity=capacity,
        gpus=gpus,
        **there,
    )


def test_alone_a_run_offers_what_was_found() -> None:
    assert offered(FOUND, Asked(), []) == FOUND


def test_beside_others_a_run_offers_what_they_leave() -> None:
    left = offered(FOUND, Asked(), [runner(1, 3, 4, "b"), runner(2, 1, 2)])

    assert left.capacity == Resources(cpus=4, memory=10 * GIB, gpus=2)
    assert left.gpus == ("a", "c")


def test_what_is_given_is_taken_as_given() -> None:
    left = offered(FOUND, Asked(cpus=8, memory_gb=1.5, gpus=2), [runner(1, 8, 16, "a")])

    assert left.capacity == Resources(cpus=8, memory=3 * GIB // 2, gpus=2)
    assert left.gpus == ("a", "b")


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (
            [runner(12, 8, 4)],
            r"nothing free on this host: runner 12 \(pid 4712\) holds all 8 CPUs; wait, or give",
        ),
        (
            [runner(1, 4, 8), runner(2, 2, 8)],
            r"runner 1 \(pid 4701\) and runner 2 \(pid 4702\) hold all 16g memory",
        ),
    ],
)
def test_where_nothing_is_left_it_is_said_who_holds_it(others: list[Node], sentence: str) -> None:
    with pytest.raises(Conflict, match=sentence):
        offered(FOUND, Asked(), others)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (Asked(cpus=0), "--num-cpus '0' is out of range"),
        (Asked(memory_gb=-1), "--memory-gb '-1' is out of range"),
        (Asked(gpus=4), "--num-gpus '4': this host has 3 GPUs"),
    ],
)
def test_what_cannot_be_given_is_refused(asked: Asked, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        offered(FOUND, asked, [])
