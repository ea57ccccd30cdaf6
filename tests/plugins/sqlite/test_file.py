"""The file of a SQLite store: when it comes into being, who may read it, what is refused."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from torc_core.errors import BadValue, Invalid, NotFound, Unavailable
from torc_core.model import File, Initialize, Job, Query, Workflow
from torc_core.system import SystemClock
from torc_core.testing.plans import chain, diamond
from torc_sql.store import SqlStore
from torc_sqlite import connections, open_sqlite
from torc_sqlite.connections import check_version
from torc_sqlite.settings import SqliteSettings

Open = Callable[..., SqlStore]


def test_reading_creates_nothing(opened: Open, path: Path) -> None:
    store = opened()

    assert store.find(Workflow, Query()).items == []
    with pytest.raises(NotFound):
        store.get(Workflow, 1)
    store.close()
    assert not path.parent.exists()


def test_the_first_write_creates_what_only_the_owner_can_read(opened: Open, path: Path) -> None:
    old = os.umask(0o022)
    try:
        opened().create(diamond(), "ann")
    finally:
        os.umask(old)

    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {"torc.db", "torc.db.lock", "torc.db-wal", "torc.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_closed_store_leaves_one_file_with_everything(opened: Open, path: Path) -> None:
    store = opened()
    workflow = store.create(diamond(), "ann")

    store.close()

    assert {entry.name for entry in path.parent.iterdir()} == {"torc.db", "torc.db.lock"}
    assert opened().get(Workflow, workflow.id).name == workflow.name


def test_four_slashes_mean_the_same_file_as_three(opened: Open, path: Path) -> None:
    store = opened()
    workflow = store.create(diamond(), "ann")
    store.close()

    with closing(open_sqlite(f"sqlite:///{path}", SqliteSettings(), SystemClock())) as other:
        assert other.get(Workflow, workflow.id).name == workflow.name


def test_a_store_keeps_its_id(opened: Open) -> None:
    store = opened()
    before = store.server_id
    store.create(diamond(), "ann")
    store.close()

    assert opened().server_id == before


def test_ids_are_never_used_again(opened: Open) -> None:
    store = opened()
    first = store.create(diamond(), "ann")
    store.delete(first.id)
    store.close()

    again = opened().create(diamond(), "ann")

    assert again.id == first.id + 1


def test_every_connection_has_its_pragmas(opened: Open) -> None:
    store = opened()
    store.create(chain(3), "ann")
    store.find(Workflow, Query())
    database = store._database

    writing = _pragmas(database._writer)  # type: ignore[attr-defined]  # the store of this test is SQLite's
    reading = [_pragmas(connection) for connection in database._idle]  # type: ignore[attr-defined]  # as above

    common = {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "temp_store": 2,
        "trusted_schema": 0, "cell_size_check": 1, "wal_autocheckpoint": 0,
    }  # fmt: skip
    assert writing == common | {"query_only": 0}
    assert reading
    assert all(pragmas == common | {"query_only": 1} for pragmas in reading)


def test_the_log_is_copied_into_the_file_while_the_store_is_open(opened: Open, path: Path) -> None:
    store = opened()

    store.create(chain(20_000), "ann")

    assert path.stat().st_size > 1_000_000
    assert path.with_name("torc.db-wal").stat().st_size < 40_000_000


def test_a_rollback_journal_can_be_read_by_other_programs(opened: Open, path: Path) -> None:
    store = opened("rollback")
    workflow = store.create(diamond(), "ann")
    store.initialize(workflow.id, Initialize())

    with sqlite3.connect(path) as other:
        found = other.execute("SELECT count(*) FROM job WHERE wf = ?", (workflow.id,)).fetchone()

    assert found == (4,)
    assert not path.with_name("torc.db-shm").exists()
    assert store.find(Job, Query(workflow=workflow.id)).total == 4


def test_an_exclusive_log_needs_no_shared_memory(opened: Open, path: Path) -> None:
    store = opened("exclusive")
    workflow = store.create(diamond(), "ann")

    assert store.find(Job, Query(workflow=workflow.id)).total == 4
    assert not path.with_name("torc.db-shm").exists()


def test_a_network_file_system_is_warned_of_once(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("torc_sqlite.database.network_type", lambda path: "nfs4")
    store = opened("auto")

    store.create(diamond(), "ann")
    store.create(diamond(), "ann")

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "nfs4" in warnings[0]
    assert "rollback" in warnings[0]


def test_a_file_of_another_program_is_refused(opened: Open, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be taken for one" * 100)

    with pytest.raises(Unavailable, match="not a SQLite database"):
        opened()


def test_a_database_of_another_program_is_refused(opened: Open, path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE song (title TEXT)")

    with pytest.raises(Unavailable, match="not made by torc"):
        opened()


def test_any_character_may_stand_in_the_path(opened: Open, path: Path) -> None:
    store = opened()
    store.close()
    odd = path.with_name("50% of #1? ä.db")
    with closing(open_sqlite(f"sqlite://{odd}", SqliteSettings(), SystemClock())) as other:
        other.create(diamond(), "ann")
        assert other.find(Workflow, Query()).total == 1

    assert odd.exists()


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(BadValue, match="not absolute"):
        open_sqlite("sqlite://torc.db", SqliteSettings(), SystemClock())


def test_a_place_that_cannot_be_written_is_named(opened: Open, path: Path) -> None:
    path.parent.write_text("a file where the directory should be")

    with pytest.raises(Unavailable, match="Not a directory"):
        opened().create(diamond(), "ann")


def test_a_full_disk_leaves_the_store_as_it_was(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torc_sqlite.database.PROBE", 0.0)
    store = opened()
    store.create(diamond(), "ann")
    connection = store._database._writer  # type: ignore[attr-defined]  # the store of this test is SQLite's
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 40}").fetchone()

    with pytest.raises(Unavailable, match="disk is full"):
        store.create(chain(5_000), "ann")

    connection.execute("PRAGMA max_page_count=1000000").fetchone()
    assert store.find(Workflow, Query()).total == 1
    assert store.create(diamond(), "ann").id > 1


def test_numbers_beyond_64_bits_are_refused(opened: Open) -> None:
    store = opened()
    workflow = store.create(diamond(), "ann")

    with pytest.raises(Invalid, match="beyond 64 bits"):
        store.add([File(workflow_id=workflow.id, name="a", path="a", size=2**63)])
    with pytest.raises(Invalid, match="not valid Unicode"):
        store.add([File(workflow_id=workflow.id, name="\ud800", path="a")])


def test_a_closed_store_says_so(opened: Open) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    store.close()

    with pytest.raises(Unavailable, match="was closed"):
        store.create(diamond(), "ann")
    with pytest.raises(Unavailable, match="was closed"):
        store.find(Workflow, Query())


def test_an_old_sqlite_is_refused() -> None:
    with pytest.raises(Unavailable, match=r"SQLite 3\.34\.1 is too old"):
        check_version((3, 34, 1))


def test_readers_go_on_while_a_large_plan_is_created(opened: Open) -> None:
    store = opened()
    small = store.create(diamond(), "ann")
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(store.find(Workflow, Query()).total)

    reader = threading.Thread(target=read)
    reader.start()
    store.create(chain(10_000), "ann")
    done.set()
    reader.join()

    assert set(seen) <= {1, 2}
    assert store.find(Job, Query(workflow=small.id)).total == 4


def test_readers_are_few(opened: Open) -> None:
    store = opened()
    store.create(diamond(), "ann")
    threads = [threading.Thread(target=lambda: store.find(Workflow, Query())) for _ in range(30)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store._database._idle) <= 10  # type: ignore[attr-defined]  # the store of this test is SQLite's


def _pragmas(connection: sqlite3.Connection) -> dict[str, object]:
    names = (
        "journal_mode", "synchronous", "foreign_keys", "busy_timeout", "temp_store", "trusted_schema",
        "cell_size_check", "wal_autocheckpoint", "query_only",
    )  # fmt: skip
    assert connections.COMMON.keys() - {"cache_size"} <= set(names)
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
