"""Turns that wait for work (`wire.md` §7.3): one thread looks again for all of them when a commit wakes their workflow."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from torc_core.errors import TorcError
from torc_core.model import NodeId, Offer, Orders, Turn, WorkflowId
from torc_core.protocols import Embedded
from torc_http.errors import failure
from torc_http.hub.repeats import Repeats

log = logging.getLogger(__name__)

LONGEST = 20.0
"""Seconds that a turn is held at most."""

EQUAL_MISSES = 4
"""After so many equal offers in a row that got nothing, the next ones would get nothing either."""

LOOK_AGAIN = 1.0
"""Seconds after which those that were passed over have their turn as well."""

LATE = 0.002
"""Seconds after a delayed retry is due until it is looked for."""

JSON = ("Content-Type", "application/json")


class HeldRequest(Protocol):
    """A request whose connection waits elsewhere."""

    @property
    def request_id(self) -> str:
        """What it is called in the log."""
        ...

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> bool:
        """Answer it, from any thread; False: the client has gone, or it was answered before."""
        ...


Later = Callable[..., HeldRequest | None]
"""Hands a connection over (`torc_http.serving.handover.Hold.later`); None: too many wait already."""


@dataclass(slots=True, eq=False)
class _Waiting:
    turn: Turn
    workflow: WorkflowId
    equal: Hashable
    encode: Callable[[Orders], bytes]
    request: HeldRequest | None = None
    over: bool = False
    last: bool = False
    """Whether the next look is the last one, whatever it finds."""
    looking: threading.Lock = field(default_factory=threading.Lock)


class HeldTurns:
    """At most one per node; the next turn of a node ends the one that is held."""

    def __init__(self, store: Embedded) -> None:
        self.repeats = Repeats()
        self._store = store
        self._changed = threading.Condition()
        self._waiting: dict[NodeId, _Waiting] = {}
        self._lines: dict[WorkflowId, deque[_Waiting]] = {}
        self._woken: set[WorkflowId] = set()
        self._passed_over: set[WorkflowId] = set()
        self._retries: dict[WorkflowId, float] = {}
        self._beats: dict[NodeId, tuple[str, int]] = {}
        self._closed = False
        self._thread: threading.Thread | None = None
        store.on_wake(self._wake)

    def is_old(self, node: NodeId, epoch: str, number: int) -> bool:
        """Whether a later beat of this node has been here already, or this very one."""
        known = self._beats.get(node)
        if number == 0 or known is None or known[0] != epoch or known[1] < number:
            self._beats[node] = epoch, number
            return False
        return True

    def unheard(self, node: NodeId, epoch: str, number: int) -> None:
        """The turn of this beat failed: it may come again, as long as no later one has been here."""
        if self._beats.get(node) == (epoch, number):
            self._beats[node] = epoch, number - 1

    def __len__(self) -> int:
        return len(self._waiting)

    def hold(self, turn: Turn, workflow: WorkflowId, encode: Callable[[Orders], bytes], later: Later) -> bool:
        """Answer this turn when there is something to say, or when its time is over; False: no room."""
        assert turn.offer is not None
        offer = turn.offer
        equal = (
            tuple(offer.free),
            offer.time_limit,
            offer.by_count,
            offer.limit,
            offer.strict_scheduler_match,
        )
        one = _Waiting(_at_once(turn, offer), workflow, equal, encode)
        with self._changed:
            # NOTE: what its end or its deadline asks for waits until it is known here.
            one.request = later(
                seconds=min(offer.wait_ms / 1000, LONGEST),
                on_deadline=lambda held: self._look(one, last=True),
                on_gone=lambda held: self._forget(one),
            )
            if one.request is None:
                return False
            before = self._waiting.get(turn.node)
            self._waiting[turn.node] = one
            self._lines.setdefault(workflow, deque()).append(one)
            # What was committed between the first look and now has woken nobody for this one.
            self._woken.add(workflow)
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="torc-held", daemon=True)
                thread.start()
                self._thread = thread
            self._changed.notify()
        if before is not None:
            self._end(before)
        return True

    def end(self, node: NodeId) -> None:
        """The node's next turn is here: the one that is held is answered empty."""
        if node not in self._waiting:
            return
        with self._changed:
            one = self._waiting.get(node)
        if one is not None:
            self._end(one)

    def end_soon(self, node: NodeId) -> None:
        """The same for who may not wait: a look that is under way may wait for what he has begun to write himself."""
        with self._changed:
            one = self._waiting.get(node)
            if one is not None:
                one.last = True
                self._woken.add(one.workflow)
                self._changed.notify()

    def close(self) -> None:
        """Answer all that is held, empty."""
        with self._changed:
            self._closed = True
            left = list(self._waiting.values())
            self._changed.notify()
        for one in left:
            self._end(one)

    def _end(self, one: _Waiting) -> None:
        """Answer one empty, unless work is just being looked for, and found: that is for nobody else."""
        with one.looking:
            if self._take(one):
                self._tell(one, Orders())

    def _wake(self, workflows: Collection[WorkflowId]) -> None:
        if not self._waiting:
            return
        with self._changed:
            mine = [workflow for workflow in workflows if workflow in self._lines]
            if mine:
                self._woken.update(mine)
                self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._woken and not self._closed:
                    self._changed.wait(self._pause())
                if self._closed:
                    return
                woken = self._woken | self._due() or self._passed_over
                self._woken = set()
                self._passed_over = self._passed_over - woken
                lines = {workflow: list(self._lines.get(workflow, ())) for workflow in woken}
            for workflow, line in lines.items():
                self._look_along(workflow, line)

    def _pause(self) -> float | None:
        """Seconds until to look without being woken; None: there is no need to."""
        times = [at - time.monotonic() for at in self._retries.values()]
        if self._passed_over:
            times.append(LOOK_AGAIN)
        return max(0.0, min(times)) if times else None

    def _due(self) -> set[WorkflowId]:
        """Take the workflows in which a delayed retry is due."""
        now = time.monotonic()
        due = {workflow for workflow, at in self._retries.items() if at <= now}
        for workflow in due:
            del self._retries[workflow]
        return due

    def _look_along(self, workflow: WorkflowId, line: Sequence[_Waiting]) -> None:
        misses: dict[Hashable, int] = {}
        missed: list[_Waiting] = []
        for one in line:
            if one.over:
                continue
            if misses.get(one.equal, 0) >= EQUAL_MISSES:
                self._passed_over.add(workflow)
            elif self._look(one, last=one.last):
                misses[one.equal] = 0
            else:
                misses[one.equal] = misses.get(one.equal, 0) + 1
                missed.append(one)
        with self._changed:
            left = [one for one in self._lines.get(workflow, ()) if not one.over]
            if workflow in self._passed_over:
                # Those that were passed over come first the next time.
                left = [one for one in left if one not in missed] + [one for one in left if one in missed]
            if left:
                self._lines[workflow] = deque(left)
            else:
                self._lines.pop(workflow, None)

    def _look(self, one: _Waiting, *, last: bool = False) -> bool:
        """Try a turn again; whether it was answered."""
        with one.looking:
            return one.over or self._tried(one, last=last)

    def _tried(self, one: _Waiting, *, last: bool) -> bool:
        try:
            orders, news = self._store.try_turn(one.turn, again=True)
        except TorcError as error:
            # The client finds out by its next turn, which is answered with the error itself.
            log.debug("held turn failed node_id=%s why=%s", one.turn.node, error)
            orders, news = Orders(), True
        except Exception:
            log.exception("held turn failed node_id=%s", one.turn.node)
            orders, news = Orders(), True
        if orders.retry_ms is not None:
            with self._changed:
                self._retries[one.workflow] = time.monotonic() + orders.retry_ms / 1000 + LATE
        if not news and not last:
            return False
        if self._take(one) and not self._tell(one, orders) and orders.jobs:
            # The same claim id gives its jobs again; what is never asked for heals by the beats.
            log.info("held turn answered to nobody node_id=%s jobs=%d", one.turn.node, len(orders.jobs))
        return True

    def _take(self, one: _Waiting) -> bool:
        """Be the one who answers."""
        with self._changed:
            if self._waiting.get(one.turn.node) is one:
                del self._waiting[one.turn.node]
            mine, one.over = not one.over, True
        return mine

    def _forget(self, one: _Waiting) -> None:
        self._take(one)

    def _tell(self, one: _Waiting, orders: Orders) -> bool:
        assert one.request is not None
        return answered(one.request, lambda: one.encode(orders))


def answered(request: HeldRequest, told: Callable[[], bytes]) -> bool:
    """Answer a request that was held with what is found, or with why nothing can be: as `HeldRequest.answer`."""
    try:
        return request.answer(200, (JSON,), told())
    except Exception as error:
        # NOTE: what it is about may be gone, or cannot be read; who answers it has others to answer, or to write for.
        failed = failure(error, request.request_id)
        body = orjson.dumps(failed.body, default=repr)
        return request.answer(failed.status, (JSON, *failed.headers.items()), body)


def only_waits(turn: Turn) -> bool:
    """Whether a turn carries nothing but an offer that may be held."""
    said: Sequence[Any] = (turn.endings, turn.starts, turn.give_back, turn.beat)
    return turn.offer is not None and turn.offer.wait_ms > 0 and not any(said)


def _at_once(turn: Turn, offer: Offer) -> Turn:
    return replace(turn, offer=replace(offer, wait_ms=0))
