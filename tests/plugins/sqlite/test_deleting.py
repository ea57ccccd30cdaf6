"""A deletion keeps nobody from writing for long, also where it is a part of something larger (`promises.md` Q14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from torc_core.errors import Full
from torc_core.model import Initialize, Kept, WorkflowId
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_sql import deletion
from torc_sql.deletion import hidden
from torc_sql.dialect import Write
from torc_sql.transaction import Transaction
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


@pytest.mark.parametrize("kept", [False, True])
def test_a_workflow_is_removed_in_batches(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(deletion, "BATCH", 10)
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        workflow = store.create(fan(50), "ann").id
        store.initialize(workflow, Initialize())
        database = store._database
        removed: list[int] = []
        write = database.write

        @contextmanager
        def counted() -> Iterator[Transaction]:
            with write() as tx:
                before = tx.row("REAL_COUNTS", wf_=workflow)
                yield tx
                after = tx.row("REAL_COUNTS", wf_=workflow)
                removed.append((before[1] if before else 0) - (after[1] if after else 0))

        monkeypatch.setattr(database, "write", counted)

        if kept:
            with store.together():
                store.delete(workflow)
                store.keep(
                    Kept(principal="ann", route="r", key="k", body_hash="h", status=200, answer="null")
                )
        else:
            store.delete(workflow)

    assert (max(removed), sum(removed)) == (10, 50)


def test_what_of_a_deleted_workflow_cannot_be_removed_is_removed_later(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        workflow = store.create(fan(5), "ann").id

        def full(write: Write, id: WorkflowId, go_on: Callable[[], bool]) -> bool:
            raise Full("the disk is full")

        with monkeypatch.context() as until_there_is_room:
            until_there_is_room.setattr(deletion, "purge", full)
            store.delete(workflow)
            store.sweep()
            left = hidden(store._database)
        store.sweep()

        assert (left, hidden(store._database)) == ([workflow], [])


class Hasty(SetClock):
    """A clock by which each look at it takes a tenth of a second."""

    def monotonic(self) -> float:
        self.move(0.1)
        return super().monotonic()


def test_nobody_waits_for_a_large_deletion_that_was_interrupted(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "BATCH", 10)
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        workflow = store.create(fan(500), "ann").id
        with store._database.write() as tx:
            tx.run("HIDE", wf_=workflow)

    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), Hasty())) as store:
        store.renew_leases()
        at_first = hidden(store._database)
        sweeps = 1
        while store.sweep() is not None:
            sweeps += 1

        assert (at_first, hidden(store._database)) == ([workflow], [])
        assert 3 < sweeps < 60
