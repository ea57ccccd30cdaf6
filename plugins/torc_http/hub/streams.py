"""Readers of events: each gets everything after its mark, in order, first from the store and then as it is committed."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torc_core.errors import TorcError
from torc_core.model import Event, Page, Query, Severity, Workflow, WorkflowId
from torc_core.protocols import Store
from torc_http.hub.turns import HeldRequest, Later, answered

log = logging.getLogger(__name__)

PIECE = 1_000
"""Events that are read from the store at once for a reader that has fallen behind."""

LOOK_AGAIN = 5.0
"""Seconds after which it is looked again what a reader may know of."""

LEVELS = tuple(Severity)


class Sink(Protocol):
    """A connection to which frames can be given without waiting."""

    def send(self, piece: bytes) -> bool:
        """Queue bytes; False: the reader has gone or was cut."""
        ...

    def room(self) -> int:
        """Bytes that may be queued before the reader is cut."""
        ...

    def close(self) -> None:
        """Let the reader go; it comes again and goes on where it was."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a reader wants to hear of.

    Parameters
    ----------
    workflow
        None: all that `readable` lets through.
    readable
        Whether the reader may know of a workflow, at this moment.
    """

    workflow: WorkflowId | None
    level: Severity = Severity.INFO
    types: Collection[str] = ()
    readable: Callable[[WorkflowId], bool] = lambda workflow: True

    def wants(self, event: Event) -> bool:
        """Whether an event is to be told."""
        if self.workflow is not None and event.workflow_id != self.workflow:
            return False
        if LEVELS.index(event.severity) < LEVELS.index(self.level):
            return False
        if self.types and event.category not in self.types:
            return False
        return self.readable(event.workflow_id)


class Readable:
    """The workflows that a reader may know of: looked up again when one comes that is new, and as time goes.

    Parameters
    ----------
    look
        The workflows that it may read now; None: all.
    """

    def __init__(
        self, store: Store, look: Callable[[], Collection[WorkflowId] | None], monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._look = look
        self._monotonic = monotonic
        self._at = monotonic()
        self._allowed = look()
        newest = store.find(Workflow, Query(reverse=True, limit=1)).items
        self._newest = newest[0].id if newest else WorkflowId(0)

    def __call__(self, workflow: WorkflowId) -> bool:
        new = workflow > self._newest
        if new or self._monotonic() - self._at >= LOOK_AGAIN:
            self._newest = max(workflow, self._newest)
            self._at = self._monotonic()
            try:
                self._allowed = self._seen(self._look())
            except TorcError as error:
                log.warning("readable workflows not looked up why=%s", error)
        return self._allowed is None or workflow in self._allowed

    def _seen(self, now: Collection[WorkflowId] | None) -> Collection[WorkflowId] | None:
        """What may be read now, and what could be until it was deleted: that it was is told too."""
        if now is None or self._allowed is None:
            return now
        return {*now, *(one for one in self._allowed if one not in now and self._deleted(one))}

    def _deleted(self, workflow: WorkflowId) -> bool:
        return not self._store.find(Workflow, Query(where={"id": workflow}, limit=1)).items


@dataclass(slots=True, eq=False)
class _Reader:
    wish: Wish
    sink: Sink
    seen: int
    """The number of the last event that was looked at for it."""
    live: bool = False
    gone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True, eq=False)
class _Asking:
    workflow: WorkflowId
    after: int
    limit: int
    request: HeldRequest | None = None


class Streams:
    """Every reader of this server; one thread reads back for those that are behind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers: list[_Reader] = []
        self._asking: list[_Asking] = []
        self._behind = threading.Condition()
        self._queue: list[_Reader] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, wish: Wish, sink: Sink, after: int | None) -> None:
        """Tell a reader everything after a number, then what is new; None: only what is new."""
        newest = newest_event(self._store)
        hello = f"retry: 2000\nevent: hello\ndata: {json.dumps({'seq': newest})}\n\n".encode()
        reader = _Reader(wish, sink, newest if after is None else after)
        with self._behind:
            if not sink.send(hello):
                return
            self._readers.append(reader)
            self._queue.append(reader)
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="torc-streams", daemon=True)
                thread.start()
                self._thread = thread
            self._behind.notify()

    def leave(self, sink: Sink) -> None:
        """A reader has hung up."""
        with self._behind:
            self._readers = [one for one in self._readers if one.sink is not sink]

    def hold(self, workflow: WorkflowId, after: int, limit: int, seconds: float, later: Later) -> bool:
        """Answer a request for events when there is one, or with none when its time is over; False: no room."""
        one = _Asking(workflow, after, limit)
        with self._behind:
            # NOTE: what its end or its deadline asks for waits until it is known here.
            one.request = later(
                seconds=seconds,
                on_deadline=lambda held: self._answer(one),
                on_gone=lambda held: self._leave(one),
            )
            if one.request is None:
                return False
            self._asking.append(one)
        # What was committed between the first look and now has been told to nobody.
        if events_after(self._store, workflow, after, 1).items:
            self._answer(one)
        return True

    def _answer(self, one: _Asking) -> None:
        def told() -> bytes:
            found = events_after(self._store, one.workflow, one.after, one.limit).items
            return json.dumps(piece(found, one.after)).encode()

        if self._leave(one) and one.request is not None:
            answered(one.request, told)

    def _leave(self, one: _Asking) -> bool:
        with self._behind:
            there = one in self._asking
            if there:
                self._asking.remove(one)
        return there

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed; called in commit order."""
        if self._asking:
            workflows = {event.workflow_id for event in events}
            for one in [one for one in self._asking if one.workflow in workflows]:
                self._answer(one)
        for reader in list(self._readers):
            with reader.lock:
                if reader.gone:
                    self._drop(reader)
                elif reader.live:
                    self._give(reader, events)

    def close(self) -> None:
        """Forget all readers; their connections are the transport's."""
        with self._behind:
            self._closed = True
            self._readers.clear()
            self._behind.notify()

    def _serve(self) -> None:
        while True:
            with self._behind:
                while not self._queue and not self._closed:
                    self._behind.wait()
                if self._closed:
                    return
                reader = self._queue.pop(0)
            try:
                done = self._catch_up(reader)
            except Exception as error:
                # The reader comes again and goes on where it was; the others are not let down.
                log.warning("stream not read back why=%s", error, exc_info=not isinstance(error, TorcError))
                reader.gone = True
                self._drop(reader)
                reader.sink.close()
                continue
            if not done and not reader.gone:
                with self._behind:
                    self._queue.append(reader)
                    if len(self._queue) == 1:
                        self._behind.wait(0.02)  # its buffer is full; the others have had their turns

    def _catch_up(self, reader: _Reader) -> bool:
        """Read a piece back for a reader; whether it is live now, or gone."""
        if reader.sink.room() < 64 * 1024:
            return reader.gone
        # While the lock is held no commit can be told, so nothing falls between the last look and what comes live.
        with reader.lock:
            page = events_after(self._store, reader.wish.workflow, reader.seen, PIECE)
            self._give(reader, page.items)
            reader.live = len(page.items) < PIECE
            return reader.live or reader.gone

    def _give(self, reader: _Reader, events: Sequence[Event]) -> None:
        for event in events:
            if event.id <= reader.seen:
                continue
            reader.seen = event.id
            if reader.wish.wants(event) and not reader.sink.send(frame(event)):
                reader.gone = True
                self._drop(reader)
                return

    def _drop(self, reader: _Reader) -> None:
        with self._behind:
            if reader in self._readers:
                self._readers.remove(reader)


def events_after(store: Store, workflow: WorkflowId | None, after: int, limit: int) -> Page[Event]:
    """The next events of a workflow, or of all."""
    return store.find(Event, Query(workflow=workflow, above=after, limit=limit))


def newest_event(store: Store) -> int:
    """The number of the newest event; 0: there is none."""
    found = store.find(Event, Query(reverse=True, limit=1)).items
    return found[0].id if found else 0


def told(event: Event) -> dict[str, Any]:
    """An event as streams tell it."""
    return {
        "seq": event.id, "workflow_id": event.workflow_id, "timestamp": event.timestamp,
        "event_type": event.category, "severity": event.severity.value, "data": event.data,
    }  # fmt: skip


def piece(items: Sequence[Event], after: int) -> dict[str, Any]:
    """Events as JSON, and from where to go on."""
    return {"events": [told(one) for one in items], "after": items[-1].id if items else after}


def frame(event: Event) -> bytes:
    """An event as a frame of `text/event-stream`; names of clients' own cannot break out of their line."""
    name = " ".join(event.category.split()) or "user"
    return f"id: {event.id}\nevent: {name}\ndata: {json.dumps(told(event))}\n\n".encode()
