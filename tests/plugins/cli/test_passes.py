"""`torc workflows` and `torc jobs` that begin runs, set jobs back, and put workflows away."""

from __future__ import annotations

import os

import pytest

from torc_core.model import Job, JobStatus, Query, Workflow

CHAIN = """\
name: chain
jobs:
  - name: first
    command: cp in.txt mid.txt
    input_files: [in]
    output_files: [mid]
  - name: second
    command: cp mid.txt out.txt
    input_files: [mid]
    output_files: [out]
files:
  - {name: in, path: in.txt}
  - {name: mid, path: mid.txt}
  - {name: out, path: out.txt}
"""


@pytest.fixture
def ran(torc, home):
    """A chain of two jobs that has run."""
    (home / "chain.yaml").write_text(CHAIN)
    (home / "in.txt").write_text("one")
    assert torc("run", "chain.yaml").code == 0


def statuses(torc):
    return {job["name"]: job["status"] for job in torc("jobs", "list", "last", "--json").json["items"]}


def test_reinitialize_runs_again_what_has_changed(torc, ran, home):
    os.utime(home / "in.txt", (1, 1))

    tried = torc("workflows", "reinit", "last", "--dry-run", "--json")
    kept = statuses(torc)
    done = torc("workflows", "reinit", "last", "--json").json

    assert tried.json["reinitialized_jobs"] == [
        {"id": 1, "name": "first", "reason": "input changed: in.txt"},
        {"id": 2, "name": "second", "reason": "upstream"},
    ]
    assert (tried.code, kept) == (0, {"first": "completed", "second": "completed"})
    assert (done["run_id"], done["reinitialized_jobs"]) == (2, tried.json["reinitialized_jobs"])
    assert statuses(torc) == {"first": "ready", "second": "blocked"}
    assert torc("run", "last").code == 0


def test_reinitialize_makes_a_missing_output_again(torc, ran, home):
    (home / "out.txt").unlink()

    text = torc("workflows", "reinitialize", "last", "--dry-run").out
    torc("workflows", "reinitialize", "last")
    torc("run", "last")

    assert "job 2 'second' runs again: output missing: out.txt" in text
    assert (home / "out.txt").read_text() == "one"


def test_a_file_with_the_same_content_has_not_changed_if_content_counts(torc, home):
    (home / "chain.yaml").write_text(
        CHAIN.replace("name: chain\n", "name: chain\nmetadata: {content_hash: true}\n")
    )
    (home / "in.txt").write_text("one")
    torc("run", "chain.yaml")
    os.utime(home / "in.txt", (1, 1))

    same = torc("workflows", "reinit", "last", "--dry-run", "--json").json["reinitialized_jobs"]
    (home / "in.txt").write_text("two")
    other = torc("workflows", "reinit", "last", "--dry-run", "--json").json["reinitialized_jobs"]

    assert (same, [job["name"] for job in other]) == ([], ["first", "second"])


def test_nothing_has_changed_right_after_a_run(torc, ran):
    done = torc("workflows", "reinit", "last", "--json").json

    assert (done["reinitialized_jobs"], done["moved"]) == ([], {})


def test_initialize_begins_all_anew_after_a_yes(torc, ran):
    refused = torc("workflows", "initialize", "last")
    done = torc("workflows", "initialize", "last", "--yes", "--json").json

    assert (refused.code, done["run_id"]) == (3, 2)
    assert statuses(torc) == {"first": "ready", "second": "blocked"}


def test_an_initialisation_can_be_left_to_the_store(torc, ran):
    done = torc("workflows", "initialize", "last", "--yes", "--async", "--json").json

    assert (done["operation"], done["task_status"]) == ("initialize", "succeeded")
    assert statuses(torc) == {"first": "ready", "second": "blocked"}


def test_a_workflow_is_reset_and_begun_again(torc, ran):
    torc("cancel", "last", "--yes")
    tried = torc("workflows", "reset-status", "last", "--dry-run", "-r", "--json").json
    refused = torc("workflows", "reset-status", "last")
    kept = statuses(torc)
    done = torc("workflows", "reset-status", "last", "-r", "--yes", "--json").json

    assert tried["operations"] == dict.fromkeys(("workflow_reset", "job_reset", "reinitialize"), "planned")
    assert (refused.code, set(kept.values())) == (3, {"completed"})
    assert (done["status"], done["failed_only"], done["errors"]) == ("success", False, [])
    assert done["operations"] == dict.fromkeys(("workflow_reset", "job_reset", "reinitialize"), "success")
    assert statuses(torc) == {"first": "ready", "second": "blocked"}
    assert torc("workflows", "get", "last", "--json").json["run_id"] == 2


def test_only_failed_jobs_are_reset(torc, diamond):
    torc("jobs", "cancel", "3")

    done = torc("workflows", "reset-status", "last", "--failed-only", "--force", "--yes", "--json").json

    assert done["messages"][1] == "3 jobs reset"
    assert done["operations"]["reinitialize"] is None
    assert statuses(torc) == {
        "prep": "completed", "left": "uninitialized", "right": "uninitialized", "join": "uninitialized"
    }  # fmt: skip


def test_a_reset_beside_running_jobs_needs_force(torc, diamond):
    ran = torc("workflows", "reset-status", "last", "--yes")

    assert (ran.code, "1 job is pending or running" in ran.err) == (3, True)


