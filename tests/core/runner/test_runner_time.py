"""Runtime limits of jobs, and the end of a runner's own time: `runner.md` §7.2 and §7.3."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.core.runner.conftest import Advanced
from tests.waiting import SOON, until
from torc_core.model import (
    JobStatus,
    Plan,
    PlannedFile,
    PlannedJob,
    PlannedRequirement,
    PlannedWorkflow,
    Workflow,
)
from torc_core.protocols import Exit
from torc_core.runner.options import Execution, Options
from torc_core.runner.report import Leaving
from torc_core.runner.stagger import delay
from torc_core.runner.timeline import Timeline
from torc_core.testing.executors import survivors
from torc_local import trees

PATIENT = "echo up >> up; sleep 600"
STUBBORN = "trap '' TERM; echo up >> up; while :; do sleep 0.2; done"
OBEDIENT = "trap 'exit 0' TERM; echo up >> up; while :; do sleep 0.05; done"
NOTICE = {"sigterm_lead_seconds": 1, "sigkill_headroom_seconds": 1}
LIMITED = {"limit_runtime": True, "sigterm_lead_seconds": 60}
FULL = bool(os.environ.get("TORC_TEST_FULL"))
WALLTIMES = int(os.environ.get("TORC_TEST_WALLTIMES", "1"))
"""Allocations that end; the promise is about 50 with 64 jobs each."""


def create(
    site: Any, commands: Sequence[str], *, name: str = "asked", runtime: int = 1, **settings: Any
) -> None:
    asked = PlannedRequirement(name=name, runtime=f"PT{runtime}S", runtime_s=runtime)
    rest = [PlannedRequirement(name="default")] if name != "default" else []
    jobs = [
        PlannedJob(name=f"job{number}", command=command, requirement=len(rest))
        for number, command in enumerate(commands, 1)
    ]
    site.create(
        plan=Plan(workflow=PlannedWorkflow(name="time"), jobs=jobs, requirements=[*rest, asked]), **settings
    )


def outcomes(site: Any) -> list[tuple[JobStatus, int, str | None]]:
    return [(one.status, one.return_code, one.reason) for one in site.results()]


@pytest.fixture
def passes(site: Any, later: Callable[..., None]) -> Callable[..., None]:
    """Let so many seconds pass at once when a moment has come, and so on."""
    site.clock = Advanced()

    def passing(*steps: tuple[Callable[[], bool], float]) -> None:
        def work() -> None:
            for moment, seconds in steps:
                until(moment)
                site.clock.passed += seconds
                site.executor.wake()

        later(0, work)

    return passing


def up(site: Any, count: int) -> Callable[[], bool]:
    """Whether so many processes say that they are up."""
    path = site.folder / "up"
    return lambda: path.exists() and path.read_text().count("up") >= count


def told(site: Any, count: int) -> Callable[[], bool]:
    """Whether so many jobs have results."""
    return lambda: len(site.results()) >= count


def test_a_job_that_runs_longer_than_it_stated_is_ended(site, passes) -> None:
    create(site, [PATIENT, OBEDIENT, STUBBORN], runtime=600, execution_config=LIMITED)
    passes((up(site, 3), 600), (told(site, 2), 60))

    begin, began = time.monotonic(), site.clock.monotonic()
    report = site.runner().run()

    assert time.monotonic() - begin < SOON
    assert site.clock.monotonic() - began >= 660
    assert [(status, code) for status, code, _ in outcomes(site)] == [
        (JobStatus.TERMINATED, -15),
        (JobStatus.TERMINATED, 0),
        (JobStatus.TERMINATED, 152),
    ]
    assert all(
        reason.startswith("runtime: ") and reason.endswith(" min of 10 min")
        for _, _, reason in outcomes(site)
    )
    assert report.exit_code == 1


def standing_still(site: Any, monkeypatch: pytest.MonkeyPatch, *moments: Callable[[], object]) -> None:
    """Let a runner stand still for a minute when a moment has come, and its only job end meanwhile."""
    site.clock, wait, left = Advanced(), site.executor.wait, list(moments)

    def late(timeout: float | None) -> Sequence[Exit]:
        if not left or not left[0]():
            return list(wait(0.01))
        del left[0]
        (site.folder / "go").touch()
        until(lambda: not trees.children(site.executor.guardian))
        site.clock.passed += 60
        return []

    monkeypatch.setattr(site.executor, "wait", late)


def test_a_job_that_ended_in_time_is_judged_by_its_own_end_however_late_the_runner_looks(
    site, monkeypatch
) -> None:
    begun = (site.folder / "begun").exists
    waits = "touch begun; while [ ! -e go ]; do sleep 0.05; done"
    create(site, [waits], runtime=50, execution_config=LIMITED)
    standing_still(site, monkeypatch, begun)

    report = site.runner().run()

    assert outcomes(site) == [(JobStatus.COMPLETED, 0, None)]
    assert report.exit_code == 0


def test_the_code_of_a_job_that_was_killed_for_its_time_can_be_chosen(site, passes) -> None:
    config = {"limit_runtime": True, "timeout_exit_code": 99, **NOTICE}
    create(site, [STUBBORN], runtime=600, execution_config=config)
    passes((up(site, 1), 600))

    site.runner().run()

    assert site.result().return_code == 99


def test_a_job_that_ended_within_its_lead_keeps_its_code_however_late_the_runner_looks(
    site, monkeypatch
) -> None:
    create(site, [PATIENT], execution_config=LIMITED)
    signalled: list[int] = []
    signal_one = site.executor.signal
    monkeypatch.setattr(
        site.executor, "signal", lambda job, number: (signalled.append(job), signal_one(job, number))
    )
    standing_still(site, monkeypatch, lambda: signalled)
    runner = site.runner()

    runner.run()

    ((status, code, reason),) = outcomes(site)
    assert (status, code, (reason or "").partition(":")[0]) == (JobStatus.TERMINATED, -15, "runtime")


def test_a_stuck_job_in_a_line_of_short_ones_is_ended_and_the_others_go_on(site, passes) -> None:
    commands = ["sleep 0.02"] * 200
    commands[150] = PATIENT
    create(site, commands, runtime=600, execution_config=LIMITED)
    passes((told(site, 199), 600))

    report = site.runner().run()

    assert (report.tally.completed, report.tally.terminated) == (199, 1)


@pytest.mark.parametrize(
    ("name", "config"), [("asked", {}), ("default", {"limit_runtime": True})], ids=["off", "unstated"]
)
def test_a_runtime_is_no_limit_unless_it_is_stated_and_limits_are_on(site, name, config) -> None:
    create(site, ["sleep 2"], name=name, execution_config=config or None)

    site.runner().run()

    assert site.result().status is JobStatus.COMPLETED


def test_at_the_end_of_its_time_a_runner_ends_its_jobs_and_gives_the_rest_back(site, passes) -> None:
    create(
        site,
        [PATIENT, OBEDIENT, STUBBORN, "sleep 0.2", PATIENT, PATIENT],
        execution_config={"sigterm_lead_seconds": 100, "sigkill_headroom_seconds": 100},
    )
    passes((up(site, 4), 800), (told(site, 4), 100))
    end = site.clock.monotonic() + 1000

    begin = time.monotonic()
    report = site.runner(end=end).run()

    assert time.monotonic() - begin < SOON
    assert end - 100 <= site.clock.monotonic() < end
    assert (report.leaving, report.exit_code) == (Leaving.END_TIME, 1)
    ended = {one.job_id - site.jobs()[0].id: one for one in site.results()}
    assert [(ended[n].status, ended[n].return_code, ended[n].reason) for n in (0, 1, 2)] == [
        (JobStatus.TERMINATED, -15, "walltime"),
        (JobStatus.TERMINATED, 0, "walltime"),
        (JobStatus.TERMINATED, 152, "walltime"),
    ]
    assert ended[3].status is JobStatus.COMPLETED
    assert site.jobs()[5].status is JobStatus.READY


def test_what_does_not_fit_into_the_time_left_is_not_begun(site) -> None:
    create(site, ["true"], runtime=600, execution_config=NOTICE)

    begin = time.monotonic()
    report = site.runner(end=site.clock.monotonic() + 2 * SOON).run()

    assert time.monotonic() - begin < SOON
    assert report.leaving is Leaving.NOTHING_FITS
    assert "longer than" in report.detail
    assert site.jobs()[0].status is JobStatus.READY


def test_where_jobs_are_counted_none_begins_when_little_time_is_left(site) -> None:
    create(
        site, ["true"], runtime=600, execution_config=NOTICE, compute_node_min_time_for_new_jobs_seconds=60
    )

    short = site.runner(max_parallel_jobs=2, end=site.clock.monotonic() + 50).run()
    long = site.runner(max_parallel_jobs=2, end=site.clock.monotonic() + 100).run()

    assert short.leaving is Leaving.END_TIME
    assert (long.leaving, long.tally.completed) == (Leaving.COMPLETE, 1)


def test_sixty_four_jobs_of_which_half_are_stubborn_all_have_results_before_the_end(site, passes) -> None:
    count = 64 if FULL else 16
    create(
        site,
        [PATIENT, STUBBORN] * (count // 2),
        execution_config={"sigterm_lead_seconds": 5, "sigkill_headroom_seconds": 20},
        compute_node_min_time_for_new_jobs_seconds=0,
    )
    passes((up(site, count), 975))

    end = site.clock.monotonic() + 1000
    site.runner(max_parallel_jobs=count, end=end).run()

    assert site.clock.monotonic() < end
    assert [status for status, _, _ in outcomes(site)] == [JobStatus.TERMINATED] * count
    assert sorted({(code, reason) for _, code, reason in outcomes(site)}) == [
        (-15, "walltime"),
        (152, "walltime"),
    ]


def test_a_slow_store_still_gets_every_result_before_the_end(site, monkeypatch, passes) -> None:
    count, seconds, headroom = (64, 2.0, 8) if WALLTIMES > 1 else (16, 0.5, 20)
    turn = site.store.turn

    def slow(one: Any) -> Any:
        time.sleep(seconds)
        return turn(one)

    monkeypatch.setattr(site.store, "turn", slow)
    for _ in range(WALLTIMES):
        create(
            site,
            [PATIENT, STUBBORN] * (count // 2),
            execution_config={"sigterm_lead_seconds": 1, "sigkill_headroom_seconds": headroom},
            compute_node_min_time_for_new_jobs_seconds=0,
        )
        (site.folder / "up").unlink(missing_ok=True)
        passes((up(site, count), 999 - headroom))
        end = site.clock.monotonic() + 1000

        site.runner(max_parallel_jobs=count, end=end).run()

        assert site.clock.monotonic() < end
        assert [status for status, _, _ in outcomes(site)] == [JobStatus.TERMINATED] * count


def test_a_signal_close_to_the_end_leaves_time_for_the_results(site, later, passes) -> None:
    create(site, [STUBBORN], execution_config={"sigterm_lead_seconds": 10, "sigkill_headroom_seconds": 0})
    end = site.clock.monotonic() + 1000
    runner = site.runner(end=end)
    sent = []

    def interrupt() -> None:
        until(up(site, 1))
        site.clock.passed += end - site.clock.monotonic() - 12
        sent.append(time.monotonic())
        runner.interrupt(signal.SIGTERM)

    later(0, interrupt)

    report = runner.run()

    # Of the twelve seconds that are left ten are for the results, though the job may have ten as well.
    assert report.exit_code == 143
    assert 1 <= time.monotonic() - sent[0] < 8


@pytest.mark.parametrize("how", ["cancel", "runtime"])
def test_trees_that_ignore_sigterm_are_gone_two_seconds_after_their_lead(site, later, passes, how) -> None:
    program = site.folder / "grow.sh"
    program.write_text(
        "trap '' TERM\n"
        'if [ "$1" -gt 0 ]; then for i in 1 2 3; do setsid sh "$0" $(($1 - 1)) & done; fi\n'
        "echo up >> up\nwhile :; do sleep 60; done\n"
    )
    depth = 5 if FULL else 3
    size = sum(3**level for level in range(depth + 1))
    create(
        site, [f"exec sh {program} {depth}"], runtime=600,
        execution_config={"limit_runtime": how == "runtime", "sigterm_lead_seconds": 1},
    )  # fmt: skip
    stopped = []

    def stop() -> None:
        until(up(site, size))
        stopped.append(time.monotonic())
        if how == "cancel":
            site.store.cancel(site.workflow.id)
        else:
            site.clock.passed += 600
            site.executor.wake()

    later(0, stop)

    site.runner().run()

    job = site.jobs()[0]
    assert survivors(f"{site.store.server_id}.{job.workflow_id}.{job.id}.{job.run_id}.1") == []
    assert time.monotonic() - stopped[0] < SOON


def timeline(end: float, parallel: int = 0, **settings: Any) -> Timeline:
    workflow = Workflow(id=1, name="w", user="u", **settings)
    made = Timeline.of(Options(end=end, max_parallel_jobs=parallel), Execution(), workflow)
    assert made is not None
    return made


def test_the_moments_before_the_end_follow_from_lead_and_headroom() -> None:
    times = timeline(1_000.0)

    assert (times.stop, times.signal, times.kill, times.leave) == (910, 910, 940, 950)
    assert (times.left(0.0), times.left(909.5), times.left(2_000.0)) == (910, 0, 0)
    assert times.next_time(0.0) == 910
    assert times.next_time(2_000.0) is None


def test_a_longer_buffer_stops_earlier_but_signals_at_the_same_time() -> None:
    times = timeline(1_000.0, compute_node_expiration_buffer_seconds=300)

    assert (times.stop, times.signal) == (700, 910)
    assert timeline(1_000.0, 4, compute_node_expiration_buffer_seconds=60).stop == 700


def test_without_an_end_there_is_no_timeline() -> None:
    assert Timeline.of(Options(), Execution(), Workflow(id=1, name="w", user="u")) is None


def test_runners_that_start_together_begin_one_after_the_other() -> None:
    places = [{"SLURM_JOB_ID": "7", "SLURM_NODEID": str(node)} for node in range(200)]

    delays = [delay("host", place, 60.0) for place in places]

    assert delays == [delay("host", place, 60.0) for place in places]
    assert all(0 <= one < 60 for one in delays)
    assert len(set(delays)) > 190
    assert max(delays) > 50
    assert min(delays) < 10
    assert delay("host", {}, 0.0) == 0


def test_an_output_that_is_still_looked_for_when_the_time_is_over_is_missing(site, monkeypatch) -> None:
    result = PlannedFile(name="result", path="result.txt")
    jobs = [PlannedJob(name="job1", command="exit 0", output_files=(0,))]
    short = PlannedRequirement(name="short", runtime="PT1S", runtime_s=1)
    plan = Plan(workflow=PlannedWorkflow(name="time"), jobs=jobs, files=[result], requirements=[short])
    # It would be looked for until nine seconds after the job; after five the jobs of this runner have had their time.
    site.create(plan=plan, execution_config={"sigterm_lead_seconds": 1, "sigkill_headroom_seconds": 9})

    turn = site.store.turn
    monkeypatch.setattr(site.store, "turn", lambda one: (time.sleep(2 * len(one.endings)), turn(one))[1])

    report = site.runner(end=site.clock.monotonic() + 15).run()

    assert report.leaving is Leaving.END_TIME
    assert outcomes(site) == [(JobStatus.FAILED, 1, "missing_output: result (result.txt)")]
