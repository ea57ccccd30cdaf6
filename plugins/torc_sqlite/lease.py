"""The row that keeps a second host away from a database on a shared file system (`promises.md` P1)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from torc_core.errors import Owned, Unavailable
from torc_core.record import record
from torc_sql.transaction import Transaction
from torc_sqlite.owner import boot_id, host_name, process_start

BEAT = 10.0
"""Seconds between two signs of life."""
WATCH = 35.0
"""Seconds without one after which another host's lease is taken over."""


@record(frozen=True, slots=True)
class Row:
    """The lease as it stands in the database; pid 0: nobody has it."""

    epoch: int
    host: str
    boot_id: str
    pid: int
    process_start: int
    beat: int


class Lease:
    """This process's right to write.

    Parameters
    ----------
    watch, nap
        Seconds, for tests.
    """

    def __init__(self, path: str, *, watch: float = WATCH, nap: float = 1.0) -> None:
        self._path = path
        self._watch = watch
        self._nap = nap
        self._epoch: int | None = None
        self._beaten = 0
        self.lost = False
        """Whether another process has taken the database over."""

    def wait(self, look: Callable[[], Row], *, networked: bool) -> None:
        """Make sure that no other host writes: on a local file system the lock has said so already.

        Raises
        ------
        Owned
            If another host gives signs of life.
        """
        first = look()
        if not networked or not first.pid or first.host == host_name():
            return
        end, over = time.monotonic() + self._watch, False
        while not over:
            time.sleep(self._nap)
            # NOTE: asked before the look, so that the last one comes after the time is over: we may have stood still.
            over = time.monotonic() >= end
            if look() != first:
                raise Owned(
                    f"database '{self._path}' is in use by process {first.pid} on {first.host}; run the command there,"
                    " or end that process",
                    {},
                )

    def take(self, tx: Transaction) -> Callable[[], None]:
        """Write that the database is ours from now on; what is to be called when that is on the disk."""
        pid = os.getpid()
        (epoch,) = tx.row(
            "TAKE_LEASE", host_=host_name(), boot_=boot_id(), pid_=pid, start_=process_start(pid),
            beat_=tx.now,
        )  # fmt: skip

        def ours() -> None:
            self._epoch, self._beaten = epoch, tx.now

        return ours

    def check(self, tx: Transaction) -> None:
        """See that it still is, and give a sign of life when one is due.

        Raises
        ------
        Unavailable
            If another process has taken the database over.
        """
        (epoch,) = tx.row("LEASE_EPOCH")
        if epoch != self._epoch:
            self.lost = True
            raise Unavailable(
                f"database '{self._path}' was taken over by another process; this one may not write to it any more"
            )
        # NOTE: a clock that was set back would give no sign until it is where it was.
        if not 0 <= tx.now - self._beaten < BEAT * 1_000:
            tx.run("BEAT_LEASE", beat_=tx.now)
            self._beaten = tx.now

    @property
    def taken(self) -> bool:
        """Whether this process has ever written."""
        return self._epoch is not None

    def give_up(self, tx: Transaction) -> None:
        """Say that nobody has it."""
        tx.run("FREE_LEASE", epoch_=self._epoch)
