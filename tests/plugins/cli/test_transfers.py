"""`torc workflows export` and `import`: documents on files and pipes."""

from __future__ import annotations

import json
import os
import stat
import time

import pytest

from torc_core.engine.exporting import checksum


@pytest.fixture
def document(torc, diamond):
    return torc("workflows", "export", str(diamond), "--include-results").json


def test_an_export_is_one_json_document(document):
    assert (document["export_version"], document["workflow"]["name"]) == ("1.0", "diamond")
    assert {"jobs", "files", "results"} <= document.keys()
    assert "events" not in document
    assert document["checksum"] == checksum(document)


def test_a_file_is_written_for_its_owner_only(torc, diamond, home):
    ran = torc("workflows", "export", str(diamond), "-o", "w.json", "--compact", "--json")

    assert ran.json["path"] == "w.json"
    assert stat.S_IMODE((home / "w.json").stat().st_mode) == 0o600
    assert "dependency_groups" in json.loads((home / "w.json").read_text())
    assert [one.name for one in home.glob("w.json*")] == ["w.json"]


def test_what_is_no_file_is_written_to_and_not_replaced(torc, diamond, home):
    os.mkfifo(home / "pipe")
    reader = os.open(home / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    ran = torc("workflows", "export", str(diamond), "-o", "pipe", "--compact")
    text = os.read(reader, 1_000_000)
    os.close(reader)

    assert (ran.code, json.loads(text)["workflow"]["name"]) == (0, "diamond")
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)


@pytest.mark.parametrize("folder", [".", "/", ""])
def test_a_folder_is_no_file_to_write(torc, diamond, folder):
    ran = torc("workflows", "export", str(diamond), "-o", folder)

    assert (ran.code, "is a directory" in ran.err) == (2, True)


def test_what_was_exported_is_imported_under_another_name(torc, document, home):
    (home / "w.json").write_text(json.dumps(document))

    made = torc("workflows", "import", "w.json", "-n", "copy", "--keep-status", "--json").json
    jobs = torc("jobs", "list", str(made["id"]), "--json").json["items"]

    assert (made["name"], made["user"]) == ("copy", "ana")
    assert [job["status"] for job in jobs] == ["completed", "failed", "uninitialized", "canceled"]
    assert torc("results", "list", str(made["id"]), "--all-runs", "--json").json["count"] == len(
        document["results"]
    )


@pytest.mark.parametrize("more", [[], ["--compact"]])
def test_a_command_that_may_name_user_data_by_its_old_id_is_warned_of(torc, home, more):
    (home / "w.yaml").write_text(
        "name: w\nuser_data: [{name: cfg, data: {a: 1}}, {name: out}, {name: late}]\n"
        "jobs:\n"
        "  - {name: a, command: 'echo ${user_data.input.cfg} | tee update ${user_data.output.out}'}\n"
        "  - {name: b, command: 'show ${user_data.input.late} v1.3 7'}\n"
        "  - {name: c, command: 'true', input_user_data: [cfg]}\n"
    )
    torc("create", "w.yaml")
    text = torc("workflows", "export", "1", *more).out
    (home / "w.json").write_text(text)

    ran = torc("workflows", "import", "w.json")

    assert ran.code == 0
    assert "job 'a' may name user data 2, which is 5 now (so may 1 more)" in ran.err


def test_a_command_whose_ids_are_the_same_after_the_import_is_not_warned_of(torc, home):
    (home / "w.yaml").write_text(
        "name: w\nuser_data: [{name: out}]\njobs: [{name: a, command: 'tee ${user_data.output.out}'}]\n"
    )
    torc("create", "w.yaml")
    (home / "w.json").write_text(torc("workflows", "export", "1").out)

    ran = torc("--db", "other.db", "workflows", "import", "w.json")

    assert "may name" not in ran.err


def test_results_are_left_out_and_another_owner_is_named(torc, document, home):
    (home / "w.json").write_text(json.dumps(document))

    made = torc(
        "workflows", "import", "w.json", "--skip-results", "--skip-events", "--owner", "eve", "--json"
    ).json

    assert made["user"] == "eve"
    assert torc("results", "list", str(made["id"]), "--all-runs", "--json").json["count"] == 0
    statuses = {job["status"] for job in torc("jobs", "list", str(made["id"]), "--json").json["items"]}
    assert statuses == {"uninitialized"}


