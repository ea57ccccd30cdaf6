"""A second host finds a living owner by its signs of life, and takes over from a dead one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.waiting import SOON
from torc_core.errors import Owned, Unavailable
from torc_core.testing.plans import diamond
from torc_core.testing.plugin import SetClock
from torc_sql.store import SqlStore
from torc_sqlite import lease
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.lease import Lease, Row
from torc_sqlite.settings import SqliteSettings

Open = Callable[..., SqlStore]


@pytest.fixture
def shared(opened: Open, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the store as if its file lay on a network file system; another host is watched for a moment only."""
    monkeypatch.setattr("torc_sqlite.database.network_type", lambda path: "nfs4")
    return partial(opened, "auto", lease=partial(Lease, watch=0.3, nap=0.02))


def test_who_writes_stands_in_the_database(opened: Open, path: Path) -> None:
    store = opened()

    store.create(diamond(), "ann")

    assert _row(path)[:1] == (1,)
    assert _row(path)[2] != 0
    store.close()
    assert _row(path)[2] == 0


def test_each_writer_has_a_higher_epoch(opened: Open, path: Path) -> None:
    for expected in (1, 2, 3):
        store = opened()
        store.create(diamond(), "ann")
        assert _row(path)[0] == expected
        store.close()


def test_reading_takes_no_lease(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()

    opened().totals([])

    assert _row(path)[0] == 1


def test_another_host_that_is_silent_is_taken_over(opened: Open, shared: Open, path: Path) -> None:
    _leave_with(opened, path, host="n7")

    shared().create(diamond(), "ann")

    assert _row(path)[0] == 2


def test_another_host_that_beats_keeps_the_database(opened: Open, shared: Open, path: Path) -> None:
    _leave_with(opened, path, host="n7")
    stopped = threading.Event()

    def beat() -> None:
        with sqlite3.connect(path, timeout=5) as other:
            while not stopped.wait(0.05):
                other.execute("UPDATE server_lease SET beat = beat + 1")
                other.commit()
        other.close()

    # It is found with its next sign of life.
    store = shared(lease=partial(Lease, watch=SOON, nap=0.02))
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(Owned, match="in use by process 4242 on n7"):
            store.create(diamond(), "ann")
    finally:
        stopped.set()
        thread.join()


def test_another_host_that_beats_is_found_by_who_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.0
    rows = [Row(1, "n7", "b", 4242, 1, beat) for beat in (1, 1, 2)]

    def look() -> Row:
        nonlocal seconds
        found = rows.pop(0)
        # From here on this process stands still, and has seen one second of the other.
        seconds += 60.0 if len(rows) == 1 else 0.0
        return found

    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: seconds, sleep=lambda seconds: None))

    with pytest.raises(Owned, match="in use by process 4242 on n7"):
        Lease("torc.db").wait(look, networked=True)


def test_on_a_local_file_system_the_lock_decides_alone(opened: Open, path: Path) -> None:
    _leave_with(opened, path, host="n7")

    opened(lease=partial(Lease, watch=60.0)).create(diamond(), "ann")

    assert _row(path)[0] == 2


def test_who_was_taken_over_writes_no_more(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    with sqlite3.connect(path, timeout=5) as other:
        other.execute("UPDATE server_lease SET epoch = epoch + 1, host = 'n7', pid = 4242")
    other.close()

    with pytest.raises(Unavailable, match="taken over"):
        store.create(diamond(), "ann")

    store.close()
    assert _row(path)[2] == 4242


def test_an_owner_whose_clock_was_set_back_gives_signs_of_life(path: Path, clock: SetClock) -> None:
    database = SqliteDatabase(str(path), SqliteSettings(), clock)
    with database.write():
        pass

    clock.set(-3600)
    with database.write():
        pass

    assert _beat(path) == clock.now()
    database.close()


def _leave_with(opened: Open, path: Path, host: str) -> None:
    """A database whose last writer was on another host and did not say goodbye."""
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE server_lease SET host = ?, pid = 4242, beat = 1", (host,))
    other.close()


def _beat(path: Path) -> int:
    with sqlite3.connect(path) as other:
        (beat,) = other.execute("SELECT beat FROM server_lease").fetchone()
    other.close()
    return int(beat)


def _row(path: Path) -> tuple[int, str, int]:
    with sqlite3.connect(path) as other:
        row = other.execute("SELECT epoch, host, pid FROM server_lease").fetchone()
    other.close()
    return tuple(row)