def test_an_archived_workflow_is_hidden_and_refuses_runs(torc, ran):
    done = torc("workflows", "archive", "true", "last", "--json").json
    listed = torc("workflows", "list", "--json").json["count"]
    refusals = [
        torc("run", "1").code,
        torc("workflows", "init", "1", "--force", "--yes").code,
        torc("workflows", "reinit", "1").code,
        torc("workflows", "reset-status", "1", "--yes").code,
    ]
    said = "workflow 1 is archived and cannot be {}; take it out first: torc workflows unarchive 1"

    assert (done["is_archived"], listed, refusals) == (True, 0, [3, 3, 3, 3])
    for words, verb in (
        (["run", "1"], "run"),
        (["workflows", "reset-status", "1", "--yes"], "reset"),
        (["jobs", "create", "1", "-n", "x", "-c", "true"], "given new jobs"),
        (["jobs", "reset-status", "1", "--yes"], "reset"),
        (["jobs", "retry", "1"], "retried"),
        (["slurm", "schedule-nodes", "1", "--dry-run"], "given nodes"),
    ):
        told = torc(*words)
        assert (told.code, told.err.splitlines()[-1]) == (3, f"error: {said.format(verb)}")
    torc("workflows", "unarchive", "1")
    assert torc("workflows", "list", "--json").json["count"] == 1
    torc("workflows", "archive", "1")
    assert torc("workflows", "archive", "false", "1", "--json").json["is_archived"] is False


def test_what_is_said_of_a_canceled_workflow_lets_it_run_again(torc, diamond):
    torc("cancel", "1", "--yes")

    ran = torc("run", "1").err
    reinit = torc("workflows", "reinit", "1").err
    reset = torc("workflows", "reset-status", "1", "--failed-only", "-r", "--yes").out

    assert "reinit" not in ran
    assert (
        "nothing to run: it is canceled; to run it again: torc workflows reset-status 1 --failed-only -r (what was"
        " canceled) or torc workflows reset-status 1 -r (all)" in ran
    )
    assert "run it: torc run 1" not in reinit
    assert "workflow 1 is canceled no longer\n" in reset
    assert torc("status", "1", "--json").json["is_canceled"] is False


def test_a_workflow_at_work_is_not_archived(torc, diamond):
    ran = torc("workflows", "archive", "1")

    assert (ran.code, "1 running" in ran.err) == (3, True)


def test_jobs_are_reset_and_the_next_run_takes_what_waits_for_them(torc, ran):
    tried = torc("jobs", "reset-status", "1", "--dry-run", "--json")
    kept = statuses(torc)
    done = torc("jobs", "reset-status", "1", "--yes", "--json").json

    assert (tried.json["dependent_jobs"], tried.json["completed_jobs"]) == ([2], [1])
    assert "1 job completed already: 1 'first'" in tried.err
    assert kept == {"first": "completed", "second": "completed"}
    assert (done["count"], statuses(torc)) == (1, {"first": "uninitialized", "second": "completed"})
    assert torc("workflows", "get", "last", "--json").json["run_id"] == 1
    assert torc("run", "last").code == 0
    assert torc("workflows", "get", "last", "--json").json["run_id"] == 2


def test_reset_jobs_can_begin_again_at_once(torc, ran):
    done = torc("jobs", "reset-status", "1", "--reinit", "--yes", "--json").json

    assert (done["run_id"], statuses(torc)) == (2, {"first": "ready", "second": "blocked"})


def test_jobs_of_two_workflows_are_not_reset_at_once(torc, ran):
    torc("workflows", "new", "-n", "other")
    torc("jobs", "create", "2", "-n", "a", "-c", "true")

    assert torc("jobs", "reset-status", "1", "3", "--yes").code == 2


def test_a_failed_job_is_tried_again(torc, diamond):
    done = torc("jobs", "retry", "2", "--reason", "flaky", "--json").json

    assert done["jobs"] == [{"job_id": 2, "attempt_id": 2}]
    assert statuses(torc)["left"] == "ready"
    events = torc("events", "list", "1", "-t", "user", "--json").json["items"]
    assert events[-1]["data"] == {"operation": "retry", "job_id": 2, "reason": "flaky"}


def test_some_of_several_jobs_may_be_refused(torc, diamond):
    ran = torc("jobs", "retry", "1", "2", "--json")

    assert (ran.code, ran.json["status"]) == (1, "partial_success")
    assert (ran.json["jobs"][0]["job_id"], ran.json["errors"][0]["job_id"]) == (2, 1)
    assert torc("jobs", "retry", "1").code == 3


def test_run_tries_failed_jobs_again(torc, home, store_of_the_user):
    (home / "flaky.yaml").write_text(
        "name: flaky\njobs:\n  - {name: a, command: test -e ok}\n  - {name: b, command: 'true', depends_on: [a]}\n"
    )
    first = torc("run", "flaky.yaml")
    (home / "ok").write_text("")

    second = torc("run", "flaky.yaml", "--retry-failed")

    assert (first.code, second.code) == (1, 0)
    assert "2 jobs are reset" in second.err
    with store_of_the_user() as store:
        assert store.find(Workflow, Query()).total == 1
        jobs = store.find(Job, Query(workflow=1)).items
    assert [(job.status, job.run_id) for job in jobs] == [(JobStatus.COMPLETED, 2)] * 2


def test_older_spellings_of_reinitialize(torc, ran):
    assert torc("reinit", "last", "--dry-run", "--json").json["reinitialized_jobs"] == []
    assert torc("reinitialize", "last", "--dry-run", "--json").json["safe"] is True
