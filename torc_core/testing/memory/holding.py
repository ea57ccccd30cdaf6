"""How a store in memory holds its lock, and what follows when it lets go; every verb stands on this."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from threading import Condition, RLock
from typing import Any

from torc_core.engine import telling
from torc_core.engine.records import Look
from torc_core.errors import Invalid, NotFound
from torc_core.model import EVENTS, Event, EventId, NodeId, Progress, Severity, WorkflowId
from torc_core.protocols import Clock
from torc_core.store.fields import PAIRS, WITHOUT_WORKFLOW, known
from torc_core.store.rules import USUAL, StoreRules
from torc_core.testing.memory import catalog
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow


class Holding:
    """One lock, one condition for those who wait for work, and all that is stored."""

    def __init__(self, clock: Clock, rules: StoreRules = USUAL) -> None:
        self._clock = clock
        self._rules = rules
        self._server_id = clock.uuid()
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._flows: dict[WorkflowId, Flow] = {}
        self._numbers: dict[str, int] = {}
        self._events: dict[EventId, Event] = {}
        self._turns: dict[NodeId, int] = {}
        self._depth = 0
        self._version = 0
        self._callbacks: list[Callable[[Sequence[Event]], None]] = []
        self._delivery = RLock()
        self._undelivered: deque[Sequence[Event]] = deque()
        self._wakers: list[Callable[[Collection[WorkflowId]], None]] = []
        self._woken: set[WorkflowId] = set()
        self._records: dict[type[Any], dict[int, Any]] = {}
        """Records that belong to no workflow, by kind."""

    def close(self) -> None:
        """Nothing to let go of."""

    def listen(self, callback: Callable[[Sequence[Event]], None]) -> None:
        """Call back after each commit, in commit order and outside of the lock."""
        self._callbacks.append(callback)

    def on_wake(self, callback: Callable[[Collection[WorkflowId]], None]) -> None:
        """Call back after each commit that those should look at who wait for work."""
        self._wakers.append(callback)

    @contextmanager
    def together(self, first: Callable[[], None] | None = None) -> Iterator[None]:
        """What this thread does in the block is one transaction."""
        with self._locked():
            before = deepcopy((self._flows, self._numbers, self._events, self._turns, self._records))
            told = len(self._undelivered)
            try:
                if first is not None:
                    first()
                yield
            except BaseException:
                self._flows, self._numbers, self._events, self._turns, self._records = before
                while len(self._undelivered) > told:
                    self._undelivered.pop()
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; what was committed meanwhile is told when the outermost holder lets go."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                outermost = not self._depth
                woken = self._woken if outermost else set()
                self._woken = set() if outermost else self._woken
        if outermost and self._undelivered:
            self._deliver()
        if woken:
            for waker in self._wakers:
                waker(woken)

    @contextmanager
    def _change(self, workflow: WorkflowId) -> Iterator[Change]:
        """One transaction. Rules are checked before anything is written, so an error leaves all as it was."""
        with self._locked():
            change = Change(self._flow(workflow), self._clock.now(), self._number, self._rules)
            yield change
            self._write(workflow, change.close())
            if change.touched:
                self._woken.add(workflow)
                self._version += 1
                self._changed.notify_all()

    def _write(
        self, workflow: WorkflowId, told: Sequence[telling.Told], severity: Severity | None = None
    ) -> list[Event]:
        now = self._clock.now()
        written = [
            Event(
                id=EventId(self._number("event")), workflow_id=workflow, timestamp=now, category=name,
                severity=severity or EVENTS[name], data=data,
            )
            for name, data in told
        ]  # fmt: skip
        self._events.update((event.id, event) for event in written)
        if written and self._callbacks:
            self._undelivered.append(written)
        return written

    def _deliver(self) -> None:
        with self._delivery:
            while self._undelivered:
                events = self._undelivered.popleft()
                for callback in self._callbacks:
                    callback(events)

    def _progress(self, change: Change) -> Progress:
        workflow = change.flow.workflow
        return Progress(workflow=workflow.id, run_id=workflow.run_id, moved=change.moved)

    def _number(self, kind: str) -> int:
        """The next id of a kind; none is ever used twice."""
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return number

    def _flow(self, workflow: WorkflowId) -> Flow:
        if workflow not in self._flows:
            raise NotFound(f"no workflow {workflow}")
        return self._flows[workflow]

    def _flow_of(self, kind: type[Any], id: int) -> Flow:
        flow = self._record(kind, id)[0]
        assert flow is not None
        return flow

    def _record(self, kind: type[Any], id: int) -> tuple[Flow | None, Any]:
        noun = known(kind).noun
        if kind in PAIRS:
            raise Invalid(f"a {noun} has no id; list them instead")
        if kind is Event and EventId(id) in self._events:
            event = self._events[EventId(id)]
            return self._flows.get(event.workflow_id), event
        if kind in WITHOUT_WORKFLOW and id in self._records.get(kind, {}):
            return None, self._records[kind][id]
        for flow in self._flows.values() if kind not in (Event, *WITHOUT_WORKFLOW) else ():
            found = catalog.one(flow, kind, id)
            if found is not None:
                return flow, found
        raise NotFound(f"no {noun} {id}")

    def _look(self, workflow: WorkflowId | None) -> Look:
        """What the rules of records ask about those that are there."""

        def look(kind: type[Any], wanted: Mapping[str, Any]) -> list[Any]:
            if kind in WITHOUT_WORKFLOW:
                rows = list(self._records.get(kind, {}).values())
            else:
                flows = [flow for id, flow in self._flows.items() if workflow in (None, id)]
                rows = [one for flow in flows for one in flow.tables[kind].values()]
            return [
                one for one in rows if all(_is(getattr(one, name), value) for name, value in wanted.items())
            ]

        return look


def _is(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, tuple) else value == wanted