def test_a_document_comes_on_standard_input(torc, document, home, monkeypatch):
    path = home / "w.json"
    path.write_text(json.dumps(document))
    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)

        assert torc("workflows", "import", "-", "--json").json["name"] == "diamond"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "no exported workflow"),
        ('{"export_version": "9.0"}', "9.0"),
        ('{"export_version": "1.0", "workflow": {"name": "x"}, "checksum": "00"}', "checksum"),
        (
            '{"export_version": "1.0", "workflow": {"name": "x"}, "jobs": [{"id": 1}]}',
            "jobs[0].name is missing",
        ),
        ('{"export_version": "1.0", "a": ' + "1" * 5000 + "}", "a number of more than 4,300 digits"),
        ('{"export_version": "1.0", "workflow": {"name": "x", "metadata": {"a": NaN}}}', "NaN is not JSON"),
        ('{"export_version": "1.0", "workflow": {"name": "x", "metadata": {"a": 1e999}}}', "1e999 is beyond"),
        (
            '{"export_version": "1.0", "workflow": {"name": "x"}, "events": [{"id": 1, "severity": "fatal"}]}',
            "events[0].severity is wrong: 'fatal'",
        ),
        (
            (
                '{"export_version": "1.0", "workflow": {"name": "x"}, "compute_nodes": [{"id": 1, "hostname": "h",'
                ' "memory_gb": 1e300}]}'
            ),
            "compute_nodes[0].memory_gb is beyond 64 bits",
        ),
    ],
)
def test_what_is_no_document_is_refused_with_a_sentence(torc, home, content, words):
    (home / "w.json").write_text(content)

    ran = torc("workflows", "import", "w.json", "-n", "x")

    assert (ran.code, words in ran.err, "Traceback" in ran.err) == (2, True, False)
    assert torc("workflows", "list", "--json").json["count"] == 0


def test_what_a_specification_may_say_comes_back_from_an_export(torc, home):
    (home / "w.yaml").write_text(
        "name: w\nslurm_defaults: {account: 12345}\nslurm_schedulers: [{name: 'big (gpu)', walltime: 90, mem: 180G}]\n"
        "jobs: [{name: a, command: x, scheduler: 'big (gpu)'}]\n"
    )
    assert torc("create", "w.yaml").code == 0
    (home / "w.json").write_text(torc("workflows", "export", "1").out)

    assert torc("workflows", "import", "w.json").code == 0
    one, other = [torc("slurm", "list", number, "--json").json["items"][0] for number in "12"]

    assert (one["name"], one["account"], one["mem"]) == (other["name"], other["account"], other["mem"])
    assert (one["name"], one["account"]) == ("big (gpu)", "12345")


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def zone(request, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_instants_that_no_calendar_has_are_shown_as_they_are(torc, document, home, zone):
    one, other, *_ = document["results"]
    one["completion_time"], other["completion_time"] = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
    document["events"] = [{"id": 1, "category": "user", "data": {}, "timestamp": 1_764_225_000_000_000}]
    (home / "w.json").write_text(json.dumps({**document, "checksum": checksum(document)}))
    made = torc("workflows", "import", "w.json", "--json").json["id"]

    results, events = torc("results", "list", str(made), "--all-runs"), torc("events", "list", str(made))

    assert (results.code, events.code) == (0, 0)
    assert "9999-12-31" in results.out
    assert "57876-01-24T20:00:00.000Z" in events.out


def test_lists_of_a_job_that_are_null_are_empty(torc, document, home):
    for key in (
        "depends_on_job_ids",
        "input_file_ids",
        "input_user_data_ids",
        "output_user_data_ids",
        "input_groups",
    ):
        document["jobs"][0][key] = None
    (home / "w.json").write_text(json.dumps({**document, "checksum": checksum(document)}))

    assert torc("workflows", "import", "w.json").code == 0


def test_a_missing_file_is_named(torc, home):
    assert "no such file" in torc("workflows", "import", "nowhere.json").err
