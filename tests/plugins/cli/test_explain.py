"""`torc explain`, `torc jobs explain`: why something does not run, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Torc = Callable[..., Any]


@pytest.fixture
def created(torc: Torc, home: Path) -> int:
    (home / "w.yaml").write_text(
        "name: w\njobs: [{name: a, command: 'true'}, {name: b, command: 'true', depends_on: [a]}]\n"
    )
    torc("create", "w.yaml")
    return 1


def test_a_workflow_is_explained_by_reason(torc: Torc, created: int) -> None:
    ran = torc("explain", str(created))

    assert ran.code == 0
    assert ran.out.splitlines()[0] == f"Workflow {created}  w"
    assert "2 jobs: uninitialized (a (1), b (2))" in ran.out
    assert f"→ torc workflows init {created}" in ran.out


def test_a_job_is_explained_by_two_commands_alike(torc: Torc, created: int) -> None:
    torc("workflows", "init", str(created))

    one, other = torc("jobs", "explain", "2", "--json").json, torc("explain", "--job", "2", "--json").json

    assert one == other
    assert (one["schema"], one["verdict"]["code"], one["status"]) == (
        "torc.explain/1",
        "waiting_dependency",
        "blocked",
    )


def test_json_of_a_workflow_lists_reasons(torc: Torc, created: int) -> None:
    torc("workflows", "init", str(created))

    told = torc("explain", str(created), "--json").json

    assert told["schema"] == "torc.explain-workflow/1"
    assert {one["code"]: one["count"] for one in told["reasons"]} == {
        "no_runner": 1,
        "waiting_dependency": 1,
    }


def test_both_a_workflow_and_a_job_are_too_much(torc: Torc, created: int) -> None:
    ran = torc("explain", str(created), "--job", "1")

    assert (ran.code, "a job knows its workflow" in ran.err) == (2, True)


def test_a_job_that_is_not_there_is_told(torc: Torc, created: int) -> None:
    assert torc("jobs", "explain", "99").code == 5
