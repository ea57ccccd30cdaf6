"""How a SQL store begins transactions, and what follows from their commits; every verb stands on this."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock, RLock, local
from typing import TYPE_CHECKING, Any

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_core.model import Event, Query, Workflow, WorkflowId
from torc_core.store.fields import PAIRS, known
from torc_core.store.rules import USUAL, StoreRules
from torc_sql import deletion, finding
from torc_sql.change import Change
from torc_sql.dialect import Database
from torc_sql.shapes import Shapes
from torc_sql.transaction import Transaction
from torc_sql.waiting import Waiting

if TYPE_CHECKING:
    from torc_core.protocols import Clock


class Transacting:
    """Transactions on one database, for any number of threads."""

    def __init__(self, database: Database, clock: Clock, rules: StoreRules = USUAL) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._shapes: Shapes = {}
        self._blocks: dict[str, tuple[int, int]] = {}
        self._waiting = Waiting()
        self._callbacks: list[Callable[[Sequence[Event]], None]] = []
        self._wakers: list[Callable[[Collection[WorkflowId]], None]] = []
        self._undelivered: deque[Sequence[Event]] = deque()
        self._delivery = RLock()
        self._first = Lock()
        self._resumed = False
        self._mine = local()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread does in the block is one transaction."""
        tx = self._present()
        if tx is not None:
            with tx.part():
                yield
            return
        after: list[Callable[[], None]] = []
        self._mine.after = after
        with self._begin() as tx:
            self._mine.tx = tx
            try:
                yield
            finally:
                self._mine.tx = None
        for do in after:
            do()

    def _afterwards(self, do: Callable[[], None]) -> None:
        """Do something when what this thread writes is committed; that is now, unless it is in `together`."""
        if self._present() is None:
            do()
        else:
            self._mine.after.append(do)

    def listen(self, callback: Callable[[Sequence[Event]], None]) -> None:
        """Call back after each commit that stored events, in commit order and outside of any lock."""
        self._callbacks.append(callback)

    def on_wake(self, callback: Callable[[Collection[WorkflowId]], None]) -> None:
        """Call back after each commit that those should look at who wait for work."""
        self._wakers.append(callback)

    def publish(self, address: Mapping[str, str]) -> None:
        """Tell other processes on this host where the store is served."""
        self._database.publish(address)

    def close(self) -> None:
        """Let go of files and connections."""
        self._database.close()

    def _present(self) -> Transaction | None:
        """The transaction that this thread is in."""
        tx: Transaction | None = getattr(self._mine, "tx", None)
        return tx

    @contextmanager
    def _read(self) -> Iterator[Transaction]:
        """A snapshot; inside of `together`, what that has written so far."""
        tx = self._present()
        if tx is not None:
            yield tx
            return
        with self._database.read() as tx:
            yield tx

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """What this thread reads in the block is of one instant."""
        if self._present() is not None:
            yield
            return
        with self._database.read() as tx:
            self._mine.tx = tx
            try:
                yield
            finally:
                self._mine.tx = None

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        """One transaction, or a part of that in which this thread is."""
        tx = self._present()
        if tx is not None:
            with tx.part():
                yield tx
            return
        with self._begin() as tx:
            yield tx

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        """One transaction, and what follows from its commit: those who wait look again, listeners are told."""
        self._resume_rest()
        with self._database.write() as tx:
            tx.committed, tx.undone, tx.blocks = self._queue, self._forget, self._blocks
            tx.rules = self._rules
            yield tx
        if tx.woken:
            self._waiting.wake(tx.woken)
            for waker in self._wakers:
                waker(tx.woken)
        self._deliver()

    @contextmanager
    def _change(self, workflow: WorkflowId) -> Iterator[Change]:
        """One transaction on one workflow."""
        with self._write() as tx:
            change = Change(tx, workflow, self._shapes)
            yield change
            change.close()

    def _queue(self, tx: Transaction) -> None:
        if self._callbacks and (events := tx.events):
            self._undelivered.append(events)

    def _forget(self, tx: Transaction) -> None:
        # What was read or taken in a transaction that is undone may never have been.
        self._shapes.clear()
        self._blocks.clear()

    def _deliver(self) -> None:
        if not self._undelivered:
            return
        with self._delivery:
            while self._undelivered:
                told = self._undelivered.popleft()
                for callback in self._callbacks:
                    callback(told)

    def _resume_rest(self) -> None:
        """Before the first write: go on with what a crash has interrupted."""
        if not self._resumed:
            with self._first:
                if not self._resumed:
                    deletion.purge_rest(self._database)
                    self._resumed = True

    def _record(self, tx: Transaction, kind: type[Any], id: int) -> Any:
        noun = known(kind).noun
        if kind in PAIRS:
            raise Invalid(f"a {noun} has no id; list them instead")
        found = finding.one(tx, self._database.dialect, kind, id)
        if found is None:
            raise NotFound(f"no {noun} {id}")
        return found

    def _records(self, tx: Transaction, kind: type[Any], ids: Sequence[int]) -> list[Any]:
        """Those of the records that are there."""
        noun = known(kind).noun
        if kind in PAIRS:
            raise Invalid(f"a {noun} has no id; list them instead")
        found: list[Any] = []
        for at in range(0, len(ids), finding.MOST_VALUES):
            some = tuple(ids[at : at + finding.MOST_VALUES])
            query = Query(where={"id": some}, limit=len(some))
            found += finding.find(tx, self._database.dialect, kind, query).items
        return found

    def _change_of(self, tx: Transaction, record: Any) -> Change:
        """A change of the workflow that a record belongs to."""
        wf = record.id if isinstance(record, Workflow) else record.workflow_id
        try:
            return Change(tx, wf, self._shapes)
        except NotFound as error:
            raise Forbidden(f"event {record.id} cannot be changed; its workflow is deleted") from error
