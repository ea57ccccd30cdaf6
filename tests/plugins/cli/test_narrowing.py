"""Lists that are narrowed by an id: of something that is not there, it is an error; where nothing is found, it is none."""

from __future__ import annotations

import pytest

JOB = "workflow 1 has no job 99; list them with 'torc jobs list 1'"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["results", "list", "1", "--job-id", "99"], JOB),
        (
            ["results", "list", "1", "--compute-node", "99"],
            "workflow 1 has no compute node 99; list them with 'torc compute-nodes list 1'",
        ),
        (["jobs", "list", "1", "--upstream-job-id", "99"], JOB),
        (["jobs", "list-resource-requirements", "1", "-j", "99"], JOB),
        (["jobs", "list-failure-handlers", "1", "-j", "99"], JOB),
        (["files", "list", "1", "--produced-by-job-id", "99"], JOB),
        (["user-data", "list", "1", "--producer-job-id", "99"], JOB),
        (["user-data", "list", "1", "--consumer-job-id", "99"], JOB),
        (
            ["compute-nodes", "list", "1", "--scheduled-compute-node", "99"],
            "workflow 1 has no scheduled compute node 99; list them with 'torc scheduled-compute-nodes list 1'",
        ),
        (
            ["scheduled-compute-nodes", "list", "1", "--scheduler-config-id", "99"],
            "workflow 1 has no Slurm scheduler 99; list them with 'torc slurm list 1'",
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_is_not_there_is_named(torc, diamond, words, sentence):
    ran = torc(*words)

    assert (ran.code, ran.out, ran.err) == (5, "", f"error: {sentence}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["results", "list", "1", "--job-id", "4"],
        ["jobs", "list", "1", "--upstream-job-id", "4"],
        ["jobs", "list-failure-handlers", "1", "-j", "1"],
        ["files", "list", "1", "--produced-by-job-id", "2"],
        ["user-data", "list", "1", "--producer-job-id", "1"],
    ],
    ids=" ".join,
)
def test_a_list_of_nothing_is_empty(torc, diamond, words):
    assert torc(*words, "--json").json["items"] == []


def test_a_job_of_another_workflow_is_not_there(torc, diamond, home):
    (home / "w.json").write_text('{"name": "w", "jobs": [{"name": "a", "command": "true"}]}')
    torc("create", "w.json")

    assert torc("results", "list", "1", "--job-id", "5").code == 5
