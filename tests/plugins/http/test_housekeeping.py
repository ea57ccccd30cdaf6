"""What a server does by itself: nodes that are silent, and events that are too old."""

from __future__ import annotations

import time

from torc_core.model import AuditEntry, Event, Initialize, NewNode, Node, NodeState, Query, Resources
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_http.housekeeping import Keeping, Sweeper


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
    until = time.monotonic() + 10
    while store.get(Node, node.id).state is not NodeState.LOST and time.monotonic() < until:
        time.sleep(0.01)
    sweeper.close()

    assert store.get(Node, node.id).state is NodeState.LOST
    told = store.find(Event, Query(workflow=workflow)).items
    assert [one.category for one in told] == ["compute_node_lost"]


def test_a_server_keeps_the_audit_record_for_a_year(clock: SetClock) -> None:
    store = MemoryStore(clock)
    store.add([AuditEntry(operation="old", principal="bob", established="password", peer="10.0.0.1")])
    clock.move(200 * 86_400)
    store.add([AuditEntry(operation="young", principal="bob", established="password", peer="10.0.0.1")])
    clock.move(200 * 86_400)
    sweeper = Sweeper(store, clock, 0.01)

    sweeper.start()
    until = time.monotonic() + 10
    while store.find(AuditEntry, Query()).total > 1 and time.monotonic() < until:
        time.sleep(0.01)
    sweeper.close()

    assert [one.operation for one in store.find(AuditEntry, Query()).items] == ["young"]
