"""`torc reports`, and what follows from them: `torc workflows correct-resources`."""

from __future__ import annotations

import pytest


def test_what_was_used_beyond_what_was_asked_for_is_listed(torc, diamond):
    ran = torc("reports", "check-resource-utilization", diamond)

    first, header, *rows = ran.out.splitlines()
    assert first.startswith("⚠ Found")
    assert header.split() == [
        "Job",
        "ID",
        "Job",
        "Name",
        "Resource",
        "Specified",
        "Peak",
        "Used",
        "Over-Utilization",
    ]
    assert [row.split()[1:3] for row in rows] == [["prep", "Memory"], ["prep", "CPU"], ["prep", "Runtime"]]
    assert rows[1].split()[-1] == "+99.5%"
    assert f"torc workflows correct-resources {diamond}" in ran.err


def test_limits_of_the_report_are_kept(torc, diamond):
    def told(*options):
        ran = torc("reports", "check-resource-utilization", diamond, *options, "--json")
        return [(row["job_name"], row["resource_type"]) for row in ran.json["violations"]]

    assert told("--min-over-utilization", "60") == [("prep", "Memory"), ("prep", "CPU")]
    assert len(told("--include-failed")) == 6
    assert told("--run-id", "7") == []
    assert torc("reports", "check-resource-utilization", diamond, "--under", "101").code == 2


def test_a_failed_job_is_told_with_what_it_points_to(torc, diamond):
    ran = torc("reports", "check-resource-utilization", diamond, "--include-failed", "--json").json

    (bad,) = ran["resource_violations"]
    assert (bad["job_name"], bad["return_code"]) == ("left", 3)
    assert (bad["likely_oom"], bad["oom_reason"]) == (False, None)
    assert bad["runtime_utilization"] == "150.0%"


def test_a_failed_job_that_asked_for_less_memory_than_it_used_points_to_that(torc, diamond):
    torc("jobs", "update", "2", "--memory", "512m")

    ran = torc("reports", "check-resource-utilization", diamond, "--include-failed", "--json").json

    (bad,) = ran["resource_violations"]
    assert (bad["likely_oom"], bad["oom_reason"]) == (True, "memory_exceeded")


def test_all_within_the_limits_is_said_in_a_sentence(torc, diamond):
    torc("workflows", "correct-resources", diamond)

    ran = torc("reports", "check-resource-utilization", diamond)

    assert ran.out == "All 1 job completed within resource limits.\n"


def test_results_are_json_unless_a_format_is_given(torc, diamond, home):
    document = torc("reports", "results", diamond).json

    by_name = {one["job_name"]: one for one in document["results"]}
    assert document["total_results"] == 2
    assert by_name["left"]["job_stderr"] == str(
        home / "torc_output" / "job_stdio" / f"job_wf{diamond}_j2_r1_a1.e"
    )
    assert torc("reports", "results", diamond, "-f", "table").out.split()[:2] == ["Job", "ID"]
    assert [one["job_name"] for one in torc("reports", "results", diamond, "--failed").json["results"]] == [
        "left"
    ]
    assert len(torc("reports", "results", diamond, "-j", "1", "-f", "csv").rows) == 1


def test_a_summary_counts_and_adds_up(torc, diamond):
    document = torc("reports", "summary", diamond, "--json").json
    text = torc("reports", "summary", diamond).out

    assert document["total_jobs"] == sum(document["jobs_by_status"].values()) == 4
    assert (document["total_exec_time_minutes"], document["total_exec_time_formatted"]) == (3.0, "3m")
    assert document["failures_by_reason"] == {"exit_code": 1}
    assert text.startswith("Workflow Summary\n")
    assert "Job Status (total: 4):" in text


def needs(torc, workflow):
    items = torc("jobs", "list-resource-requirements", workflow, "--json").json["items"]
    return {one["job_name"]: (one["name"], one["memory"], one["num_cpus"]) for one in items}


def test_resources_are_corrected_once(torc, diamond):
    before = needs(torc, diamond)
    planned = torc("workflows", "correct-resources", diamond, "--dry-run", "--json").json
    assert needs(torc, diamond) == before

    done = torc("workflows", "correct-resources", diamond, "--json").json
    again = torc("workflows", "correct-resources", diamond, "--json").json

    assert done == planned | {"dry_run": False}
    assert [one["new_memory"] for one in done["adjustments"]] == ["1229m"]
    assert needs(torc, diamond)["prep"] == ("default", "1229m", 3)
    assert again["adjustments"] == []


def test_single_jobs_get_requirements_of_their_own(torc, diamond):
    before = needs(torc, diamond)

    (one,) = torc("workflows", "correct-resources", diamond, "--job-ids", "1", "--json").json["adjustments"]

    after = needs(torc, diamond)
    assert (one["job_names"], one["new_resource_requirements_id"]) == (["prep"], 3)
    assert after["prep"] == ("default_1", "1229m", 3)
    assert {**after, "prep": before["prep"]} == before


def test_requirements_of_their_own_have_names_that_are_not_too_long(torc, diamond):
    torc("resource-requirements", "create", diamond, "-n", "r" * 255, "--memory", "2m")
    for job in "12":
        torc("jobs", "update", job, "--resource-requirements-id", "3")

    ran = torc("workflows", "correct-resources", diamond, "--job-ids", "1", "--json")

    assert ran.code == 0
    assert needs(torc, diamond)["prep"][0] == "r" * 200 + "_1"


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--job-ids", "99"], 5), (["--job-ids", "x"], 2), (["--memory-multiplier", "0.5"], 2)],
)
def test_what_cannot_be_corrected_is_refused(torc, diamond, words, code):
    assert torc("workflows", "correct-resources", diamond, *words).code == code


def test_check_resources_corrects_when_it_is_told_to(torc, diamond):
    assert torc("workflows", "check-resources", diamond, "--json").json["over_utilization_count"] == 3
    assert torc("workflows", "check-resources", diamond, "--correct", "--json").json["jobs_adjusted"] == 3
    assert torc("workflows", "check-resources", diamond, "--json").json["over_utilization_count"] == 0
