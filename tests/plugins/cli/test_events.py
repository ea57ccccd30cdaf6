"""`torc events`: what happened, and what happens now."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE


def types(ran):
    return [item["category"] for item in ran.json["items"]]


def test_events_come_in_commit_order_with_both_times(torc, diamond):
    items = torc("events", "list", diamond, "--json").json["items"]

    assert [item["id"] for item in items] == sorted(item["id"] for item in items)
    assert items[0]["category"] == "workflow_created"
    assert items[0]["time"].endswith("Z")
    assert isinstance(items[0]["timestamp"], int)


def test_a_table_tells_who_and_what(torc, diamond):
    lines = torc("events", "list", diamond, "-t", "job_failed").out.splitlines()

    assert lines[0].split() == ["Seq", "Time", "Severity", "Type", "Text"]
    assert "error" in lines[1]
    assert "left (2)" in lines[1]
    assert "return_code=3" in lines[1]


def test_a_list_is_filtered(torc, diamond):
    every = torc("events", "list", diamond, "--json").json["items"]

    assert set(types(torc("events", "list", diamond, "--type", "job_failed,job_completed", "--json"))) == {
        "job_failed", "job_completed",
    }  # fmt: skip
    assert set(types(torc("events", "list", diamond, "--severity", "error", "--json"))) == {"job_failed"}
    assert types(torc("events", "list", diamond, "--type", "nothing", "--json")) == []
    assert torc("events", "list", diamond, "--after", every[2]["id"], "--json").json["items"] == every[3:]
    assert types(torc("events", "list", diamond, "--since", "2000-01-01", "--json")) == [
        one["category"] for one in every
    ]
    assert types(torc("events", "list", diamond, "--since", "2100-01-01T00:00:00Z", "--json")) == []
    assert len(types(torc("events", "list", diamond, "--since", "10m", "--json"))) == len(every)
    assert torc("events", "list", diamond, "-r", "-l", "1", "--json").json["items"] == every[-1:]


@pytest.mark.parametrize("text", ["yesterday", "10x", "99999-01-01"])
def test_what_is_no_time_is_refused(torc, diamond, text):
    ran = torc("events", "list", diamond, "--since", text)

    assert ran.code == 2
    assert f"'{text}'" in ran.err


def test_users_write_events_and_delete_only_their_own(torc, diamond):
    made = torc("events", "create", diamond, "-d", '{"note": "hello"}', "--json").json

    assert (made["category"], made["data"]["note"]) == ("user", "hello")
    assert torc("events", "get-latest-event", diamond, "--json").json["id"] == made["id"]
    assert torc("events", "delete", "1", "--yes").code == 6
    assert torc("events", "delete", made["id"]).code == 3
    assert torc("events", "delete", made["id"], "--yes").code == 0
    assert torc("events", "get", made["id"]).code == 5


def test_the_type_of_an_own_event_is_its_category_unless_that_is_one_of_torc(torc, diamond):
    made = torc("events", "create", diamond, "-d", '{"category": "copied"}', "--json").json
    plain = torc("events", "create", diamond, "-d", '{"category": "job_failed"}', "--json").json

    assert (made["category"], plain["category"]) == ("copied", "user")
    found = torc("events", "list", diamond, "-t", "copied", "--json").json["items"]
    assert [item["id"] for item in found] == [made["id"]]


def test_monitor_replays_after_a_number_and_ends_with_its_time(torc, diamond, home):
    every = torc("events", "list", diamond, "--severity", "info", "--json").json["items"]

    ran = torc("events", "monitor", diamond, "--after", "0", "-d", "0", "--filename", "log.jsonl", "--json")

    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [line["id"] for line in lines] == [item["id"] for item in every]
    assert {line["schema"] for line in lines} == {"torc.events.event/1"}
    assert [json.loads(line)["id"] for line in (home / "log.jsonl").read_text().splitlines()] == [
        item["id"] for item in every
    ]


def test_monitor_says_time_type_and_text(torc, diamond):
    line = torc("events", "monitor", diamond, "--after", "0", "-d", "0", "-t", "job_failed").out

    assert line.split()[2:5] == ["job_failed", "left", "(2)"]


def test_monitor_without_a_number_begins_with_what_happens_now(torc, diamond):
    assert torc("events", "monitor", diamond, "-d", "0").out == ""


def test_monitor_tells_what_another_process_commits_and_keeps_nobody_from_the_database(torc, diamond, home):
    program = [
        sys.executable,
        "-m",
        "torc_core",
        "events",
        "monitor",
        str(diamond),
        "--after",
        "0",
        "-p",
        "0.1",
        "--json",
    ]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=home) as monitor:
        first = json.loads(monitor.stdout.readline())

        made = torc("events", "create", diamond, "-d", '{"n": 1}', "--json")

        lines = iter(monitor.stdout.readline, "")
        seen = next(event for event in map(json.loads, lines) if event["category"] == "user")
        monitor.terminate()

    assert made.code == 0
    assert first["category"] == "workflow_created"
    assert seen["data"]["n"] == 1
    assert seen["id"] == made.json["id"]


def test_monitor_ends_when_its_workflow_is_deleted(torc, diamond, home, store_of_the_user):
    program = [
        sys.executable,
        "-m",
        "torc_core",
        "events",
        "monitor",
        str(diamond),
        "--after",
        "0",
        "-p",
        "0.1",
    ]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=home) as monitor:
        monitor.stdout.readline()

        with store_of_the_user() as store:
            store.delete(diamond, force=True)

        monitor.stdout.read()
        assert monitor.wait(timeout=PATIENCE) == 0


def monitoring(home, *words):
    program = [sys.executable, "-m", "torc_core", "events", "monitor", *map(str, words), "--json"]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=home)


def posted(torc, url, workflow, number):
    made = torc("events", "create", workflow, "-d", json.dumps({"n": number}), "--url", url, "--json")
    assert made.code == 0, made.err


def test_a_server_tells_its_events_as_they_happen(torc, diamond, home, url):
    with monitoring(home, diamond, "--after", "0", "-t", "user", "--url", url) as monitor:
        posted(torc, url, diamond, 1)
        first = json.loads(monitor.stdout.readline())
        posted(torc, url, diamond, 2)

        second = json.loads(monitor.stdout.readline())

        monitor.terminate()
    assert (first["data"]["n"], second["data"]["n"]) == (1, 2)
    assert first["category"] == "user"


def test_monitor_goes_on_without_a_gap_when_the_server_was_away(torc, diamond, home, serve):
    port = free_port()
    with serve(port) as url:
        monitor = monitoring(home, diamond, "--after", "0", "-t", "user", "--url", url)
        posted(torc, url, diamond, 1)
        seen = [json.loads(monitor.stdout.readline())["data"]["n"]]
    torc("events", "create", diamond, "-d", '{"n": 2}')
    with serve(port) as url:
        posted(torc, url, diamond, 3)
        seen += [json.loads(monitor.stdout.readline())["data"]["n"] for _ in range(2)]
        monitor.terminate()
        monitor.stdout.close()
        monitor.wait(timeout=PATIENCE)

    assert seen == [1, 2, 3]


def test_monitor_of_a_server_ends_with_its_time_and_keeps_a_file(torc, diamond, home, url):
    ran = torc(
        "events", "monitor", diamond, "--after", "0", "-d", "0.01", "--level", "error", "--url", url,
        "--filename", "log.jsonl", "--json",
    )  # fmt: skip

    assert ran.code == 0
    assert [json.loads(line)["category"] for line in ran.out.splitlines()] == ["job_failed"]
    assert len((home / "log.jsonl").read_text().splitlines()) == 1
