"""`--in-memory`: for `run` and `exec`, with the file at the end."""

from __future__ import annotations

import subprocess
import sys

import pytest


def program(home, *words):
    words = [sys.executable, "-m", "torc_core", *words]
    return subprocess.run(words, cwd=home, capture_output=True, text=True, check=False, timeout=60)


def test_commands_run_in_memory_and_their_results_stay(torc, home):
    ran = program(
        home, "exec", "-c", "true", "-c", "exit 3", "--in-memory", "--snapshot-interval-seconds", "1"
    )

    assert ran.returncode == 1, ran.stderr
    listed = torc("results", "list", "last", "--standalone", "--json").json
    assert sorted(one["return_code"] for one in listed["items"]) == [0, 3]


def test_the_database_may_be_named_and_is_gone_on_with(torc, home):
    for name in ("one", "two"):
        assert program(home, "exec", "-n", name, "-c", "true", "--in-memory", "--db", "x.db").returncode == 0

    listed = torc("workflows", "list", "--db", "x.db", "--json").json["items"]
    assert [one["name"] for one in listed] == ["one", "two"]


def test_jobs_reach_the_store_in_memory(torc, home):
    command = f"{sys.executable} -m torc_core status $TORC_WORKFLOW_ID --json"

    ran = program(home, "exec", "-c", command, "--in-memory", "--line-buffer")

    assert ran.returncode == 0, ran.stderr
    assert '"running": 1' in ran.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["status", "last", "--in-memory"],
        ["workflows", "list", "--in-memory"],
        ["exec", "-c", "true", "--in-memory", "--url", "http://x"],
        ["exec", "-c", "true", "--snapshot-interval-seconds", "5"],
        ["exec", "-c", "true", "--in-memory", "--snapshot-interval-seconds", "often"],
        ["exec", "-c", "true", "--in-memory", "--snapshot-interval-seconds", "0"],
    ],
)
def test_where_it_makes_no_sense_it_is_wrong_usage(torc, home, words):
    ran = torc(*words)

    assert (ran.code, ran.out) == (2, "")
    assert not (home / "torc_output" / "torc.db").exists()
