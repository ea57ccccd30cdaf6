"""`torc workflows purge` and `export --include-logs`: nothing is lost when a workflow leaves the store."""

from __future__ import annotations

import json
import stat

import pytest

from torc_core.engine.exporting import check_whole

SPEC = """
name: my study
jobs:
  - {name: hello, command: "echo hello; echo oops >&2; printf '\\\\377' >> raw; cat raw"}
  - {name: fails, command: "exit 3"}
"""


@pytest.fixture
def archived(torc, home):
    """A workflow that has run and is archived, and one that is not."""
    (home / "w.yaml").write_text(SPEC)
    assert torc("run", "w.yaml").code == 1
    torc("workflows", "new", "-n", "other")
    torc("workflows", "archive", "1")


def ids(torc):
    listed = torc("workflows", "list", "--include-archived", "--json").json["items"]
    return [one["id"] for one in listed]


def test_a_purged_workflow_can_be_imported_again(torc, archived, home):
    ran = torc(
        "workflows",
        "purge",
        "--archived-before",
        "0s",
        "--export-to",
        "kept/here",
        "--include-logs",
        "--yes",
        "--json",
    )

    assert (ran.code, ran.json["purged_workflows"], ids(torc)) == (0, [1], [2])
    (path,) = (home / "kept" / "here").iterdir()
    assert (ran.json["paths"], path.name) == (
        ["kept/here/workflow_1_my_study.json"],
        "workflow_1_my_study.json",
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert {"results", "events", "logs"} <= document.keys()
    made = torc("workflows", "import", str(path), "--keep-status", "--json").json
    statuses = {
        one["name"]: one["status"] for one in torc("jobs", "list", str(made["id"]), "--json").json["items"]
    }
    assert statuses == {"hello": "completed", "fails": "failed"}


def test_only_what_was_archived_before_is_purged(torc, archived):
    words = ("workflows", "purge", "--export-to", "kept", "--yes", "--json")

    assert torc(*words, "--archived-before", "2026-01-01").json["purged_workflows"] == []
    assert torc(*words, "--archived-before", "1d").json["purged_workflows"] == []
    assert torc(*words, "--archived-before", "soon").code == 2
    assert ids(torc) == [1, 2]


def test_nothing_is_purged_without_an_answer(torc, archived, home):
    ran = torc("workflows", "purge", "--archived-before", "0s", "--export-to", "kept")

    assert ran.code == 3
    assert "1 'my study' with 2 jobs" in ran.err
    assert (ids(torc), (home / "kept").exists()) == ([1, 2], False)


def test_what_cannot_be_exported_is_not_deleted(torc, archived, home):
    (home / "kept").write_text("a file")

    ran = torc("workflows", "purge", "--archived-before", "0s", "--export-to", "kept", "--yes")

    assert (ran.code, "kept" in ran.err) == (2, True)
    assert ids(torc) == [1, 2]


def test_a_file_that_cannot_be_written_keeps_the_workflow(torc, archived, home):
    (home / "kept").mkdir()
    (home / "kept" / "workflow_1_my_study.json.part").mkdir()

    ran = torc("workflows", "purge", "--archived-before", "0s", "--export-to", "kept", "--yes")

    assert ran.code == 2
    assert "workflow 1 is not deleted: cannot write" in ran.err
    assert ids(torc) == [1, 2]


def test_a_file_that_is_there_stays(torc, archived, home):
    (home / "kept").mkdir()
    (home / "kept" / "workflow_1_my_study.json").write_text("mine")

    torc("workflows", "purge", "--archived-before", "0s", "--export-to", "kept", "--yes")

    assert (home / "kept" / "workflow_1_my_study.json").read_text() == "mine"
    check_whole(json.loads((home / "kept" / "workflow_1_my_study_2.json").read_text()))


def test_an_export_has_the_output_of_jobs(torc, archived):
    document = torc("workflows", "export", "1", "--include-logs").json

    check_whole(document)
    logs = {(one["job_id"], one["stream"]): one for one in document["logs"]}
    assert logs[1, "stderr"]["content"] == "oops\n"
    assert logs[1, "stdout"]["content_base64"] == "aGVsbG8K/w=="
    assert (logs[1, "stdout"]["size_bytes"], logs[1, "stdout"]["is_cut"]) == (7, False)
    assert "logs" not in torc("workflows", "export", "1").json
