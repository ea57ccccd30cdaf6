"""How a SQL store begins transactions, and what follows from their commits; every verb stands on this."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Lock, RLock, local
from typing import TYPE_CHECKING, Any

from torc_core.errors import Forbidden, Invalid, NotFound, TorcError
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

log = logging.getLogger(__name__)

A_MOMENT = 1.0
"""Seconds for which nobody who wants something else waits while deletions are gone on with."""


class _Block:
    """What a thread does together: a transaction, or the part of one, that begins when the thread needs it.

    Parameters
    ----------
    outer
        The block in which this one is.
    first
        What is done as soon as it has begun.
    """

    def __init__(self, outer: _Block | None, first: Callable[[], None] | None) -> None:
        self.outer = outer
        self.first = first
        self.tx: Transaction | None = None
        self.open = ExitStack()
        self.after: list[Callable[[], object]] = [] if outer is None else outer.after


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
        self._left: set[WorkflowId] = set()
        self._undelivered: deque[Sequence[Event]] = deque()
        self._delivery = RLock()
        self._first = Lock()
        self._resumed = False
        self._mine = local()

    @contextmanager
    def together(self, first: Callable[[], None] | None = None) -> Iterator[None]:
        """What this thread does in the block is one transaction, which begins when the store is first asked for something."""
        outer: _Block | None = getattr(self._mine, "block", None)
        block = self._mine.block = _Block(outer, first)
        try:
            with block.open:
                try:
                    if self._under_way is not None:
                        self._begun(block)
                    yield
                finally:
                    self._mine.block = outer
                    self._mine.tx = None if outer is None else outer.tx
        except BaseException:
            for do in block.after if outer is None else ():
                with suppress(TorcError):
                    do()
            raise
        for do in block.after if outer is None else ():
            do()

    def _begun(self, block: _Block) -> Transaction:
        if block.tx is None:
            if block.outer is None:
                block.tx = block.open.enter_context(self._begin())
            else:
                block.tx = self._begun(block.outer)
                block.open.enter_context(block.tx.part())
            self._mine.tx = block.tx
            if block.first is not None:
                block.first()
        return block.tx

    def _purge_hidden(self, workflow: WorkflowId) -> None:
        """Remove a workflow if it is hidden once what this thread is in is over; that is now, unless it is in `together`.

        NOTE: not in the transaction itself, which would keep all others from writing as long as it takes.
        """
        block: _Block | None = getattr(self._mine, "block", None)
        if block is None:
            self._purge(workflow)
        else:
            block.after.append(partial(self._purge, workflow))

    def _purge(self, workflow: WorkflowId, seconds: float = math.inf) -> bool:
        """Remove a workflow if it is hidden, for so long at most; whether it could go on at once.

        What cannot be removed now is when time passes in the store.
        """
        until = self._clock.monotonic() + seconds
        try:
            # What has hidden it may have been undone.
            over = workflow not in deletion.hidden(self._database) or deletion.purge(
                self._database.write, workflow, lambda: self._clock.monotonic() < until
            )
        except TorcError as error:
            # NOTE: it is gone for everybody: who deleted it is not told otherwise.
            log.warning("rest of a workflow is removed later workflow_id=%d why=%s", workflow, error)
            self._left.add(workflow)
            return False
        if over:
            self._left.discard(workflow)
        else:
            self._left.add(workflow)
        return not over

    def _purge_rest(self) -> bool:
        """Go on with what was interrupted, for a moment; whether it could go on at once."""
        return any(self._purge(workflow, A_MOMENT) for workflow in sorted(self._left))

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
        """The transaction that this thread is in, which begins now if that is `together` and nothing else."""
        tx: Transaction | None = self._under_way
        block: _Block | None = getattr(self._mine, "block", None)
        return self._begun(block) if tx is None and block is not None else tx

    @property
    def _under_way(self) -> Transaction | None:
        """The transaction that this thread is in, if it has begun."""
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
    def _apart(self) -> Iterator[Transaction]:
        """A transaction of its own for what nobody sees before a later one; where one has begun already, a part of that."""
        with self._begin() if self._under_way is None else self._write() as tx:
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
                    self._left.update(deletion.hidden(self._database))
                    self._purge_rest()
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
