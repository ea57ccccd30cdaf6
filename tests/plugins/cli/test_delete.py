"""`torc delete`: asks first, refuses what runs, removes all and only what belongs to the workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import WorkflowId

Torc = Callable[..., Any]


@pytest.fixture
def ran_twice(torc: Torc, home: Path) -> None:
    (home / "w.yaml").write_text("name: w\njobs: [{name: a, command: 'echo a'}]\n")
    assert [torc("run", "w.yaml").code for _ in range(2)] == [0, 0]


def test_without_a_terminal_it_has_to_be_said(torc: Torc, ran_twice: None) -> None:
    ran = torc("delete", "1")

    assert ran.code == 3
    assert "pass --yes" in ran.err
    assert torc("status", "1").code == 0


def test_a_workflow_and_no_other_is_deleted(torc: Torc, ran_twice: None) -> None:
    ran = torc("delete", "1", "--yes")

    assert (ran.code, ran.out) == (0, "Deleted workflow 1 (1 job)\n")
    assert torc("status", "1").code == 5
    assert torc("status", "2").code == 0


def test_several_are_deleted_together_or_none(torc: Torc, ran_twice: None) -> None:
    assert torc("delete", "1,2,3", "--yes").code == 5
    assert torc("status", "1").code == 0

    ran = torc("delete", "1,2", "-y", "--json")

    assert (ran.code, ran.json["deleted_workflows"], ran.json["deleted_jobs"]) == (0, [1, 2], 2)


def test_what_runs_is_refused_without_force(torc: Torc, diamond: WorkflowId) -> None:
    refused = torc("delete", "1", "--yes")

    assert refused.code == 3
    assert "workflow 1 has 1 live job" in refused.err
    assert torc("delete", "1", "--yes", "--force").code == 0
    assert torc("status", "1").code == 5


def test_log_files_of_this_workflow_go_when_asked(torc: Torc, ran_twice: None, home: Path) -> None:
    logs = home / "torc_output/job_stdio"
    keep = sorted(path.name for path in logs.glob("job_wf2_*"))

    ran = torc("delete", "1", "--yes", "--with-logs", "--json")

    assert ran.json["deleted_files"] == 2
    assert "torc_output/job_stdio/job_wf1_j1_r1_a1.o" in ran.err.splitlines()
    assert sorted(path.name for path in logs.iterdir()) == keep


def test_links_are_not_followed_when_logs_are_removed(torc: Torc, ran_twice: None, home: Path) -> None:
    (home / "precious").write_text("x")
    (home / "torc_output/job_stdio/job_wf1_link").symlink_to(home / "precious")

    torc("delete", "1", "--yes", "--with-logs")

    assert (home / "precious").exists()


def test_an_output_folder_alone_makes_no_sense(torc: Torc, ran_twice: None) -> None:
    assert torc("delete", "1", "--yes", "-o", "x").code == 2


def test_a_missing_id_is_wrong_usage(torc: Torc, home: Path) -> None:
    assert torc("delete").code == 2
    assert torc("delete", "9", "--yes").code == 5


def test_workflows_are_deleted_by_when_they_were_archived(torc, diamond):
    torc("workflows", "new", "-n", "old")
    torc("workflows", "archive", "2")
    later = "2100-01-01"

    assert torc("delete", "1", "--archived-before", later, "--yes").code == 2
    assert torc("delete", "--archived-before", "someday", "--yes").code == 2
    assert torc("delete", "--archived-before", later).code == 3
    assert torc("delete", "--archived-before", "1d", "--yes").out == "No workflow was archived before then\n"
    done = torc("delete", "--archived-before", later, "--yes", "--json").json

    assert done["deleted_workflows"] == [2]
    assert [one["id"] for one in torc("workflows", "list", "--include-archived", "--json").json["items"]] == [
        1
    ]
