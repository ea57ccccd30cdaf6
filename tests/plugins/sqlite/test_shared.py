"""Writers that wait for each other share one commit, and fail alone (`promises.md` P2, W3)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from torc_core.errors import Invalid, Unavailable
from torc_core.system import SystemClock
from torc_sql.transaction import Transaction
from torc_sqlite import connections
from torc_sqlite import database as module
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.settings import SqliteSettings

SOON = 30.0


class Watched(SqliteDatabase):
    """A database that counts its commits."""

    commits = 0

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.set_trace_callback(self._said)
        return connection

    def _said(self, sql: str) -> None:
        self.commits += sql == "COMMIT"

    def coming(self, count: int) -> None:
        """Wait until so many wait to write."""
        until = time.monotonic() + SOON
        while self._coming < count:
            assert time.monotonic() < until
            time.sleep(0.001)


@pytest.fixture
def database(tmp_path, monkeypatch) -> Iterator[Watched]:
    monkeypatch.setattr(module, "LONGEST_SHARED", SOON)
    with closing(Watched(str(tmp_path / "torc.db"), SqliteSettings(), SystemClock())) as found:
        with found.write():
            pass
        found.commits = 0
        yield found


def together(database: Watched, bodies: list[Callable[[Transaction], object]]) -> list[Future[None]]:
    """Have all of them write while a first writer has not ended; the first is among the answers."""
    begun, free = threading.Event(), threading.Event()

    def first() -> None:
        with database.write():
            begun.set()
            free.wait(SOON)

    def write(body: Callable[[Transaction], object]) -> None:
        with database.write() as tx:
            body(tx)

    with ThreadPoolExecutor(len(bodies) + 1) as pool:
        one = pool.submit(first)
        begun.wait(SOON)
        others = [pool.submit(write, body) for body in bodies]
        database.coming(len(bodies))
        free.set()
        wait([one, *others], SOON)
    return [one, *others]


def noted(name: str) -> Callable[[Transaction], object]:
    return lambda tx: tx.many("INSERT_META", [(name, "x")])


def names(database: Watched) -> set[str]:
    with database.read() as tx:
        return {row[0] for row in tx.free("SELECT name FROM meta WHERE value = ?", ["x"])}


def test_those_who_wait_share_the_commit_of_the_first(database):
    done = together(database, [noted(f"note {n}") for n in range(20)])

    assert [one.exception() for one in done] == [None] * 21
    assert (database.commits, names(database)) == (1, {f"note {n}" for n in range(20)})


def test_who_writes_alone_commits_alone(database):
    for n in range(3):
        with database.write() as tx:
            noted(f"note {n}")(tx)

        assert (database.commits, len(names(database))) == (n + 1, n + 1)


def test_no_transaction_has_more_members_than_allowed(database):
    together(database, [noted(f"note {n}") for n in range(100)])

    assert (database.commits, len(names(database))) == (2, 100)


def test_who_fails_undoes_its_own_part_only(database):
    def wrong(tx: Transaction) -> None:
        noted("never")(tx)
        raise ValueError("mine alone")

    done = together(database, [noted("a"), wrong, noted("b"), wrong, noted("c")])

    assert [type(one.exception()) for one in done] == [
        type(None), type(None), ValueError, type(None), ValueError, type(None)
    ]  # fmt: skip
    assert (database.commits, names(database)) == (1, {"a", "b", "c"})


def test_who_fails_for_what_another_has_written_says_so_when_that_is_there(database):
    seen: list[set[str]] = []

    def second(tx: Transaction) -> None:
        database.coming(1)
        raise ValueError("there is one already")

    def write() -> None:
        try:
            with database.write() as tx:
                second(tx)
        except ValueError:
            seen.append(names(database))

    begun, free = threading.Event(), threading.Event()

    def first() -> None:
        with database.write() as tx:
            noted("a")(tx)
            begun.set()
            free.wait(SOON)

    def third() -> None:
        with database.write() as tx:
            noted("b")(tx)
            # Long enough for who fails to be heard before this is over, if that is possible.
            time.sleep(0.2)

    with ThreadPoolExecutor(3) as pool:
        one = pool.submit(first)
        begun.wait(SOON)
        two = pool.submit(write)
        database.coming(1)
        free.set()
        three = pool.submit(third)
        wait([one, two, three], SOON)

    assert seen == [{"a", "b"}]


def test_what_one_of_several_writes_wrongly_is_told_in_words(database):
    done = together(database, [noted("a"), lambda tx: tx.free("SELECT ?", [2**63]), noted("b")])

    assert [type(one.exception()) for one in done] == [type(None), type(None), Invalid, type(None)]
    assert names(database) == {"a", "b"}


def test_who_fails_as_the_last_lets_nobody_wait(database):
    def wrong(tx: Transaction) -> None:
        raise ValueError("mine alone")

    begin = time.monotonic()
    together(database, [noted("a"), wrong])

    assert time.monotonic() - begin < SOON / 2
    assert (database.commits, names(database)) == (1, {"a"})


def test_a_commit_that_fails_was_nobodys(database):
    def orphan(tx: Transaction) -> None:
        tx.free("PRAGMA defer_foreign_keys = ON", [])
        tx.free("INSERT INTO status_count (wf, status, jobs) VALUES (?, ?, ?)", [77, 1, 1])

    done = together(database, [noted("a"), orphan, noted("b")])

    assert all(isinstance(one.exception(), sqlite3.IntegrityError) for one in done)
    assert names(database) == set()
    with database.write() as tx:
        noted("later")(tx)
    assert names(database) == {"later"}


def test_what_follows_from_commits_follows_in_the_order_of_the_writing(database):
    order: list[int] = []
    followed: list[int] = []

    def member(n: int) -> Callable[[Transaction], object]:
        def body(tx: Transaction) -> None:
            order.append(n)
            tx.committed = lambda _: followed.append(n)

        return body

    together(database, [member(n) for n in range(10)])

    assert followed == order


def test_more_writers_than_the_bound_are_sent_away(database, monkeypatch):
    monkeypatch.setattr(module, "MOST_WRITERS", 3)
    refused: list[str] = []

    begun, free = threading.Event(), threading.Event()

    def first() -> None:
        with database.write():
            begun.set()
            free.wait(SOON)

    def other() -> None:
        with database.write():
            pass

    with ThreadPoolExecutor(5) as pool:
        pool.submit(first)
        begun.wait(SOON)
        waiting = [pool.submit(other) for _ in range(3)]
        database.coming(3)
        try:
            with database.write():
                pass
        except Unavailable as error:
            refused.append(str(error))
        free.set()
        wait(waiting, SOON)

    assert refused == ["3 others wait to write to the database; try again"]
    assert [one.exception() for one in waiting] == [None] * 3


def test_a_log_that_cannot_be_copied_at_this_moment_fails_nobody(database, monkeypatch):
    monkeypatch.setattr(connections, "LOG_PAGES", 0)

    with database.write() as tx:
        noted("a")(tx)
        noted("b")(tx)
        # A statement that has more rows to give keeps the log from being copied.
        tx._cursor.execute("SELECT name FROM meta")
        tx._cursor.fetchone()

    assert names(database) == {"a", "b"}


def test_no_writer_disturbs_the_statement_of_another(database):
    def write(n: int) -> None:
        for i in range(40):
            with database.write() as tx:
                noted(f"{n}.{i}")(tx)
            names(database)

    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(write, n) for n in range(16)]

    assert [one.exception() for one in done] == [None] * 16
    assert len(names(database)) == 640


class Slow(Watched):
    """A database that takes its time to come into being; then somebody else is about to write."""

    def __init__(self, path: str) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        super().__init__(path, SqliteSettings(), SystemClock())

    def _open(self) -> sqlite3.Connection:
        self.begun.set()
        self.goes_on.wait(SOON)
        self._coming += 1
        return super()._open()


def test_who_reads_while_the_database_comes_into_being_is_not_in_the_way_of_its_writers(tmp_path):
    database = Slow(str(tmp_path / "torc.db"))

    def write() -> None:
        with database.write() as tx:
            noted("a")(tx)

    with closing(database), ThreadPoolExecutor(2) as pool:
        written = pool.submit(write)
        database.begun.wait(SOON)
        read = pool.submit(names, database)
        time.sleep(0.1)
        database.goes_on.set()

        assert read.result(SOON) <= {"a"}
        assert written.result(SOON) is None
