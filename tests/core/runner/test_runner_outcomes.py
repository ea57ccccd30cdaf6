"""Every end of a job that `runner.md` §6.1 names, made by a real process."""

from __future__ import annotations

import os

import pytest

from torc_core.model import JobStatus, Plan, PlannedFile, PlannedJob, PlannedWorkflow

WITH_OUTPUT = PlannedWorkflow(name="outputs")


def plan(command: str, path: str = "result.txt") -> Plan:
    return Plan(
        workflow=WITH_OUTPUT,
        files=[PlannedFile(name="result", path=path)],
        jobs=[PlannedJob(name="writer", command=command, output_files=[0])],
    )


@pytest.mark.parametrize(
    ("command", "status", "code", "reason"),
    [
        ("exit 0", JobStatus.COMPLETED, 0, None),
        ("exit 3", JobStatus.FAILED, 3, "exit_code"),
        ("exit 255", JobStatus.FAILED, 255, "exit_code"),
        ("kill -KILL $$", JobStatus.FAILED, -9, "signal:KILL"),
        ("kill -SEGV $$", JobStatus.FAILED, -11, "signal:SEGV"),
        ("sh -c 'kill -KILL $$'; exit $?", JobStatus.FAILED, 137, "exit_code"),
        ("nothing-of-this-name", JobStatus.FAILED, 127, "exit_code"),
    ],
)
def test_an_end_has_its_status_code_and_reason(site, command, status, code, reason) -> None:
    site.run(command)

    result = site.result()
    assert (result.status, result.return_code, result.reason) == (status, code, reason)


def test_a_job_whose_environment_is_too_large_fails_and_others_go_on(site) -> None:
    large = PlannedJob(name="large", command="true; true", env={"X": "x" * 3_000_000})

    report = site.run(large, "exit 0")

    assert [(one.return_code, one.reason) for one in site.results()] == [
        (125, "spawn_failed: E2BIG"),
        (0, None),
    ]
    assert report.exit_code == 1


def test_a_job_with_a_nul_in_its_environment_fails(site) -> None:
    site.run(PlannedJob(name="nul", command="true", env={"X": "nul\0"}))

    assert (site.result().return_code, site.result().reason) == (125, "spawn_failed: EINVAL")


def test_a_job_whose_output_cannot_be_written_fails(site) -> None:
    site.create("exit 0")
    runner = site.runner()
    os.makedirs(site.folder / "out")
    (site.folder / "out" / "job_stdio").symlink_to("/proc")

    runner.run()

    assert site.result().reason.startswith("output_unwritable: E")
    assert site.result().return_code == 125


def test_an_output_that_is_there_is_told_with_its_size(site) -> None:
    site.create(plan=plan("printf 12345 > result.txt"))

    site.runner().run()

    (end,) = site.watching.ends
    assert site.result().status is JobStatus.COMPLETED
    assert [one.size for one in end.ending.outputs] == [5]


def test_an_output_that_appears_late_is_waited_for_while_its_place_is_free(site) -> None:
    late = "(sleep 0.4; touch result.txt) > /dev/null 2>&1 & exit 0"
    site.create(plan=plan(late), execution_config={"allow_daemons": True})

    site.runner().run()

    assert site.result().status is JobStatus.COMPLETED


def test_an_output_that_never_appears_is_a_failure(site) -> None:
    site.create(plan=plan("exit 0"))

    report = site.runner().run()

    result = site.result()
    assert (result.status, result.return_code) == (JobStatus.FAILED, 1)
    assert result.reason == "missing_output: result (result.txt)"
    assert report.exit_code == 1


def test_outputs_are_not_looked_for_after_a_failure(site) -> None:
    site.create(plan=plan("exit 9"))

    site.runner().run()

    assert site.result().reason == "exit_code"


def test_peak_memory_and_cpu_time_come_from_the_kernel(site) -> None:
    site.run("exit 0")

    usage = site.result().usage
    assert 0 < usage.peak_memory_bytes < 50_000_000
    assert usage.avg_cpu_percent > 0


def test_what_a_job_left_running_is_ended_and_counted(site) -> None:
    site.run("sleep 600 & exit 0")

    (end,) = site.watching.ends
    assert (end.ending.leftovers, end.ending.status) == (1, JobStatus.COMPLETED)
