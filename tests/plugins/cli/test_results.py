"""`torc results`: how attempts ended."""

from __future__ import annotations

import pytest


def jobs(ran):
    return [item["job_name"] for item in ran.json["items"]]


def test_a_table_tells_time_and_memory_as_people_do(torc, diamond):
    header, prep, left = torc("results", "list", diamond).out.splitlines()

    assert header.split()[:5] == ["ID", "Job", "ID", "Job", "Run"]
    assert "1m 30s" in prep
    assert "1g" in prep
    assert "exit_code" in left


def test_json_has_the_fields_of_the_rest_model(torc, diamond):
    item = torc("results", "list", diamond, "--json").json["items"][0]

    assert (item["return_code"], item["exec_time_minutes"], item["peak_memory_bytes"]) == (0, 1.5, 1024**3)
    assert item["completion_time"] == "2026-05-01T16:03:22.123Z"
    assert (item["run_id"], item["attempt_id"], item["is_current"]) == (1, 1, True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["prep", "left"]),
        (["--failed"], ["left"]),
        (["-s", "completed"], ["prep"]),
        (["--return-code", "3"], ["left"]),
        (["--return-code", "-9"], []),
        (["-j", "1"], ["prep"]),
        (["-r", "1"], ["prep", "left"]),
        (["-r", "9"], []),
        (["--all-runs"], ["prep", "left"]),
        (["--all-attempts"], ["prep", "left"]),
        (["--compute-node", "1"], ["prep", "left"]),
        (["--sort-by", "return_code", "--reverse-sort"], ["left", "prep"]),
        (["--sort-by", "completion_time"], ["prep", "left"]),
        (["--sort-by", "peak_memory_bytes"], ["prep", "left"]),
    ],
)
def test_a_list_is_filtered_and_sorted(torc, diamond, options, expected):
    assert jobs(torc("results", "list", diamond, "--json", *options)) == expected


def test_results_of_earlier_runs_are_kept(torc, diamond):
    torc("jobs", "cancel", "3")
    torc("workflows", "initialize", "last", "--force", "--yes")

    assert set(jobs(torc("results", "list", diamond, "--all-runs", "--json"))) == {"prep", "left"}
    assert set(jobs(torc("results", "list", diamond, "-r", "1", "--json"))) == {"prep", "left"}
    assert jobs(torc("results", "list", diamond, "-r", "2", "--json")) == []


def test_get_shows_one(torc, diamond):
    assert torc("results", "get", "2", "--json").json["job_name"] == "left"


def test_deleting_needs_a_yes_and_leaves_the_status_of_the_job(torc, diamond):
    assert torc("results", "delete", "2").code == 3
    assert torc("results", "delete", "2", "--yes").code == 0
    assert torc("results", "list", diamond, "--json").json["count"] == 1
    assert torc("jobs", "get", "2", "--json").json["status"] == "failed"
