"""Signals, cancels, and what they leave behind: nothing but results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.waiting import SOON, until
from torc_core.model import JobStatus
from torc_core.runner.report import Leaving

LONG = "echo up >> up; sleep 600"
STUBBORN = "trap '' TERM; echo up >> up; while :; do sleep 1; done"


def when_up(site, count: int, what) -> None:
    """Do something once so many jobs have said that they are up."""
    path = site.folder / "up"
    until(lambda: path.exists() and path.read_text().count("up") >= count)
    what()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_signal_ends_the_jobs_records_them_and_gives_the_rest_back(site, later, number, code) -> None:
    site.create(*[LONG] * 6, execution_config={"sigterm_lead_seconds": 600})
    runner = site.runner()
    later(0, lambda: when_up(site, 4, lambda: runner.interrupt(number)))

    begin = time.monotonic()
    report = runner.run()

    assert time.monotonic() - begin < SOON
    assert (report.leaving, report.exit_code, report.tally.terminated) == (Leaving.SIGNAL, code, 4)
    assert [(one.status, one.return_code, one.reason) for one in site.results()] == [
        (JobStatus.TERMINATED, -15, "interrupted")
    ] * 4
    assert [job.status for job in site.jobs()].count(JobStatus.READY) == 2


def test_jobs_have_their_lead_before_they_are_killed(site, later) -> None:
    site.create(STUBBORN, execution_config={"sigterm_lead_seconds": 1})
    runner = site.runner()
    later(0, lambda: when_up(site, 1, lambda: runner.interrupt(signal.SIGINT)))

    begin = time.monotonic()
    runner.run()

    assert time.monotonic() - begin >= 1
    assert site.result().return_code == -9


def test_a_second_interrupt_kills_at_once(site, later) -> None:
    site.create(STUBBORN, execution_config={"sigterm_lead_seconds": 600})
    runner = site.runner()

    def twice() -> None:
        runner.interrupt(signal.SIGINT)
        runner.interrupt(signal.SIGINT)

    later(0, lambda: when_up(site, 1, twice))

    begin = time.monotonic()
    report = runner.run()

    assert time.monotonic() - begin < SOON
    assert (report.exit_code, site.result().return_code) == (130, -9)


def test_the_termination_signal_can_be_chosen(site, later) -> None:
    site.create(
        "trap 'exit 7' USR1; echo up >> up; while :; do sleep 0.05; done",
        execution_config={"termination_signal": "USR1"},
    )
    runner = site.runner()
    later(0, lambda: when_up(site, 1, lambda: runner.interrupt(signal.SIGTERM)))

    runner.run()

    result = site.result()
    assert (result.status, result.return_code, result.reason) == (JobStatus.TERMINATED, 7, "interrupted")


def test_a_signal_gives_back_what_was_started_ahead(site, later) -> None:
    site.create(*["echo up >> up; sleep 0.02"] * 300)
    runner = site.runner()
    later(0, lambda: when_up(site, 40, lambda: runner.interrupt(signal.SIGINT)))

    report = runner.run()

    statuses = [job.status for job in site.jobs()]
    assert statuses.count(JobStatus.PENDING) == statuses.count(JobStatus.RUNNING) == 0
    assert statuses.count(JobStatus.READY) == 300 - report.tally.completed - report.tally.terminated
    # What had only been started on record never ran: it is ready again with the same attempt.
    assert {job.attempt_id for job in site.jobs()} == {1}
    ran = (site.folder / "up").read_text().count("up")
    assert report.tally.completed <= ran <= report.tally.completed + report.tally.terminated


def test_a_cancel_ends_what_runs_and_the_runner_leaves(site, later) -> None:
    site.create(*[LONG] * 6)
    later(0, lambda: when_up(site, 4, lambda: site.store.cancel(site.workflow.id)))

    begin = time.monotonic()
    report = site.runner().run()

    assert time.monotonic() - begin < SOON
    assert (report.leaving, report.exit_code) == (Leaving.CANCELED, 7)
    assert [(one.status, one.return_code) for one in site.results()] == [(JobStatus.CANCELED, -15)] * 4


def test_a_cancel_in_the_middle_of_many_short_jobs_leaves_nothing_behind(site, later) -> None:
    site.create(*["echo up >> up"] * 500)
    later(0, lambda: when_up(site, 50, lambda: site.store.cancel(site.workflow.id)))

    report = site.runner().run()

    assert report.leaving is Leaving.CANCELED
    live = (JobStatus.PENDING, JobStatus.RUNNING)
    assert not [job for job in site.jobs() if job.status in live or job.node_id is not None]


def test_one_job_can_be_stopped_while_the_others_go_on(site, later) -> None:
    site.create(LONG, "sleep 0.5")
    job = site.jobs()[0]
    later(0, lambda: when_up(site, 1, lambda: site.store.stop([job.id])))

    report = site.runner().run()

    assert [one.status for one in site.results()] == [JobStatus.CANCELED, JobStatus.COMPLETED]
    assert report.leaving is Leaving.COMPLETE


def test_a_guardian_that_stands_still_keeps_no_runner_that_has_to_leave(site, later, monkeypatch) -> None:
    monkeypatch.setattr("torc_core.runner.runner.LEAVE_WITHIN", 1.0)
    site.create(*["echo up >> up; sleep 0.02"] * 300)
    one = site.runner()

    def interrupt() -> None:
        os.kill(site.executor.guardian, signal.SIGSTOP)
        one.interrupt(signal.SIGTERM)

    later(0, lambda: when_up(site, 40, interrupt))

    begin = time.monotonic()
    report = one.run()
    os.kill(site.executor.guardian, signal.SIGCONT)

    assert time.monotonic() - begin < SOON
    assert report.exit_code == 143
    assert not [job for job in site.jobs() if job.status in (JobStatus.PENDING, JobStatus.RUNNING)]


PROGRAM = """
import os, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from conftest import Site
site = Site(Path.cwd())
site.create(*["echo up >> up; sleep 600"] * 2)
report = site.runner().run()
site.executor.close()
print([(one.status.label, one.reason) for one in site.results()])
sys.exit(report.exit_code)
"""


def start(folder, **options) -> subprocess.Popen[str]:
    here = os.path.dirname(__file__)
    # Whoever runs the tests may ignore hangups, as `nohup` does.
    options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, here], cwd=folder, stdout=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_real_signal_to_a_real_process(site, number, code) -> None:
    with start(site.folder) as process:
        when_up(site, 2, lambda: process.send_signal(number))

        out, _ = process.communicate(timeout=60)

    assert process.returncode == code
    assert out == "[('terminated', 'interrupted'), ('terminated', 'interrupted')]\n"


def test_a_hangup_that_was_ignored_at_the_start_stays_ignored(site) -> None:
    # As `nohup` does.
    with start(site.folder, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        when_up(site, 2, lambda: process.send_signal(signal.SIGHUP))

        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert process.returncode == 130
