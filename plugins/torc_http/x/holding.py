"""Turns over HTTP: those that only wait for work are held without a thread (`wire.md` X6, §7.3)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from torc_core.model import Assignment, Node, NodeId, Orders, Turn
from torc_core.protocols.store import Embedded
from torc_core.store.principal import Right
from torc_http.call import Answer, Call
from torc_http.hub.repeats import Repeats
from torc_http.hub.turns import HeldTurns, only_waits

if TYPE_CHECKING:
    from torc_core.store.guarded import Guarded
    from torc_http.counting import Counts
    from torc_http.running import Running

PAUSE_MS = (2_000, 5_000)
"""How long those wait before they ask again for whom there is no room."""


KEYED = "HTTP_IDEMPOTENCY_KEY"
"""Where the environment of a request holds its idempotency key."""


def turn(call: Call, turn: Turn, encode: Callable[[Orders], bytes]) -> Answer:
    """Answer a turn, at once or later."""
    if not call.principal.is_admin:
        # NOTE: before anything is ended or remembered in the name of a node: the caller has to be one who speaks for it.
        cast("Guarded", call.store).admit(Right.RUN, Node, (turn.node,))
    parts = call.service.parts or {}
    held: HeldTurns | None = parts.get("turns")
    if held is None or turn.beat is None:
        return _answered(call, turn, encode, held)
    if held.is_old(turn.node, turn.epoch, turn.beat.number):
        # It was under way for long, or twice: what it does not list may have been given to the node since.
        return _answered(call, replace(turn, beat=None), encode, held)
    try:
        return _answered(call, turn, encode, held)
    except BaseException:
        held.unheard(turn.node, turn.epoch, turn.beat.number)
        raise


def _answered(call: Call, turn: Turn, encode: Callable[[Orders], bytes], held: HeldTurns | None) -> Answer:
    parts = call.service.parts or {}
    encode = _with_capabilities(encode, parts.get("running"))
    counts: Counts | None = parts.get("counts")
    if turn.offer is not None and counts is not None:
        encode = _counting(encode, counts)
    if held is None:
        return Answer(raw=encode(call.store.turn(turn)))
    if KEYED in call.environ:
        # NOTE: what is done under a key is one transaction, and may have begun: who waits to write is not waited for.
        held.end_soon(turn.node)
        return _claimed(call, turn, encode, held)
    if turn.offer is None:
        held.end(turn.node)
        return Answer(raw=encode(call.store.turn(turn)))
    with held.repeats.alone(turn.node, turn.offer.claim_id):
        held.end(turn.node)
        if held.repeats.was_empty(turn.node, turn.offer.claim_id):
            # NOTE: nobody reads the second answer to a request that came twice; jobs in it would wait for the beats.
            return Answer(raw=encode(call.store.turn(replace(turn, offer=None))))
        return _claimed(call, turn, _noting(encode, held.repeats, turn.node, turn.offer.claim_id), held)


def _claimed(call: Call, turn: Turn, encode: Callable[[Orders], bytes], held: HeldTurns) -> Answer:
    if not isinstance(call.service.store, Embedded) or not only_waits(turn):
        return Answer(raw=encode(call.store.turn(turn)))
    assert turn.offer is not None
    # NOTE: the guarded store has to see the turn; its answer without a wait is what `try_turn` looks at again.
    orders, news = call.store.try_turn(replace(turn, offer=replace(turn.offer, wait_ms=0)))  # type: ignore[attr-defined]  # an embedded store, guarded or not
    if news:
        return Answer(raw=encode(orders))
    (workflow,) = call.service.store.owner_of(Node, [turn.node])
    hold = call.environ.get("torc.hold")
    if hold is not None and held.hold(turn, workflow, encode, hold.later):
        return Answer(raw=b"")
    return Answer(raw=encode(replace(orders, pause_ms=random.randint(*PAUSE_MS))))  # noqa: S311 - spreads a herd


def _noting(
    encode: Callable[[Orders], bytes], repeats: Repeats, node: NodeId, claim_id: str
) -> Callable[[Orders], bytes]:
    """Remember a claim that gets nothing, before it is told so."""

    def encoded(orders: Orders) -> bytes:
        if not orders.jobs:
            repeats.empty(node, claim_id)
        return encode(orders)

    return encoded


def _counting(encode: Callable[[Orders], bytes], counts: Counts) -> Callable[[Orders], bytes]:
    """Count what claims are given."""

    def encoded(orders: Orders) -> bytes:
        counts.claim(len(orders.jobs))
        return encode(orders)

    return encoded


def _given(one: Assignment, capability: str | None) -> Assignment:
    # PERF: `replace` looks at every field by name; this is a third of its time, once for each job.
    return Assignment(
        job=one.job, shape=one.shape, outputs=one.outputs, started=one.started, ahead=one.ahead,
        node_index=one.node_index, stated=one.stated, api_access=one.api_access, generation=one.generation,
        capability=capability,
    )  # fmt: skip


def _with_capabilities(
    encode: Callable[[Orders], bytes], running: Running | None
) -> Callable[[Orders], bytes]:
    """Give each job that goes out what lets it speak to this server."""
    if running is None:
        return encode

    def encoded(orders: Orders) -> bytes:
        jobs = [_given(one, running.capability(one)) for one in orders.jobs]
        return encode(replace(orders, jobs=jobs) if jobs else orders)

    return encoded
