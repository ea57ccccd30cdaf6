"""One transaction that several writers share, so that they wait for the disk together (`promises.md` P2)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torc_sql.transaction import Transaction

MOST_MEMBERS = 64
"""So many writers share a transaction at most, so that the first of them does not wait long for the last."""


class Shared:
    """A transaction, and whoever has written in it; only who holds the writer's lock may do more than wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._members: list[Transaction] = []
        self._ended = threading.Event()
        self._error: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether the next writer needs another one."""
        return len(self._members) >= MOST_MEMBERS

    @property
    def over(self) -> bool:
        """Whether it was committed, or undone."""
        return self._ended.is_set()

    @contextmanager
    def part(self, tx: Transaction) -> Iterator[None]:
        """What one writer does in it; an exception undoes this and nothing else."""
        alone = not self._members
        try:
            self.connection.execute("BEGIN IMMEDIATE" if alone else "SAVEPOINT member")
            yield
            if not alone:
                self.connection.execute("RELEASE member")
        except BaseException as error:
            if not self.connection.in_transaction:
                self._undone(error)  # a full disk undoes all that was written
            elif alone:
                self.connection.execute("ROLLBACK")
                self._ended.set()
            else:
                self.connection.execute("ROLLBACK TO member")
                self.connection.execute("RELEASE member")
            tx.undone(tx)
            raise
        self._members.append(tx)

    def commit(self) -> None:
        """Keep what all have written; what follows from that follows in their order."""
        try:
            self.connection.execute("COMMIT")
        except BaseException as error:
            # A full disk has undone the transaction already.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._undone(error)
            raise
        for tx in self._members:
            tx.committed(tx)
        self._ended.set()

    def wait(self, seconds: float | None) -> bool:
        """Come back when it is over, or after so many seconds; whether it is over.

        Raises
        ------
        sqlite3.Error
            If the commit failed: for each of those who have written.
        """
        over = self._ended.wait(seconds)
        if self._error is not None:
            raise self._error
        return over

    def _undone(self, error: BaseException) -> None:
        self._error = error
        for tx in reversed(self._members):
            tx.undone(tx)
        self._ended.set()
