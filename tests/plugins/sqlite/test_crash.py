"""After a kill -9 at any moment a workflow is there as a whole, or not at all."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from torc_core.errors import Unavailable
from torc_core.model import Job, Query, Workflow
from torc_core.testing.plans import chain, diamond
from torc_sql.migrations import NEWEST, migration
from torc_sql.store import SqlStore
from torc_sqlite.schema import migrate, version

Open = Callable[..., SqlStore]
COUNT = 20_000

CREATE = """
    import sys
    from torc_core.system import SystemClock
    from torc_core.testing.plans import chain
    from torc_sqlite import open_sqlite
    from torc_sqlite.settings import SqliteSettings

    plan = chain(int(sys.argv[2]))
    store = open_sqlite("sqlite://" + sys.argv[1], SqliteSettings(), SystemClock())
    print("ready", flush=True)
    store.create(plan, "ann")
    store.close()
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_creation_leaves_nothing_or_everything(opened: Open, path: Path, seed: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(CREATE), str(path), str(COUNT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    written = random.Random(seed).randrange(0, 6_000_000)
    while process.poll() is None and _size(path) < written:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    store = opened()

    workflows = store.find(Workflow, Query()).items
    jobs = [store.find(Job, Query(workflow=workflow.id, limit=1)).total for workflow in workflows]
    assert jobs in ([], [COUNT])
    again = store.create(diamond(), "ann")
    assert [row[0] for row in _rows(path, "SELECT DISTINCT wf FROM job ORDER BY wf")] == [
        *(workflow.id for workflow in workflows), again.id,
    ]  # fmt: skip
    assert _rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert _rows(path, "PRAGMA foreign_key_check") == []


def test_a_deletion_goes_on_after_a_crash(opened: Open, path: Path) -> None:
    store = opened()
    workflow = store.create(chain(100), "ann")
    store.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE workflow SET deleting = 1")
    other.close()

    store = opened()

    assert store.find(Workflow, Query()).total == 0
    assert store.find(Job, Query(workflow=workflow.id)).total == 0
    store.create(diamond(), "ann")
    assert _rows(path, "SELECT count(*) FROM dep_member WHERE wf = 1") == [(0,)]
    assert _rows(path, "SELECT count(*) FROM workflow") == [(1,)]


def test_a_failed_migration_changes_nothing(opened: Open, path: Path) -> None:
    opened().create(diamond(), "ann")
    opened_again = sqlite3.connect(path, isolation_level=None)

    def steps(number: int) -> Sequence[str]:
        return ["ALTER TABLE job ADD COLUMN colour TEXT", "UPDATE job SET no_such_column = 1"]

    with pytest.raises(sqlite3.OperationalError):
        migrate(opened_again, path, NEWEST + 1, steps)

    assert version(opened_again) == NEWEST
    assert "colour" not in [row[1] for row in opened_again.execute("PRAGMA table_info(job)")]
    opened_again.close()


def test_a_migration_keeps_a_copy_of_the_file_as_it_was(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    path.with_name("torc.db.before-1").touch()
    connection = sqlite3.connect(path, isolation_level=None)

    migrate(connection, path, NEWEST + 1, lambda number: ["ALTER TABLE job ADD COLUMN colour TEXT"])

    connection.close()
    copy = path.with_name(f"torc.db.before-{NEWEST + 1}")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _rows(copy, "SELECT count(*) FROM job") == [(4,)]
    assert _rows(copy, "SELECT value FROM meta WHERE name = 'schema'") == [(str(NEWEST),)]
    assert not path.with_name("torc.db.before-1").exists()


def test_a_migration_that_breaks_references_is_undone(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)

    with pytest.raises(Unavailable, match="refer to rows that are not there"):
        migrate(connection, path, NEWEST + 1, lambda number: ["DELETE FROM resource_requirements"])

    assert connection.execute("SELECT count(*) FROM resource_requirements").fetchone() != (0,)
    connection.close()


def test_a_newer_schema_is_refused_with_both_numbers(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    other.close()

    with pytest.raises(Unavailable, match=rf"has schema 99, and this torc knows schemas up to {NEWEST}"):
        opened()


def test_an_empty_file_is_a_database_that_is_not_there_yet(opened: Open, path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    assert opened().create(diamond(), "ann").id == 1


def test_the_first_migration_makes_all_there_is() -> None:
    assert len(migration(1)) > 50


def _size(path: Path) -> int:
    found = 0
    for name in (path.name, f"{path.name}-wal"):
        file = path.with_name(name)
        found += file.stat().st_size if file.exists() else 0
    return found


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
