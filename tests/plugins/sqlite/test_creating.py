"""A large plan keeps nobody from writing for long, also where it is a part of something larger (`promises.md` Q6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from torc_core.errors import NotFound
from torc_core.model import Event, File, Initialize, Job, JobStatus, Kept, Query, Workflow
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_sql import creation
from torc_sql.store import SqlStore
from torc_sql.transaction import Transaction
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

ANSWER = Kept(principal="ann", route="r", key="k", body_hash="h", status=200, answer="null")


@pytest.fixture
def store(tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """A store that takes twenty rows for many."""
    monkeypatch.setattr(creation, "CHUNK", 10)
    monkeypatch.setattr(creation, "AT_ONCE", 20)
    opened = open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)
    assert isinstance(opened, SqlStore)
    yield opened
    opened.close()


@pytest.fixture
def written(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each transaction that inserts or changes many."""
    found: list[int] = []
    write, many = store._database.write, Transaction.many

    @contextmanager
    def counted() -> Iterator[Transaction]:
        found.append(0)
        with write() as tx:
            yield tx

    def more(tx: Transaction, statement: str, rows: Any) -> int:
        listed = list(rows)
        found[-1] += len(listed)
        return many(tx, statement, listed)

    monkeypatch.setattr(store._database, "write", counted)
    monkeypatch.setattr(Transaction, "many", more)
    return found


def hidden(store: SqlStore) -> int:
    """How many workflows there are that nobody sees."""
    with store._database.read() as tx:
        return len(tx.rows("HIDDEN"))


def planned(store: SqlStore) -> Callable[[], Workflow]:
    return partial(store.create, fan(100), "ann")


def imported(store: SqlStore) -> Callable[[], Workflow]:
    """Of a workflow that has begun, and has events."""
    source = store.create(fan(100), "ann").id
    store.initialize(source, Initialize())
    document = store.export_workflow(source, events=True)
    store.delete(source)
    return partial(store.import_workflow, document, "ann", keep_status=True)


@pytest.mark.parametrize("prepared", [planned, imported])
def test_a_large_plan_is_written_in_chunks_also_with_an_answer_that_is_kept(
    store: SqlStore, written: list[int], prepared: Callable[[SqlStore], Callable[[], Workflow]]
) -> None:
    make = prepared(store)
    written.clear()

    with store.together():
        workflow = make().id
        store.initialize(workflow, Initialize(force=True))
        store.keep(ANSWER)

    assert max(written) <= 30
    assert sum(written) > 100
    assert store.find(Job, Query(workflow=workflow)).total == 100
    assert store.kept("ann", "r", "k") == ANSWER
    assert list(store.repair()) == []


def test_a_large_workflow_that_is_imported_stands_where_it_stood(store: SqlStore) -> None:
    workflow = imported(store)().id

    totals = store.totals([workflow])[0]
    assert (totals.counts, totals.workflow.run_id) == ({JobStatus.READY: 100}, 1)
    assert [one.category for one in store.find(Event, Query(workflow=workflow)).items] == [
        "workflow_created", "workflow_started", "user_action", "workflow_created",
    ]  # fmt: skip
    assert list(store.repair()) == []


def test_the_counts_of_a_large_workflow_that_is_imported_are_taken_one_by_one(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = imported(store)
    counted: list[tuple[Transaction, str]] = []
    rows = Transaction.rows

    def noted(tx: Transaction, statement: str, **values: object) -> list[Any]:
        if statement.startswith("WRONG_"):
            counted.append((tx, statement))
        return rows(tx, statement, **values)

    monkeypatch.setattr(Transaction, "rows", noted)

    make()

    assert [statement for _, statement in counted] == ["WRONG_SETS", "WRONG_UNMET", "WRONG_CLASSES"]
    assert len({id(tx) for tx, _ in counted}) == 3


def test_nobody_sees_a_large_plan_before_all_of_what_is_done_together(store: SqlStore) -> None:
    seen: list[int] = []

    with store.together():
        workflow = planned(store)().id
        with store._database.read() as tx:
            seen.append(len(tx.rows("VISIBLE")))

    assert seen == [0]
    assert store.get(Workflow, workflow).id == workflow


@pytest.mark.parametrize("earlier", [False, True])
def test_nothing_is_left_of_a_large_plan_when_what_follows_it_fails(store: SqlStore, earlier: bool) -> None:
    other = store.create(fan(1), "ann").id

    def fail() -> None:
        with store.together():
            if earlier:
                store.add([File(workflow_id=other, name="f", path="f")])
            with store.together():
                planned(store)()
            store.keep(ANSWER)
            store.get(Workflow, 99)

    with pytest.raises(NotFound):
        fail()

    assert (hidden(store), store.find(Workflow, Query()).total) == (0, 1)
    assert store.find(File, Query(workflow=other)).total == 0
    assert store.kept("ann", "r", "k") is None


def test_nothing_is_left_of_a_large_plan_that_is_refused_within_something_larger(store: SqlStore) -> None:
    other = store.create(fan(1), "ann").id

    def fail() -> None:
        with store.together():
            planned(store)()
            store.get(Workflow, 99)

    with store.together():
        with pytest.raises(NotFound):
            fail()
        store.add([File(workflow_id=other, name="f", path="f")])

    assert (hidden(store), store.find(Workflow, Query()).total) == (0, 1)
    assert store.find(File, Query(workflow=other)).total == 1


def test_what_comes_first_comes_when_the_transaction_begins(store: SqlStore) -> None:
    done: list[str] = []

    with store.together(lambda: done.append("outer")), store.together(lambda: done.append("inner")):
        store.kept("ann", "r", "k")
        done.append("before")
        planned(store)()
        done.append("after")

    assert done == ["before", "outer", "inner", "after"]
