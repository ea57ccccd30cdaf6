"""What a server does by itself: nodes that are silent, and events that are too old."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.waiting import until
from torc_core.errors import Unavailable
from torc_core.model import (
    AuditEntry,
    Event,
    Initialize,
    NewNode,
    Node,
    NodeState,
    Operation,
    OperationId,
    OperationStatus,
    Query,
    Resources,
)
from torc_core.protocols import Store
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_http.housekeeping import Carrier, Keeping, Sweeper


def test_a_server_sees_lost_nodes_and_forgets_old_events_by_itself(clock: SetClock) -> None:
    store = MemoryStore(clock)
    workflow = store.create(fan(1), "ann").id
    store.initialize(workflow, Initialize())
    size = Resources(cpus=1, memory=2**30, gpus=0)
    node = store.join(
        NewNode(
            workflow_id=workflow, epoch="e", hostname="n", pid=1, boot_id="b", process_start=1, capacity=size
        )
    )
    clock.move(2 * 86_400)
    sweeper = Sweeper(store, clock, 0.01, Keeping(days=1))

    sweeper.start()
    until(lambda: store.get(Node, node.id).state is NodeState.LOST)
    sweeper.close()

    told = store.find(Event, Query(workflow=workflow)).items
    assert [one.category for one in told] == ["compute_node_lost"]


def silent_node(store: MemoryStore, clock: SetClock) -> Node:
    workflow = store.create(fan(1), "ann").id
    store.initialize(workflow, Initialize())
    size = Resources(cpus=1, memory=2**30, gpus=0)
    return store.join(
        NewNode(
            workflow_id=workflow, epoch="e", hostname="n", pid=1, boot_id="b", process_start=1, capacity=size
        )
    )


@pytest.mark.parametrize("seconds", [3_600, -3_600])
def test_a_clock_that_is_set_loses_nobody_and_hides_nobody_for_long(clock: SetClock, seconds: int) -> None:
    store = MemoryStore(clock)
    node = silent_node(store, clock)
    sweeper = Sweeper(store, clock, 3.0)
    sweeper._sweep()

    clock.set(seconds)
    sweeper._sweep()

    assert store.get(Node, node.id).state is NodeState.ACTIVE
    for _ in range(700):
        clock.move(3.0)
        sweeper._sweep()
    assert store.get(Node, node.id).state is NodeState.LOST


def test_a_clock_that_is_adjusted_a_little_renews_nothing(clock: SetClock) -> None:
    store = MemoryStore(clock)
    node = silent_node(store, clock)
    sweeper = Sweeper(store, clock, 3.0)
    for _ in range(700):
        clock.move(3.0)
        clock.set(0.5)
        sweeper._sweep()

    assert store.get(Node, node.id).state is NodeState.LOST


def test_a_server_that_was_stopped_takes_nobody_for_lost(clock: SetClock) -> None:
    store = MemoryStore(clock)
    node = silent_node(store, clock)
    sweeper = Sweeper(store, clock, 0.01)
    sweeper._next = clock.monotonic()
    sweeper._sweep()

    clock.move(2 * 86_400)
    sweeper._sweep()

    assert store.get(Node, node.id).state is NodeState.ACTIVE


class Full:
    """A store on a disk that is full at first."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.refusals = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def renew_leases(self) -> None:
        self._write()
        self.store.renew_leases()

    def carry_out(self, operation: OperationId) -> Operation:
        self._write()
        return self.store.carry_out(operation)

    def _write(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the disk is full")


def test_a_server_that_was_stopped_and_cannot_write_at_first_takes_nobody_for_lost(clock: SetClock) -> None:
    store = MemoryStore(clock)
    node = silent_node(store, clock)
    sweeper = Sweeper(cast("Store", Full(store)), clock, 0.01)
    sweeper._next = clock.monotonic()
    sweeper._sweep()

    clock.move(2 * 86_400)
    for _ in range(2):
        sweeper._sweep()
        sweeper._next = clock.monotonic()

    assert store.get(Node, node.id).state is NodeState.ACTIVE


def test_an_operation_that_cannot_be_written_is_carried_out_later(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torc_http.housekeeping.PAUSE", 0.01)
    store = MemoryStore(clock)
    workflow = store.create(fan(1), "ann").id
    operation, _ = store.begin(workflow, "initialize_jobs", {})
    carrier = Carrier(cast("Store", Full(store)))

    carrier.take(operation.id)
    until(lambda: store.active_operation(workflow) is None)
    carrier.close()

    assert store.get(Operation, operation.id).status is OperationStatus.SUCCEEDED


def test_a_server_keeps_the_audit_record_for_a_year(clock: SetClock) -> None:
    store = MemoryStore(clock)
    store.add([AuditEntry(operation="old", principal="bob", established="password", peer="10.0.0.1")])
    clock.move(200 * 86_400)
    store.add([AuditEntry(operation="young", principal="bob", established="password", peer="10.0.0.1")])
    clock.move(200 * 86_400)
    sweeper = Sweeper(store, clock, 0.01)

    sweeper.start()
    until(lambda: store.find(AuditEntry, Query()).total == 1)
    sweeper.close()

    assert [one.operation for one in store.find(AuditEntry, Query()).items] == ["young"]
