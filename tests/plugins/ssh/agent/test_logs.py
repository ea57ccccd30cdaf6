"""Logs are sent whole, and removed only as they were sent (`remote.md` RW30-RW32, RW40)."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torc_ssh.commands.archives import proven, unpacked

WHOSE = {"store_id": "abc", "workflow": 7, "output_dir": "torc_output"}
NODE = os.uname().nodename


@pytest.fixture
def folder(machine: Any) -> Path:
    """An output directory with files of workflow 7, and of others."""
    folder: Path = machine.home / "torc_output"
    for path, text in {
        ".torc-output": "{}", "job_stdio/job_wf7_j1_r1_a1.o": "one\n", "job_stdio/job_wf7_j2_r1_a1.e": "two\n",
        "job_stdio/job_wf71_j1_r1_a1.o": "another workflow\n", "actions/action_wf7_1_r1.log": "action\n",
        f"job_runner_{NODE}_wf7_r1.log": "runner\n", f"torc_worker_7_{NODE}.log": "worker\n",
        f"torc_worker_7_{NODE}.pid": "{}", ".torc-spool/abc.7.e.1.json": "{}", "results/big.bin": "mine\n",
    }.items():  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "job_stdio/job_wf7_j3_r1_a1.o").symlink_to("/etc/passwd")
    return folder


def test_an_archive_has_the_files_of_the_workflow_and_a_list_of_them(machine: Any, folder: Path) -> None:
    head, files = machine.archive(**WHOSE)

    told = json.loads(files.pop(".torc-manifest.json"))
    assert head["status"] == "logs"
    assert sorted(files) == [
        ".torc-spool/abc.7.e.1.json", "actions/action_wf7_1_r1.log", f"job_runner_{NODE}_wf7_r1.log",
        "job_stdio/job_wf7_j1_r1_a1.o", "job_stdio/job_wf7_j2_r1_a1.e", f"torc_worker_7_{NODE}.log",
    ]  # fmt: skip
    assert {one["path"]: one["sha256"] for one in told["files"]} == {
        name: hashlib.sha256(text).hexdigest() for name, text in files.items()
    }


def test_what_other_workflows_have_not_delivered_or_measured_stays_theirs(machine: Any, folder: Path) -> None:
    (folder / "resource_utilization").mkdir()
    for other in (
        ".torc-spool/abc.4.7.17.7.json", ".torc-spool/abd.7.1.17.1.json",
        "resource_utilization/resource_metrics_w_7_4_1.db",
    ):  # fmt: skip
        (folder / other).write_text("{}")

    _, files = machine.archive(**WHOSE)

    assert [one for one in files if "spool" in one or "utilization" in one] == [".torc-spool/abc.7.e.1.json"]


def test_everything_may_have_names_of_any_kind_and_older_lists(machine: Any, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder / "results") + b"/k\xf6ln")).write_text("city")
    (folder / ".torc-manifest.json").write_text("{}")
    path = machine.home / "archive"

    path.write_bytes(machine.raw(action="logs", all=True, **WHOSE).partition(b"\n")[2])
    entries = proven(path)
    unpacked(path, machine.home / "here", entries)

    assert ".torc-manifest.json" not in {one.path for one in entries}
    assert Path(os.fsdecode(os.fsencode(machine.home) + b"/here/results/k\xf6ln")).read_text() == "city"


def test_patterns_and_what_came_before_narrow_it(machine: Any, folder: Path) -> None:
    about = (folder / "job_stdio/job_wf7_j1_r1_a1.o").stat()
    since = {"job_stdio/job_wf7_j1_r1_a1.o": [about.st_size, about.st_mtime_ns]}

    _, stdout = machine.archive(include=["job_stdio/*"], exclude=["*.e"], **WHOSE)
    _, rest = machine.archive(include=["job_stdio/*"], since=since, **WHOSE)
    _, everything = machine.archive(all=True, **WHOSE)
    _, finished = machine.archive(finished=True, running=["2"], **WHOSE)

    assert list(stdout) == ["job_stdio/job_wf7_j1_r1_a1.o", ".torc-manifest.json"]
    assert list(rest) == ["job_stdio/job_wf7_j2_r1_a1.e", ".torc-manifest.json"]
    assert "results/big.bin" in everything
    assert f"torc_worker_7_{NODE}.pid" not in everything
    assert list(finished) == ["job_stdio/job_wf7_j1_r1_a1.o", ".torc-manifest.json"]


def test_a_database_that_is_written_to_is_sent_as_a_consistent_copy(machine: Any, folder: Path) -> None:
    path = folder / f"resource_utilization/resource_metrics_{NODE}_7_1.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as writer:
        writer.execute("CREATE TABLE sample (n INTEGER)")
        writer.executemany("INSERT INTO sample VALUES (?)", [(number,) for number in range(100)])
        writer.commit()
        writer.execute("INSERT INTO sample VALUES (100)")  # not committed yet
        _, files = machine.archive(**WHOSE)
    writer.close()

    copy = sqlite3.connect(":memory:")
    copy.deserialize(files[f"resource_utilization/resource_metrics_{NODE}_7_1.db"])

    assert copy.execute("SELECT count(*) FROM sample").fetchone() == (100,)
    copy.close()


def test_nothing_is_said_to_be_nothing(machine: Any) -> None:
    assert machine.archive(**WHOSE)[0]["status"] == "none"


def listed(files: dict[str, bytes]) -> dict[str, Any]:
    told = json.loads(files[".torc-manifest.json"])
    return {one["path"]: [one["source_size"], one["mtime_ns"]] for one in told["files"]}


def test_what_changed_after_it_was_sent_stays(machine: Any, folder: Path) -> None:
    _, files = machine.archive(**WHOSE)
    with (folder / "job_stdio/job_wf7_j1_r1_a1.o").open("a") as grown:
        grown.write("more\n")
    (folder / "job_stdio/job_wf7_j9_r1_a1.o").write_text("new\n")

    told = machine.ask(action="clear", files=listed(files), **WHOSE)

    assert told["status"] == "cleared"
    assert told["stayed"] == ["job_stdio/job_wf7_j1_r1_a1.o"]
    assert told["removed"] == 5
    assert sorted(one.name for one in (folder / "job_stdio").iterdir()) == [
        "job_wf71_j1_r1_a1.o", "job_wf7_j1_r1_a1.o", "job_wf7_j3_r1_a1.o", "job_wf7_j9_r1_a1.o",
    ]  # fmt: skip
    assert (folder / "results/big.bin").exists()


@pytest.mark.parametrize(
    "path", ["../precious", "/etc/hostname", "a/../../precious", "", "link/precious", "job_stdio"]
)
def test_no_path_leads_out_of_the_directory(machine: Any, folder: Path, path: str) -> None:
    precious = machine.home / "precious"
    precious.write_text("mine")
    (folder / "link").symlink_to(machine.home)
    about = precious.stat()

    told = machine.ask(action="clear", files={path: [about.st_size, about.st_mtime_ns]}, **WHOSE)

    assert told["removed"] == 0
    assert precious.read_text() == "mine"


def test_an_output_directory_that_is_empty_goes_as_well(machine: Any, folder: Path) -> None:
    import shutil

    shutil.rmtree(folder / "results")
    (folder / "job_stdio/job_wf7_j3_r1_a1.o").unlink()
    (folder / "job_stdio/job_wf71_j1_r1_a1.o").unlink()
    _, files = machine.archive(**WHOSE)

    machine.ask(action="clear", files=listed(files), **WHOSE)

    assert not folder.exists()


def test_an_output_directory_is_deleted_whole_after_it_was_counted(machine: Any, folder: Path) -> None:
    dry = machine.ask(action="delete", dry_run=True, **WHOSE)
    assert (dry["status"], dry["files"], folder.exists()) == ("would_delete", 11, True)

    assert machine.ask(action="delete", **WHOSE)["status"] == "deleted"
    assert not folder.exists()
    assert machine.ask(action="delete", **WHOSE)["status"] == "missing"


@pytest.mark.parametrize(
    "text", ["/", "~", "~/", ".", "..", "../home", "torc_output/..", "plain", "linked", "/tmp", "/usr"]
)
def test_what_is_no_output_directory_is_not_deleted(machine: Any, folder: Path, text: str) -> None:
    (machine.home / "plain").mkdir()
    (machine.home / "plain/file").touch()
    (machine.home / "linked").symlink_to(folder)

    told = machine.ask(action="delete", **{**WHOSE, "output_dir": text})

    assert told["status"] == "refused"
    assert (machine.home / "plain/file").exists()
    assert (folder / "results/big.bin").exists()


def test_a_home_with_the_marker_of_an_output_directory_is_not_deleted(machine: Any) -> None:
    (machine.home / ".torc-output").touch()
    assert machine.ask(action="delete", **{**WHOSE, "output_dir": "~"})["status"] == "refused"
    assert machine.ask(action="delete", **{**WHOSE, "output_dir": str(machine.home)})["status"] == "refused"


@pytest.mark.parametrize("text", ["$(touch x)", "a b; rm -rf c", "`id`", "tab\there", "'quoted\""])
def test_strange_names_are_taken_literally(machine: Any, text: str) -> None:
    strange = machine.home / text
    strange.mkdir()
    (strange / ".torc-output").touch()
    (machine.home / "c").mkdir()

    told = machine.ask(action="delete", **{**WHOSE, "output_dir": text})

    assert told["status"] == "deleted"
    assert sorted(one.name for one in machine.home.iterdir()) == ["c"]


def test_nothing_is_deleted_below_a_worker(machine: Any, centre: Any, until: Callable[..., None]) -> None:
    workflow, other = centre.workflow("sleep 300"), centre.workflow("true")
    machine.ask(**centre.start(workflow))

    assert machine.ask(action="delete", **centre.about(workflow))["status"] == "running"
    assert machine.ask(action="delete", **centre.about(other))["status"] == "running"
    assert machine.ask(action="clear", files={}, **centre.about(workflow))["status"] == "running"
    assert machine.archive(**centre.about(workflow))[0]["running"] is True
    assert machine.ask(action="clear", files={}, all=True, **centre.about(other))["status"] == "running"
    assert machine.archive(all=True, **centre.about(other))[0]["running"] is True


def test_however_many_files_have_arrived_they_are_cleared_at_once(machine: Any, folder: Path) -> None:
    files = {
        f"job_stdio/job_wf7_j{number}_r1_a1.o": [number, 1_700_000_000_000_000_000]
        for number in range(20_000)
    }

    told = machine.ask(action="clear", store_id="abc", workflow=7, output_dir="torc_output", files=files)

    assert (told["status"], told["removed"], len(told["stayed"])) == ("cleared", 0, 20_000)
