"""A deletion keeps nobody from writing for long, also where it is a part of something larger (`promises.md` Q14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from torc_core.model import Initialize, Kept
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_sql import deletion
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
