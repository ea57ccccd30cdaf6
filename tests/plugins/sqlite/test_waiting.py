"""Threads share one store: held turns wake on commits, and listeners hear of commits in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

import pytest

from tests.waiting import SOON
from torc_core.errors import Unavailable
from torc_core.model import (
    Ending,
    Event,
    Initialize,
    JobStatus,
    NewNode,
    Node,
    Offer,
    Orders,
    Resources,
    Turn,
    WorkflowId,
)
from torc_core.store.patience import WRITER_PATIENCE
from torc_core.testing.plans import chain, fan
from torc_sql.store import SqlStore

Open = Callable[..., SqlStore]
ROOM = Resources(cpus=1, memory=2**30)


def test_a_held_turn_is_answered_when_another_thread_releases_a_job(opened: Open) -> None:
    store = opened()
    workflow = _started(store, 2)
    first, second = _node(store, workflow, "a"), _node(store, workflow, "b")
    (given,) = _ask(store, first, "c1").jobs
    answers: list[Orders] = []
    began = monotonic()
    waiter = threading.Thread(target=lambda: answers.append(_ask(store, second, "c2", wait_ms=20_000)))
    waiter.start()

    store.turn(Turn(node=first.id, epoch="a", endings=[
        Ending(job=given.job.id, run_id=1, attempt_id=1, lease="c1", status=JobStatus.COMPLETED, return_code=0)
    ]))  # fmt: skip
    waiter.join()

    assert [one.job.name for one in answers[0].jobs] == ["job1"]
    assert monotonic() - began < 15


def test_a_cancel_ends_a_held_turn(opened: Open) -> None:
    store = opened()
    workflow = _started(store, 2)
    first, second = _node(store, workflow, "a"), _node(store, workflow, "b")
    _ask(store, first, "c1")
    answers: list[Orders] = []
    waiter = threading.Thread(target=lambda: answers.append(_ask(store, second, "c2", wait_ms=20_000)))
    waiter.start()

    store.cancel(workflow)
    waiter.join()

    assert answers[0].canceled
    assert answers[0].jobs == []


def test_threads_never_claim_the_same_job(opened: Open) -> None:
    store = opened()
    workflow = store.create(fan(300), "ann").id
    store.initialize(workflow, Initialize())
    nodes = [_node(store, workflow, f"e{number}", cpus=1_000) for number in range(6)]
    given: list[int] = []

    def claim(node: Node) -> None:
        for number in range(1_000):
            jobs = _ask(store, node, f"{node.id}-{number}", limit=3).jobs
            if not jobs:
                return
            given.extend(one.job.id for one in jobs)

    threads = [threading.Thread(target=claim, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = {status.label: count for status, count in store.totals([workflow])[0].counts.items()}
    assert len(given) == len(set(given)) == sum(counts.values())
    assert counts == {"running": len(given)}


def test_listeners_hear_of_commits_in_their_order(opened: Open) -> None:
    store = opened()
    heard: list[int] = []

    def listen(events: Sequence[Event]) -> None:
        heard.extend(event.id for event in events)

    store.listen(listen)
    threads = [threading.Thread(target=lambda: store.create(chain(3), "ann")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heard == sorted(heard)
    assert len(heard) == 8


def test_a_listener_may_use_the_store(opened: Open) -> None:
    store = opened()
    seen: list[str] = []
    store.listen(lambda events: seen.extend(store.get(Event, event.id).category for event in events))

    store.create(chain(3), "ann")

    assert seen == ["workflow_created"]


def _started(store: SqlStore, count: int) -> WorkflowId:
    workflow = store.create(chain(count), "ann").id
    store.initialize(workflow, Initialize())
    return workflow


def _node(store: SqlStore, workflow: WorkflowId, epoch: str, cpus: int = 1) -> Node:
    return store.join(
        NewNode(workflow_id=workflow, epoch=epoch, hostname="n", pid=1, boot_id="b", process_start=1,
                capacity=Resources(cpus=cpus, memory=2**40))
    )  # fmt: skip


def _ask(store: SqlStore, node: Node, claim: str, *, limit: int = 64, wait_ms: int = 0) -> Orders:
    offer = Offer(claim_id=claim, free=[node.capacity], limit=limit, wait_ms=wait_ms)
    return store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer))


def test_who_may_not_wait_is_told_that_others_write(opened: Open) -> None:
    """`promises.md` W3: a request waits for its turn as long as its method allows."""
    store = opened()
    store.create(fan(1), "ann")
    holds, go = threading.Event(), threading.Event()

    def hold() -> None:
        with store.together():
            store.create(fan(1), "ann")
            holds.set()
            go.wait(SOON)

    writer = threading.Thread(target=hold)
    writer.start()
    assert holds.wait(SOON)
    token = WRITER_PATIENCE.set(0.1)
    try:
        with pytest.raises(Unavailable, match=r"others have been writing to the database for 0.1 s"):
            store.create(fan(1), "ann")
    finally:
        WRITER_PATIENCE.reset(token)
        go.set()
        writer.join()

    assert store.create(fan(1), "ann").id
