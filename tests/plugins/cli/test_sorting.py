"""What lists can be sorted by: the fields that users see, and no others."""

from __future__ import annotations

import re

import pytest

LISTS = (
    "workflows list", "jobs list 1", "jobs list-resource-requirements 1", "files list 1", "user-data list 1",
    "results list 1", "events list 1", "resource-requirements list 1", "failure-handlers list 1",
    "compute-nodes list 1", "scheduled-compute-nodes list 1", "slurm list 1", "access-groups list", "ro-crate list 1",
)  # fmt: skip


def offered(torc, words):
    """What the refusal of an order offers instead."""
    ran = torc(*words, "--sort-by", "nonsense")
    found = re.fullmatch(r"error: .*s cannot be sorted by 'nonsense' \(choose from (.+)\)\n", ran.err)
    assert (ran.code, found is not None) == (2, True), ran.err
    return found[1].split(", ")


@pytest.mark.parametrize("line", LISTS)
def test_what_is_offered_can_be_sorted_by_and_is_seen(torc, diamond, line):
    words = line.split()
    names = offered(torc, words)

    assert [name for name in names if torc(*words, "--sort-by", name).code != 0] == []
    assert [name for one in torc(*words, "--json").json["items"] for name in names if name not in one] == []


def test_results_can_be_sorted_by_what_they_used(torc, diamond):
    names = offered(torc, ["results", "list", "1"])

    assert {"exec_time_minutes", "peak_memory_bytes", "peak_cpu_percent", "compute_node_id"} <= set(names)
    assert not {"exec_minutes", "node_id"} & set(names)


def test_requirements_of_jobs_are_sorted_by_job(torc, diamond):
    ran = torc("jobs", "list-resource-requirements", "1", "--sort-by", "job_id", "--reverse-sort", "--json")

    assert [one["job_id"] for one in ran.json["items"]] == [4, 3, 2, 1]
