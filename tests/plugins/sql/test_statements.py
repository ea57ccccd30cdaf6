"""The compiled statements are those of the code, are all used, and find their rows by index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import torc_sql
import torc_sqlite
from torc_sql import deletion, tables
from torc_sql.compiling import compiled, schema, written
from torc_sql.migrations import NEWEST, migration
from torc_sqlite.dialect import STATEMENTS, texts
from torc_sqlite.schema import migrate

HOT = (
    "ANY_AHEAD", "ANY_OUTPUT", "ANY_SET", "AGAIN", "BEAT", "CLAIM", "CONFIRM", "COUNTS", "COUNT_JOBS", "COUNT_READY", "END",
    "FINGERPRINT", "FORGET_CLAIMS", "FORKED", "FREE_WAITER", "CANCEL_WAITER", "HEADS", "JOB", "JOB_STATE",
    "LESSEN", "LESSEN_OTHERS", "LISTED", "LIVE_CLASSES", "MEMBERSHIPS", "MINE", "MISSED", "NODE", "ORDERS",
    "OUTPUTS", "PLACE", "READY_CLASSES", "RELEASE", "SET_COUNTS", "SHAPE", "STANDING", "START", "STARTED_AHEAD",
    "TAKE", "USERS", "USES", "WORKFLOW_STATE", "WRITE_SET", "WRITE_UNMET", "NODE_OF_EPOCH", "HELD_AHEAD", "BY_HAND",
    "ACTIVE_NODES", "CLASS_OF", "TAKEN_JOB", "DEP_SET_OF", "BLOCKERS",
    "HIT_READY", "HIT_ENDED", "HIT_BOTH", "BUMP", "ANY_READY", "FIRING", "TRIGGERED", "ON_COMPLETE", "TRY_AGAIN",
    "RECOVER", "RULES_OF", "FREE_RETRIES", "NEXT_RETRY", "ACTIVE_OPERATION", "LINEAGE_NAMES", "JOBS_NAMED",
)  # fmt: skip
"""What runs for every turn, start, end and claim."""


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, None)
        yield connection


def test_the_compiled_statements_are_those_of_the_code() -> None:
    fresh = written(compiled("sqlite"))

    stored = STATEMENTS.read_text(encoding="utf-8")

    assert stored == fresh, "run `python -m torc_sql.compiling sqlite plugins/torc_sqlite/statements.sql`"


def test_the_migrations_lead_to_the_tables_of_the_code(database: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as other:
        for statement in schema("sqlite"):
            other.execute(statement)
        wanted = _shape(other)

    assert _shape(database) == wanted


def test_every_statement_that_is_asked_for_exists() -> None:
    asked = _asked()

    assert asked - texts().keys() == set()


def test_every_statement_is_asked_for() -> None:
    made = re.compile(
        "INSERT_|PURGE_|ALL_|FILE_|USER_DATA_|PRODUCERS_|DROP_|TAKEN_|ANY_OLD_|FORGET_OLD_"
    )  # names that are put together
    stored = {name for name in texts() if not made.match(name)}

    assert stored - _asked() == set()


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_never_scans_a_table(database: sqlite3.Connection, name: str) -> None:
    text = texts()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", text), 1)

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", values)]

    # A list of ids that is given as a parameter is no table of ours.
    assert [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step] == []


def test_a_deletion_knows_every_table_of_a_workflow() -> None:
    of_workflow = {table.name.upper() for table in tables.METADATA.sorted_tables if "wf" in table.c}

    assert set(deletion.ORDER) == of_workflow - {"EVENT", "STATUS_COUNT"}


def test_a_table_is_emptied_after_those_that_refer_to_it() -> None:
    order = {name: position for position, name in enumerate(deletion.ORDER)}

    for table in tables.METADATA.sorted_tables:
        for key in table.foreign_keys:
            target = key.column.table.name.upper()
            if table.name.upper() in order and target in order:
                assert order[table.name.upper()] < order[target]


def test_every_foreign_key_has_an_index(database: sqlite3.Connection) -> None:
    for table in tables.METADATA.sorted_tables:
        for key in table.foreign_keys:
            query = f"SELECT 1 FROM {table.name} WHERE {key.parent.name} = 1"
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not any(step.startswith("SCAN") for step in plan), query


def test_migrations_are_numbered_without_gaps() -> None:
    assert all(migration(number) for number in range(1, NEWEST + 1))


def _shape(connection: sqlite3.Connection) -> dict[str, object]:
    """Tables and indexes as the database sees them; a column that was added later has another text, but no other form."""
    shape: dict[str, object] = {}
    for kind, name, sql in connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    ):
        shape[name] = " ".join(sql.split())
        if kind == "table":
            columns = [row[1:] for row in connection.execute(f"PRAGMA table_info({name})")]
            keys = sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})"))
            shape[name] = (columns, keys, "WITHOUT ROWID" in sql)
    return shape


def _asked() -> set[str]:
    folders = [Path(str(package.__file__)).parent for package in (torc_sql, torc_sqlite)]
    files = [path for folder in folders for path in (*folder.glob("*.py"), *folder.glob("verbs/*.py"))]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    used = set(re.findall(r'(?:rows|row|run|many|text|texts)[\(\[]\s*"([A-Z_]+)"', code))
    return used | set(re.findall(r'"([A-Z][A-Z_]*_[A-Z_]+|[A-Z]{3,})"', code)) & texts().keys()
