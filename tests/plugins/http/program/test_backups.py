"""Copies of databases whose names have signs that mean something in addresses."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from torc_core.model import Query, Workflow
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_http.program.backups import copy
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


@pytest.mark.parametrize("name", ["a#b.db", "a?b.db", "100%41.db"])
def test_a_copy_has_all_that_the_database_has(tmp_path: Path, clock: SetClock, name: str) -> None:
    with closing(open_sqlite(f"sqlite://{tmp_path}/{name}", SqliteSettings(), clock)) as store:
        store.create(fan(1), "ann")
        copy(tmp_path / name, tmp_path / "copy.db")

    with closing(open_sqlite(f"sqlite://{tmp_path}/copy.db", SqliteSettings(), clock)) as store:
        assert store.find(Workflow, Query()).total == 1
    assert not (tmp_path / "a").exists()
