"""A full disk: what was asked for did not happen, reading goes on, and with room it is written again (`promises.md` Q11)."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing

import pytest

from torc_core.errors import Full
from torc_core.model import File, Query, UserData, Workflow
from torc_core.testing.plans import fan
from torc_sql.store import SqlStore
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.settings import SqliteSettings


@pytest.fixture
def small(tmp_path):
    """A disk of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.fixture
def store(small, clock):
    """A store on that disk."""
    with closing(SqlStore(SqliteDatabase(str(small / "torc.db"), SqliteSettings(), clock), clock)) as store:
        yield store


def fill(store, workflow):
    """Write until there is no room; how many were written."""
    count = 0
    with pytest.raises(Full, match="disk is full"):
        while True:
            store.add([UserData(workflow_id=workflow, name=f"d{count}", data="x" * 50_000, has_data=True)])
            count += 1
    return count


def test_reading_goes_on_and_writing_begins_again_when_there_is_room(small, store, clock):
    workflow = store.create(fan(2), "ann").id
    ballast = small / "ballast"
    ballast.write_bytes(b"\0" * 400_000)
    count = fill(store, workflow)

    assert store.find(UserData, Query(workflow=workflow)).total == count
    assert store.get(Workflow, workflow).name == "planned"
    clock.move(1.9)
    ballast.unlink()
    with pytest.raises(Full):
        store.add([File(workflow_id=workflow, name="too soon", path="f")])
    clock.move(0.2)
    store.add([File(workflow_id=workflow, name="f", path="f")])

    assert [one.name for one in store.find(File, Query(workflow=workflow)).items] == ["f"]
    ids = [one.id for one in store.find(UserData, Query(workflow=workflow)).items]
    assert ids == list(range(1, count + 1))


def test_as_long_as_there_is_no_room_every_probe_fails(store, clock):
    workflow = store.create(fan(1), "ann").id
    fill(store, workflow)

    for _ in range(3):
        clock.move(2.5)
        with pytest.raises(Full):
            store.add([UserData(workflow_id=workflow, name="more", data="x" * 300_000, has_data=True)])

    assert store.find(Workflow, Query()).total == 1


def test_what_is_done_together_when_the_disk_gets_full_is_refused_for_that(store):
    workflow = store.create(fan(1), "ann").id
    (pages,) = store._database._writer.execute("PRAGMA page_count").fetchone()
    store._database._writer.execute(f"PRAGMA max_page_count={pages + 4}")

    with pytest.raises(Full), store.together():
        store.add([File(workflow_id=workflow, name="f", path="f")])
        store.add([UserData(workflow_id=workflow, name="more", data="x" * 300_000, has_data=True)])

    assert store.find(File, Query(workflow=workflow)).total == 0


def test_what_was_written_is_there_after_the_disk_was_full(small, clock):
    def opened():
        return closing(SqlStore(SqliteDatabase(str(small / "torc.db"), SqliteSettings(), clock), clock))

    with opened() as store:
        workflow = store.create(fan(1), "ann").id
        count = fill(store, workflow)

    with opened() as store:
        assert store.find(UserData, Query(workflow=workflow)).total == count


def test_who_could_not_begin_on_a_full_disk_begins_when_there_is_room(small, clock):
    def opened():
        return closing(SqlStore(SqliteDatabase(str(small / "torc.db"), SqliteSettings(), clock), clock))

    with opened() as store:
        store.create(fan(1), "ann")
    with opened() as store:
        ballast = small / "ballast"
        ballast.write_bytes(b"\0" * (os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        with pytest.raises(Full):
            store.create(fan(1), "ann")
        ballast.unlink()
        clock.move(2.5)
        store.create(fan(1), "ann")

        assert store.find(Workflow, Query()).total == 2
