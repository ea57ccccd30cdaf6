"""A database in memory: it ends in its file, others reach it meanwhile, and what was there before is still there."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE
from torc_core.errors import Owned, Unavailable
from torc_core.model import Plan, PlannedWorkflow, Query, Workflow
from torc_core.protocols import Clock
from torc_core.system import SystemClock
from torc_sqlite import open_memory, open_sqlite
from torc_sqlite.settings import MemorySettings, SqliteSettings


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


def in_memory(path: Path, clock: Clock, every: float | None = None) -> Any:
    return closing(
        open_memory(f"sqlite-memory://{path}", MemorySettings(snapshot_interval_seconds=every), clock)
    )


def names(path: Path, clock: Clock) -> list[str]:
    with closing(open_sqlite(f"sqlite://{path}", SqliteSettings(), clock)) as store:
        return [one.name for one in store.find(Workflow, Query()).items]


def made(store: Any, name: str) -> None:
    store.create(Plan(workflow=PlannedWorkflow(name=name)), "ana")


def test_the_file_is_written_at_the_end_and_keeps_what_it_had(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "deep" / "torc.db"
    with in_memory(path, clock) as store:
        made(store, "one")
        assert not path.exists()

    with in_memory(path, clock) as store:
        made(store, "two")

    assert names(path, clock) == ["one", "two"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_link_to_the_file_stays_one(tmp_path: Path, clock: Clock) -> None:
    path, link = tmp_path / "torc.db", tmp_path / "link.db"
    with in_memory(path, clock) as store:
        made(store, "one")
    link.symlink_to(path)

    with in_memory(link, clock) as store:
        made(store, "two")

    assert link.is_symlink()
    assert names(path, clock) == ["one", "two"]


def test_nothing_is_written_where_nothing_was_done(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "torc.db"
    with in_memory(path, clock):
        pass

    assert not path.exists()


def test_the_file_belongs_to_nobody_else_meanwhile(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "torc.db"
    with in_memory(path, clock) as store:
        made(store, "one")
        store.publish({"socket": "/run/torc.socket"})

        with pytest.raises(Owned) as owned:
            open_sqlite(f"sqlite://{path}", SqliteSettings(), clock).create(
                Plan(workflow=PlannedWorkflow(name="x")), "ana"
            )

    assert owned.value.address["socket"] == "/run/torc.socket"
    assert names(path, clock) == ["one"]


def test_snapshots_are_whole_databases(tmp_path: Path, clock: Clock) -> None:
    path, copy = tmp_path / "torc.db", tmp_path / "copy.db"
    with in_memory(path, clock, every=0.1) as store:
        made(store, "one")
        found, until = [""], time.monotonic() + PATIENCE
        while found != ["one"] and time.monotonic() < until:
            time.sleep(0.05)
            if path.exists():
                copy.write_bytes(path.read_bytes())
                found = names(copy, clock)

    assert found == ["one"]


def test_a_database_that_cannot_be_written_is_kept_where_it_is(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "torc.db"
    store = open_memory(f"sqlite-memory://{path}", MemorySettings(), clock)
    made(store, "one")
    path.mkdir()

    with pytest.raises(Unavailable, match="the database is kept as") as kept:
        store.close()

    work = Path(str(kept.value).rpartition("kept as '")[2].removesuffix("'"))
    assert names(work, clock) == ["one"]
    for file in work.parent.iterdir():
        file.unlink()
    work.parent.rmdir()
