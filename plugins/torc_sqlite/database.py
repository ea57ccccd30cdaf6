"""One SQLite file: its lock, its one writer, its readers, and the moment when it comes into being."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torc_core.errors import BadValue, Unavailable
from torc_core.store.patience import WRITER_PATIENCE
from torc_sql.transaction import Transaction
from torc_sqlite import connections
from torc_sqlite.connections import Mode
from torc_sqlite.dialect import sqlite
from torc_sqlite.errors import broken
from torc_sqlite.filesystem import network_type
from torc_sqlite.lease import BEAT, Lease, Row
from torc_sqlite.owner import PATIENCE, Owner, file_itself
from torc_sqlite.schema import migrate
from torc_sqlite.settings import SqliteSettings
from torc_sqlite.shared import Shared

if TYPE_CHECKING:
    from torc_core.protocols import Clock

log = logging.getLogger(__name__)

PROBE = 2.0
"""Seconds between two tries to write to a disk that was full or failing (`promises.md` Q11)."""

MOST_WRITERS = 2_000
"""So many callers may wait to write (`promises.md` W3)."""

LONGEST_SHARED = 0.05
"""Seconds after which whoever began a transaction ends it, though others have come to write."""

_PROBE = "INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', hex(zeroblob(2048)))"
"""A page of its own."""

_PAGES_OF_COMMIT, _ROWS_OF_PAGE = 16, 8


class Trouble(NamedTuple):
    """What the disk last complained of, and when."""

    error: sqlite3.Error
    since: float


class SqliteDatabase:
    """A database file, made on the first write.

    Parameters
    ----------
    patience
        Seconds to wait for another short command that has the file.
    watch
        Seconds to watch another host that seems to have it.
    """

    def __init__(
        self,
        path: str,
        settings: SqliteSettings,
        clock: Clock,
        *,
        patience: float = PATIENCE,
        lease: Callable[[str], Lease] = Lease,
    ) -> None:
        connections.check_version()
        if not path.startswith("/") or "\0" in path:
            raise BadValue(f"database path {path!r} is not absolute; write sqlite:///home/you/torc.db")
        self._path = file_itself(Path(path))
        self._clock = clock
        self._network = network_type(self._path)
        self._mode = _mode(settings, self._network)
        self._owner = Owner(self._path, patience)
        self._lease = lease(path)
        self._lock = threading.Lock()
        self._turnstile = threading.Lock()
        self._counting = threading.Lock()
        self._coming = 0
        self._shared: Shared | None = None
        self._writer: sqlite3.Connection | None = None
        self._blank: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        self._slots = threading.Semaphore(settings.readers)
        self._closed = threading.Event()
        self._server_id: str | None = None
        self._changes = self._logged = 0
        self.predecessor: str | None = None
        """Who had the database before and did not give it back, once it is ours."""
        self._trouble: Trouble | None = None
        self.dialect = sqlite(path)
        self._texts = self.dialect.texts()
        if self._there():
            with self._lock:
                self._open()

    def _there(self) -> bool:
        try:
            folder, there = self._path.is_dir(), self._path.exists()
        except OSError as error:
            raise Unavailable(
                f"database '{self._path}' cannot be opened: {error.strerror}; check the name, and the permissions of"
                " its directory"
            ) from error
        if folder:
            raise Unavailable(f"database '{self._path}' is a folder; name a file in it")
        return there

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return self._path

    @property
    def server_id(self) -> str:
        """The UUID that the database got when it was made; of a file that is not there yet, the one it will get."""
        if self._server_id is None:
            self._server_id = self._clock.uuid()
        return self._server_id

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken it over, so that nothing can be written any more."""
        return self._lease.lost

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction on the one connection that writes (`promises.md` Q1); over when it is on the disk.

        Who writes while others wait for their turn leaves the transaction open to them: each of them writes in a part
        of its own, which can fail alone, and one commit is for all (P2). Who writes alone waits for nobody. Who fails
        waits for the commit as well, since the reason may be what another of them has written.

        Raises
        ------
        Unavailable
            If others write for longer than the caller may wait.
        """
        failed: BaseException | None = None
        self._queue()
        try:
            connection = self._ours()
            shared, begun = self._shared, False
            if shared is None:
                if self._trouble is not None:
                    connection = self._probed(connection)
                shared, begun = Shared(connection), True
            with self._plainly(), self._watched(), self._on(connection) as tx:
                try:
                    with shared.part(tx):
                        self._lease.check(tx)
                        yield tx
                        tx.settle()
                except BaseException as error:
                    if shared.over:
                        self._shared = None
                        raise
                    failed = error
                if self._coming and not shared.full and self._mode is Mode.LOCAL:
                    self._shared = shared
                else:
                    self._commit(shared)
        finally:
            self._lock.release()
        with self._plainly():
            while not shared.wait(LONGEST_SHARED if begun else None):
                # Who was to write next has given up, or takes long.
                with self._lock:
                    if self._shared is shared:
                        with self._watched():
                            self._commit(shared)
            if failed is not None:
                raise failed

    def _commit(self, shared: Shared) -> None:
        """End what several have written."""
        self._shared = None
        shared.commit()
        self._checkpoint(shared.connection)

    def _queue(self) -> None:
        """Wait for one's turn to write."""
        with self._counting:
            if self._coming >= MOST_WRITERS:
                raise Unavailable(f"{MOST_WRITERS:,} others wait to write to the database; try again")
            self._coming += 1
        try:
            self._turn()
        finally:
            with self._counting:
                self._coming -= 1

    def _turn(self) -> None:
        # NOTE: a plain lock may be taken again by who has just released it; behind a turnstile everybody gets a turn.
        patience = WRITER_PATIENCE.get()
        if patience is None:
            with self._turnstile:
                self._lock.acquire()
            return
        until = time.monotonic() + patience
        if self._turnstile.acquire(timeout=patience):
            try:
                if self._lock.acquire(timeout=max(0.0, until - time.monotonic())):
                    return
            finally:
                self._turnstile.release()
        raise Unavailable(f"others have been writing to the database for {patience:g} s; try again")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot on a connection of its own; without shared memory, a short turn on the writer's."""
        if not self._has_readers:
            with self._lock, self._plainly():
                self._check_open()
                # NOTE: a writer that came first has made the file, and may have left its transaction open to others.
                if not self._has_readers:
                    connection = self._writer or self._empty()
                    with _transaction(connection, "BEGIN"), self._on(connection) as tx:
                        yield tx
                    return
        with self._slots, self._plainly():
            self._check_open()
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = connections.reader(self._path)
            try:
                with _transaction(connection, "BEGIN"), self._on(connection) as tx:
                    yield tx
            finally:
                if self._closed.is_set():
                    connection.close()
                else:
                    self._idle.append(connection)

    @property
    def _has_readers(self) -> bool:
        """Whether reading needs no turn on the connection that writes."""
        return self._mode is Mode.LOCAL and self._writer is not None

    @contextmanager
    def _on(self, connection: sqlite3.Connection) -> Iterator[Transaction]:
        """What speaks to the database on a connection."""
        # NOTE: connections keep their statements, and the end of a cursor, whenever it comes, sets back the one that it
        # used last: also when another thread is executing it by then. So the cursor ends while the connection is ours.
        cursor = connection.cursor()
        try:
            yield Transaction(cursor, self._texts, self._clock.now())
        finally:
            cursor.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Note when the disk is at fault: from then on nothing is written until a probe went well."""
        try:
            yield
        except sqlite3.Error as error:
            if broken(error):
                self._trouble = Trouble(error, self._clock.monotonic())
                log.warning("database is read-only for now database=%s why=%s", self._path, error)
            raise

    def _probed(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Try whether a page can be written again, at most every `PROBE` seconds; the connection to go on with.

        Raises
        ------
        Unavailable
            If not yet: the same error as before.
        """
        trouble = self._trouble
        assert trouble is not None
        now = self._clock.monotonic()
        if now - trouble.since < PROBE:
            raise self.dialect.translate(trouble.error) or trouble.error
        with self._plainly():
            try:
                if trouble.error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                    # What a connection has cached of a disk that reported errors is not to be trusted.
                    connection = self._reopened(connection)
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    connection.execute(_PROBE)
            except sqlite3.Error as error:
                self._trouble = Trouble(error, now)
                raise
        self._trouble = None
        log.warning("database is written again database=%s", self._path)
        return connection

    def _reopened(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.close()
        self._writer = connections.writer(self._path, self._mode)
        return self._writer

    def publish(self, address: Mapping[str, str]) -> None:
        """Write the owner file, and the database first if it is not there yet."""
        with self._lock:
            self._ours()
            self._owner.publish(address)

    def close(self) -> None:
        """Copy the log into the file, give the lease and the lock back; closing again has no effect."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            if self._shared is not None:
                with suppress(Unavailable), self._plainly():
                    self._commit(self._shared)
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            try:
                if self._writer is not None:
                    with suppress(Unavailable), self._plainly():
                        self._finish(self._writer)
                    self._writer.close()
            finally:
                self._owner.release()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Unavailable(f"database '{self._path}' was closed")

    def _ours(self) -> sqlite3.Connection:
        """The writer's connection, with the lease; the file is made when there is none."""
        self._check_open()
        connection = self._writer
        if connection is None:
            self._make()
            connection = self._open()
        if not self._lease.taken:
            with self._plainly():
                self._take(connection)
        return connection

    def _make(self) -> None:
        """Create directory and file so that nobody else can read them."""
        missing = [
            folder for folder in (self._path.parent, *self._path.parent.parents) if not folder.exists()
        ]
        try:
            for folder in reversed(missing):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._owner.take()
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise Unavailable(
                f"database '{self._path}' cannot be created: {error.strerror}; choose another file"
            ) from error

    def _open(self) -> sqlite3.Connection:
        """Take the lock and open a file that is there; what is missing in its schema is added."""
        self._owner.take()
        try:
            with self._plainly():
                connection = connections.writer(self._path, self._mode)
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            self._owner.release()
            raise
        self._writer = connection
        log.info("opened database=%s mode=%s sqlite=%s", self._path, self._mode.value, sqlite3.sqlite_version)
        if self._network:
            log.warning(
                "database %s is on a %s file system: written in %s mode, which is slower; a local disk is better",
                self._path, self._network, self._mode.value,
            )  # fmt: skip
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        migrate(connection, self._path)
        known = connection.execute(self._texts["META"], {"name_": "server_id"}).fetchone()
        if known is None:
            connection.execute(self._texts["INSERT_META"], ("server_id", self.server_id))
        else:
            self._server_id = known[0]

    def _take(self, connection: sqlite3.Connection) -> None:
        """Get the lease, and from then on give signs of life where another host could look for them."""
        texts = self._texts

        def look() -> Row:
            return Row(*connection.execute(texts["LEASE"]).fetchone())

        self._lease.wait(look, networked=self._network is not None)
        left = look()
        if left.pid:
            self.predecessor = f"process {left.pid} on {left.host}"
        with _transaction(connection, "BEGIN IMMEDIATE"):
            ours = self._lease.take(Transaction(connection.cursor(), texts, self._clock.now()))
        ours()
        if self._network:
            threading.Thread(target=self._beat, name="torc-lease", daemon=True).start()

    def _beat(self) -> None:
        while not self._closed.wait(BEAT):
            with suppress(Unavailable), self.write():
                pass

    def _empty(self) -> sqlite3.Connection:
        """What stands for the file as long as there is none."""
        if self._blank is None:
            self._blank = connections.blank()
            migrate(self._blank, None)
        return self._blank

    def _finish(self, connection: sqlite3.Connection) -> None:
        if self._lease.taken:
            with _transaction(connection, "BEGIN IMMEDIATE"):
                self._lease.give_up(Transaction(connection.cursor(), self._texts, self._clock.now()))
            if self._mode is not Mode.ROLLBACK:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the file when about `LOG_PAGES` have been written since the last time.

        NOTE: the pages are estimated. The exact number stands in the `-shm` file, but opening and closing that in
        the process that has the database would drop the locks of SQLite (POSIX locks belong to the process).
        """
        changes = connection.total_changes
        self._logged += _PAGES_OF_COMMIT + (changes - self._changes) // _ROWS_OF_PAGE
        self._changes = changes
        if self._logged > connections.LOG_PAGES and self._mode is not Mode.ROLLBACK:
            self._logged = 0
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                # NOTE: the commit before it stands; what could not be copied is still in the log.
                log.warning("log was not copied database=%s why=%s", self._path, error)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Say what the driver complains of in sentences."""
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            told = self.dialect.translate(error)
            if told is None:
                raise
            raise told from error


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has undone the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _mode(settings: SqliteSettings, network: str | None) -> Mode:
    if settings.network_mode == "auto":
        return Mode.ROLLBACK if network else Mode.LOCAL
    return Mode(settings.network_mode)
