"""One transaction: prepared statements in, rows out, and the books that are settled just before the commit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from torc_core.engine import telling
from torc_core.model import EVENTS, Event, EventId, Json, WorkflowId
from torc_core.store.rules import USUAL

Row = Sequence[Any]

IN_BLOCKS = frozenset({"event", "result"})
BLOCK = 1_000
"""PERF: ids that every turn needs are taken by so many at once; what a process leaves of a block is never used."""


class Cursor(Protocol):
    """What a database driver's cursor has (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        ...

    def execute(self, sql: str, parameters: Any = (), /) -> object:
        """Execute a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        """Execute a statement once for each row."""
        ...

    def fetchone(self) -> Any:
        """The next row, None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """The rest of the rows."""
        ...


class Transaction:
    """Statements by name on one connection, between a begin and a commit.

    Parameters
    ----------
    now
        Milliseconds since 1970: the instant of everything that this transaction writes.
    marker
        How the driver wants a positional parameter to be written.

    `committed` and `undone` are called with the transaction when it is over, while nobody else can write. `blocks`
    are ids that were taken in advance, as (next, end) by kind; who begins the transaction lends them to it, and says by
    which `rules` it writes.
    """

    __slots__ = (
        "_cursor",
        "_jobs",
        "_marker",
        "_ready",
        "_texts",
        "_told",
        "_written",
        "blocks",
        "committed",
        "now",
        "rules",
        "undone",
        "woken",
    )

    def __init__(self, cursor: Cursor, texts: Mapping[str, str], now: int, marker: str = "?") -> None:
        self._cursor = cursor
        self._texts = texts
        self._marker = marker
        self.now = now
        self.committed: Callable[[Transaction], None] = _nothing
        self.undone: Callable[[Transaction], None] = _nothing
        self.blocks: dict[str, tuple[int, int]] = {}
        self.rules = USUAL
        self._jobs: Counter[tuple[int, int]] = Counter()
        self._ready: Counter[int] = Counter()
        self._told: dict[WorkflowId, list[telling.Told]] = {}
        self._written: list[Event | tuple[int, WorkflowId, str, Mapping[str, Json]]] = []
        self.woken: set[WorkflowId] = set()

    def rows(self, statement: str, **values: object) -> list[Any]:
        """All rows of a statement."""
        self._cursor.execute(self._texts[statement], values)
        return self._cursor.fetchall()

    def row(self, statement: str, **values: object) -> Any:
        """The first row of a statement, None when it has none."""
        self._cursor.execute(self._texts[statement], values)
        return self._cursor.fetchone()

    def run(self, statement: str, **values: object) -> int:
        """Execute a statement; the number of rows it changed."""
        self._cursor.execute(self._texts[statement], values)
        return self._cursor.rowcount

    def many(self, statement: str, rows: Iterable[Any]) -> int:
        """Execute a statement once for each row: tuples for `INSERT_…`, mappings for all others; rows it changed."""
        self._cursor.executemany(self._texts[statement], rows)
        return self._cursor.rowcount

    def free(self, sql: str, values: Sequence[object]) -> list[Any]:
        """Rows of a statement that the caller put together from names of the allow-list; `?` marks a value."""
        self._cursor.execute(sql if self._marker == "?" else sql.replace("?", self._marker), values)
        return self._cursor.fetchall()

    def text(self, statement: str) -> str:
        """The text of a statement, to be extended and given to `free`."""
        return self._texts[statement]

    def ids(self, kind: str, count: int) -> int:
        """Take `count` ids of a kind, never given before; the first of them."""
        if not count:
            return 0
        if kind not in IN_BLOCKS:
            return self._next(kind, count)
        first, end = self.blocks.get(kind, (0, 0))
        if end - first < count:
            size = max(count, BLOCK)
            first = self._next(kind, size)
            end = first + size
        self.blocks[kind] = (first + count, end)
        return first

    def _next(self, kind: str, count: int) -> int:
        return int(self.row("NEXT_IDS", kind_=kind, count_=count)[0]) - count + 1

    def moved(self, workflow: WorkflowId, old: int, new: int, count: int = 1) -> None:
        """Remember that jobs changed their status, for the counts of the workflow."""
        self._jobs[workflow, old] -= count
        self._jobs[workflow, new] += count

    def counted(self, workflow: WorkflowId, status: int, count: int) -> None:
        """Remember that jobs of a status came (or went, when negative)."""
        self._jobs[workflow, status] += count

    def ready(self, job_class: int, count: int) -> None:
        """Remember that a class has more (or fewer) jobs to hand out."""
        self._ready[job_class] += count

    def wake(self, workflow: WorkflowId) -> None:
        """Whoever waits for something to happen in this workflow shall look again after the commit."""
        self.woken.add(workflow)

    def tell(self, workflow: WorkflowId, category: str, data: Mapping[str, Json]) -> None:
        """Write an event with this commit; its severity is that of its name."""
        self._told.setdefault(workflow, []).append((category, data))

    def post(self, event: Event) -> None:
        """Write an event that somebody else made and that has its id already."""
        self.many("INSERT_EVENT", [(event.id, event.workflow_id, event.timestamp, event.category, event.severity.value,
                                    json.dumps(event.data))])  # fmt: skip
        self._written.append(event)

    def settle(self) -> None:
        """Write the counts and the events: the last thing before the commit, and after each part of a longer one."""
        jobs = [{"wf_": wf, "status_": s, "delta": n} for (wf, s), n in self._jobs.items() if n]
        self._jobs.clear()
        if jobs:
            self.many("COUNT_JOBS", jobs)
        self.write_ready()
        told = [(wf, *event) for wf, events in self._told.items() for event in telling.bundled(events)]
        self._told.clear()
        if told:
            self._write(told)

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of this transaction that is settled, or undone by an exception, by itself."""
        self._cursor.execute("SAVEPOINT part")
        written, woken = len(self._written), set(self.woken)
        try:
            yield
            self.settle()
        except BaseException as error:
            try:
                self._cursor.execute("ROLLBACK TO part")
                self._cursor.execute("RELEASE part")
            except Exception:
                # NOTE: a full disk has undone the whole transaction already; that the part is gone says nothing of why.
                raise error from None
            for books in (self._jobs, self._ready, self._told):
                books.clear()
            del self._written[written:]
            self.woken = woken
            # What was taken or made in the part may come again: ids, classes.
            self.undone(self)
            raise
        self._cursor.execute("RELEASE part")

    def write_ready(self) -> None:
        """Write the counts of the classes, so that they can be read."""
        ready = [{"class_": key, "delta": n} for key, n in self._ready.items() if n]
        self._ready.clear()
        if ready:
            self.many("COUNT_READY", ready)

    def _write(self, told: Sequence[tuple[WorkflowId, str, Mapping[str, Json]]]) -> None:
        first = self.ids("event", len(told))
        self.many(
            "INSERT_EVENT",
            [
                (first + i, wf, self.now, category, EVENTS[category].value, json.dumps(data))
                for i, (wf, category, data) in enumerate(told)
            ],
        )
        self._written += [(first + i, *event) for i, event in enumerate(told)]

    @property
    def events(self) -> list[Event]:
        """The events of this commit; made only when somebody wants to hear them."""
        return [
            one
            if isinstance(one, Event)
            else Event(id=EventId(one[0]), workflow_id=one[1], timestamp=self.now, category=one[2],
                       severity=EVENTS[one[2]], data=one[3])
            for one in self._written
        ]  # fmt: skip


def _nothing(tx: Transaction) -> None:
    """What follows when nobody waits for the end of a transaction."""
