"""Failure handlers at work: attempts that are tried again, recovery scripts, delays."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.core.runner.conftest import GIB, Site
from tests.waiting import SOON, until
from torc_core.model import (
    JobStatus,
    Orders,
    Plan,
    PlannedHandler,
    PlannedJob,
    PlannedRequirement,
    PlannedWorkflow,
    Resources,
    Turn,
)
from torc_core.runner import recovery
from torc_core.runner.report import Leaving
from torc_core.testing.executors import survivors

FIRST_FAILS = "[ -e done ] || { touch done; exit 7; }"
"""A command that succeeds the second time."""


def handled(command: str, **rule: Any) -> Plan:
    rules = [{"exit_codes": [7], **rule}]
    job = PlannedJob(name="job1", command=command, handler=0)
    return Plan(
        workflow=PlannedWorkflow(name="handled"), jobs=[job], handlers=[PlannedHandler(name="h", rules=rules)]
    )


def test_a_job_that_fails_is_tried_again(site: Site) -> None:
    site.create(plan=handled(FIRST_FAILS))

    report = site.runner().run()

    assert [(one.attempt_id, one.return_code) for one in site.results()] == [(1, 7), (2, 0)]
    assert (report.leaving, report.exit_code, report.failures) == (Leaving.COMPLETE, 0, ())
    assert (report.tally.completed, report.tally.failed) == (1, 0)


def test_a_job_has_its_last_attempt(site: Site) -> None:
    site.create(plan=handled("exit 7", max_retries=3))

    report = site.runner().run()

    assert [one.return_code for one in site.results()] == [7, 7, 7]
    assert (report.tally.failed, len(report.failures), report.exit_code) == (1, 1, 1)


def test_a_delayed_attempt_waits_for_its_time(site: Site) -> None:
    site.create(plan=handled(FIRST_FAILS, delay_seconds=1), compute_node_wait_for_new_jobs_seconds=1)
    began = time.monotonic()

    report = site.runner().run()

    took = time.monotonic() - began
    assert (report.leaving, 1 <= took < SOON) == (Leaving.COMPLETE, True)


def test_a_script_runs_before_the_next_attempt(site: Site) -> None:
    script = "echo $TORC_RETURN_CODE $TORC_ATTEMPT_ID $TORC_JOB_NAME; touch fixed"
    site.create(plan=handled("[ -e fixed ] || exit 7", recovery_script=script))

    report = site.runner().run()

    assert [(one.attempt_id, one.return_code) for one in site.results()] == [(1, 7), (2, 0)]
    assert (report.exit_code, site.file(".recovery.log").read_text()) == (0, "7 1 job1\n")
    assert site.file(".recovery.log").stat().st_mode & 0o777 == 0o600


def test_a_script_that_fails_ends_the_job(site: Site) -> None:
    site.create(plan=handled("exit 7", recovery_script="exit 1"))

    report = site.runner().run()

    (job,) = site.jobs()
    assert (job.status, job.reason, len(site.results())) == (JobStatus.FAILED, "recovery_failed", 1)
    assert (report.tally.failed, len(report.failures), report.exit_code) == (1, 1, 1)


def test_a_script_that_hangs_is_killed_and_has_failed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "LONGEST", 0.5)
    site.create(plan=handled("exit 7", recovery_script="trap '' TERM; while :; do sleep 1; done"))

    began = time.monotonic()
    report = site.runner().run()

    (job,) = site.jobs()
    assert (job.status, job.reason, report.tally.failed) == (JobStatus.FAILED, "recovery_failed", 1)
    assert time.monotonic() - began < SOON
    assert survivors(f"{site.store.server_id}.{site.workflow.id}.{job.id}.1.1.r") == []


def test_the_place_of_a_script_that_fails_is_taken_at_once(site: Site) -> None:
    site.detected = replace(site.detected, capacity=Resources(cpus=1, memory=GIB))
    plan = handled("exit 7", recovery_script="sleep 0.5; exit 1")
    site.create(plan=replace(plan, jobs=[*plan.jobs, PlannedJob(name="job2", command="true")]))

    began = time.monotonic()
    report = site.runner().run()

    assert (report.tally.failed, report.tally.completed) == (1, 1)
    # A turn is held for twenty seconds.
    assert time.monotonic() - began < 15


def test_a_script_of_a_canceled_job_is_ended(site: Site) -> None:
    site.create(plan=handled("exit 7", recovery_script="touch begun; sleep 600"))
    runner = site.runner()

    def cancel() -> None:
        until((site.folder / "begun").exists)
        site.store.stop([site.jobs()[0].id])

    thread = threading.Thread(target=cancel)
    thread.start()
    began = time.monotonic()
    report = runner.run()
    thread.join()

    (job,) = site.jobs()
    assert (job.status, job.node_id, report.leaving) == (JobStatus.CANCELED, None, Leaving.COMPLETE)
    assert time.monotonic() - began < SOON


def test_a_script_of_an_interrupted_runner_is_ended(site: Site) -> None:
    site.create(plan=handled("exit 7", recovery_script="touch begun; sleep 600"))
    runner = site.runner()

    def interrupt() -> None:
        until((site.folder / "begun").exists)
        for _ in range(2):
            runner.interrupt(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    report = runner.run()
    thread.join()

    (job,) = site.jobs()
    assert (report.leaving, job.status, job.reason) == (Leaving.SIGNAL, JobStatus.FAILED, "recovery_failed")


def test_a_script_that_takes_longer_than_a_runner_waits_for_work_is_no_reason_to_leave(site: Site) -> None:
    plan = handled("[ -e fixed ] || exit 7", recovery_script="sleep 2.5; touch fixed")
    # The answer for the script comes before the one that brings work.
    site.create(plan=plan, compute_node_wait_for_new_jobs_seconds=1)
    runner = site.runner()
    listen = site.store.turn

    def late(turn: Turn) -> Orders:
        orders = listen(turn)
        if turn.offer and turn.offer.wait_ms:
            time.sleep(0.5)
        return orders

    runner._store = Behind(site.store, late)
    report = runner.run()

    assert (report.leaving, report.exit_code) == (Leaving.COMPLETE, 0)


class Behind:
    """A queue with another way to take a turn."""

    def __init__(self, queue: Any, turn: Any) -> None:
        self._queue = queue
        self.turn = turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def test_a_script_that_is_ordered_when_a_runner_has_to_leave_has_as_little_time_as_jobs(site: Site) -> None:
    plan = handled("exit 7", recovery_script="sleep 600")
    site.create(plan=plan, execution_config={"sigterm_lead_seconds": 1})
    runner = site.runner()
    tell = site.store.turn

    def late(turn: Turn) -> Orders:
        if turn.endings:
            runner.interrupt(signal.SIGTERM)
            until(lambda: runner._leaving is Leaving.SIGNAL)
        return tell(turn)

    runner._store = Behind(site.store, late)
    began = time.monotonic()
    report = runner.run()

    (job,) = site.jobs()
    assert (report.leaving, job.status, job.reason) == (Leaving.SIGNAL, JobStatus.FAILED, "recovery_failed")
    assert time.monotonic() - began < SOON


def test_a_job_to_be_tried_again_later_keeps_a_runner_whatever_else_can_never_run_here(site: Site) -> None:
    plan = handled(FIRST_FAILS, delay_seconds=1)
    sizes = [PlannedRequirement(name="any"), PlannedRequirement(name="huge", num_cpus=64)]
    jobs = [replace(plan.jobs[0], requirement=0), PlannedJob(name="job2", command="true", requirement=1)]
    site.create(plan=replace(plan, jobs=jobs, requirements=sizes))

    report = site.runner().run()

    assert report.leaving is Leaving.NOTHING_FITS
    assert [job.status for job in site.jobs()] == [JobStatus.COMPLETED, JobStatus.READY]
