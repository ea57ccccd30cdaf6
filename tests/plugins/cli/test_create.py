"""`torc create`: one transaction from a specification to a workflow, or complaints and nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import Query, Workflow
from torc_core.protocols import Store

Torc = Callable[..., Any]
Opened = Callable[[], AbstractContextManager[Store]]

SPEC = """\
name: sweep
jobs:
  - name: "eval_{i}"
    command: "echo {i}"
    parameters: {i: "1:3"}
  - name: reduce
    command: "true"
    depends_on_regexes: ["eval_.*"]
"""


@pytest.fixture
def spec(home: Path) -> Path:
    path = home / "sweep.yaml"
    path.write_text(SPEC)
    return path


def workflows(opened: Opened) -> int:
    with opened() as store:
        return store.find(Workflow, Query()).total


def test_a_workflow_is_created_and_the_next_command_named(torc: Torc, spec: Path) -> None:
    ran = torc("create", "sweep.yaml")

    assert ran.code == 0
    assert ran.out == "Created workflow 1 'sweep' (4 jobs, 0 files)\n"
    assert "run it: torc run 1" in ran.err


def test_json_tells_the_id_and_the_counts(torc: Torc, spec: Path) -> None:
    ran = torc("create", "sweep.yaml", "--json")

    assert ran.code == 0
    assert ran.json["schema"] == "torc.outcome/1"
    assert (ran.json["workflow_id"], ran.json["job_count"]) == (1, 4)


def test_options_override_the_specification(torc: Torc, spec: Path, store_of_the_user: Opened) -> None:
    ran = torc(
        "create",
        "sweep.yaml",
        "--name",
        "other",
        "--project",
        "p",
        "--description",
        "d",
        "--metadata",
        '{"a": 1}',
    )

    assert ran.code == 0
    with store_of_the_user() as store:
        workflow = store.get(Workflow, 1)
    assert (workflow.name, workflow.project, workflow.description) == ("other", "p", "d")
    assert workflow.metadata == {"a": 1}
    assert workflow.source_path == str(spec)


def test_complaints_name_file_line_and_place_and_nothing_is_created(
    torc: Torc, spec: Path, store_of_the_user: Opened
) -> None:
    spec.write_text(SPEC.replace('["eval_.*"]', '["eval_.*"]\n    depends_on: [evil_1]'))

    ran = torc("create", "sweep.yaml")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("sweep.yaml:9: jobs[1].depends_on[0]: ")
    assert workflows(store_of_the_user) == 0


def test_in_json_mode_complaints_are_details_of_the_error(torc: Torc, spec: Path) -> None:
    spec.write_text("name: x\njobs: [{name: a, command: b, colour: red}]\n")

    ran = torc("--json", "create", "sweep.yaml")

    assert (ran.code, ran.out) == (2, "")
    error = json.loads(ran.err)
    assert (error["code"], error["exit_code"]) == ("invalid_spec", 2)
    assert error["details"][0]["code"] == "unknown-key"


def test_a_dry_run_prints_what_would_be_made_and_makes_nothing(
    torc: Torc, spec: Path, store_of_the_user: Opened
) -> None:
    ran = torc("create", "sweep.yaml", "--dry-run", "--json")

    assert ran.code == 0
    assert ran.json["schema"] == "torc.create.check/1"
    assert (ran.json["valid"], ran.json["errors"]) == (True, [])
    assert ran.json["summary"]["job_count"] == 4
    assert ran.json["summary"]["job_names"] == ["eval_1", "eval_2", "eval_3", "reduce"]
    assert not list(spec.parent.rglob("*.db"))


def test_a_dry_run_of_a_bad_specification_lists_everything_and_leaves_with_2(torc: Torc, spec: Path) -> None:
    spec.write_text("name: x\njobs: [{name: a, comand: b}]\n")

    table, document = (
        torc("create", "sweep.yaml", "--dry-run"),
        torc("create", "sweep.yaml", "--dry-run", "--json"),
    )

    assert (table.code, document.code) == (2, 2)
    assert table.out.splitlines()[-1].startswith("not valid: ")
    assert document.json["valid"] is False
    assert len(document.json["errors"]) == len(
        [p for p in document.json["problems"] if p["severity"] == "error"]
    )
    assert {"severity", "code", "file", "line", "column", "path", "message", "hint"} == set(
        document.json["problems"][0]
    )


def test_a_specification_comes_from_standard_input(
    torc: Torc, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "in"
    path.write_text('{"name": "piped", "jobs": [{"name": "a", "command": "true"}]}')

    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = torc("create", "-")

    assert ran.code == 0
    assert ran.out.startswith("Created workflow 1 'piped' (1 job")


def test_a_missing_file_is_no_such_file(torc: Torc, home: Path) -> None:
    ran = torc("create", "sweep.yaml")

    assert (ran.code, ran.err) == (2, "error: no such file: 'sweep.yaml'\n")


def test_too_many_jobs_are_refused_before_they_are_made(torc: Torc, spec: Path) -> None:
    assert torc("create", "sweep.yaml", "--max-expanded", "3").code == 2


def test_a_change_has_no_csv_and_is_not_made_then(torc: Torc, spec: Path, store_of_the_user: Opened) -> None:
    assert torc("create", "sweep.yaml", "-f", "csv").code == 2
    assert workflows(store_of_the_user) == 0
