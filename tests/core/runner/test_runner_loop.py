"""What a runner does from its first claim to its last result."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from tests.waiting import SOON, until
from torc_core.detection import Detected
from torc_core.errors import UsageError
from torc_core.model import (
    JobStatus,
    NewNode,
    Node,
    Plan,
    PlannedJob,
    PlannedRequirement,
    PlannedWorkflow,
    Query,
    Resources,
    Source,
)
from torc_core.runner import place
from torc_core.runner.report import Leaving
from torc_core.testing.plans import chain, diamond

GIB = 1024**3


def test_an_empty_workflow_is_complete_at_once(site) -> None:
    report = site.run()

    assert (report.leaving, report.exit_code) == (Leaving.COMPLETE, 0)


def test_a_diamond_is_run_in_order(site) -> None:
    site.create(plan=diamond())

    report = site.runner().run()

    assert report.leaving is Leaving.COMPLETE
    assert {job.status for job in site.jobs()} == {JobStatus.COMPLETED}


def test_no_job_of_a_chain_waits_for_a_poll(site) -> None:
    plan = chain(20)
    site.create(plan=replace(plan, jobs=[replace(job, command="exit 0") for job in plan.jobs]))

    begin = time.monotonic()
    site.runner().run()

    assert time.monotonic() - begin < 10
    assert len(site.results()) == 20


def test_every_one_of_many_short_jobs_runs_exactly_once(site) -> None:
    commands = [f"echo {number} >> ran" for number in range(400)]

    report = site.run(*commands)

    assert report.tally.completed == 400
    assert Counter((site.folder / "ran").read_text().split()) == Counter(map(str, range(400)))
    assert [one.attempt_id for one in site.results()] == [1] * 400


def test_short_and_long_jobs_of_several_shapes_share_a_node(site) -> None:
    requirements = [
        PlannedRequirement(name="one", num_cpus=1, memory_bytes=1),
        PlannedRequirement(name="two", num_cpus=2, memory_bytes=2),
        PlannedRequirement(name="four", num_cpus=4, memory_bytes=3),
    ]
    jobs = [PlannedJob(name=f"j{n}", command=f"sleep 0.0{n % 4}", requirement=n % 3) for n in range(60)]
    site.create(plan=Plan(workflow=PlannedWorkflow(name="mixed"), jobs=jobs, requirements=requirements))

    report = site.runner().run()

    assert report.tally.completed == 60


def test_jobs_never_use_more_than_the_node_has(site) -> None:
    site.detected = Detected(capacity=Resources(cpus=3, memory=8 * GIB))
    count = "n=$(mkdir -p here; touch here/$$; ls here | wc -l); echo $n >> most; sleep 0.02; rm here/$$"

    site.run(*[count] * 40)

    assert max(map(int, (site.folder / "most").read_text().split())) <= 3


def test_queue_depth_mode_counts_jobs_only(site) -> None:
    requirements = [PlannedRequirement(name="huge", num_cpus=1000, memory_bytes=2**50)]
    jobs = [PlannedJob(name=f"j{n}", command="exit 0") for n in range(10)]
    site.create(plan=Plan(workflow=PlannedWorkflow(name="x"), jobs=jobs, requirements=requirements))

    report = site.runner(max_parallel_jobs=2).run()

    assert report.tally.completed == 10


def test_a_failure_cancels_its_waiters_and_the_exit_code_is_one(site) -> None:
    first = PlannedJob(name="first", command="exit 2")
    second = PlannedJob(name="second", command="exit 0", groups=[(0, Source.EXPLICIT)], num_blockers=1)
    plan = Plan(workflow=PlannedWorkflow(name="x"), jobs=[first, second], groups=[(0,)])
    site.create(plan=plan)

    report = site.runner().run()

    assert [job.status for job in site.jobs()] == [JobStatus.FAILED, JobStatus.CANCELED]
    assert (report.leaving, report.exit_code) == (Leaving.COMPLETE, 1)
    assert [end.given.job.name for end in report.failures] == ["first"]


def test_jobs_that_can_never_run_here_make_the_runner_leave_with_the_reason(site) -> None:
    requirements = [PlannedRequirement(name="huge", num_cpus=64)]
    jobs = [PlannedJob(name="j", command="exit 0")]
    site.create(plan=Plan(workflow=PlannedWorkflow(name="x"), jobs=jobs, requirements=requirements))

    begin = time.monotonic()
    report = site.runner().run()

    assert time.monotonic() - begin < SOON
    assert (report.leaving, report.exit_code) == (Leaving.NOTHING_FITS, 1)
    assert "more CPUs than" in (report.detail or "")


def test_a_runner_without_work_leaves_when_its_patience_is_over(site) -> None:
    site.create("exit 0", compute_node_wait_for_new_jobs_seconds=1)
    other = site.store.join(
        NewNode(
            workflow_id=site.workflow.id,
            epoch="other",
            hostname="elsewhere",
            pid=1,
            boot_id="b",
            process_start=1,
            capacity=Resources(cpus=1, memory=GIB),
        )
    )
    from torc_core.model import Offer, Turn

    offer = Offer(claim_id="theirs", free=[Resources(cpus=1, memory=GIB)])
    site.store.turn(Turn(node=other.id, epoch="other", offer=offer))

    begin = time.monotonic()
    report = site.runner().run()

    assert report.leaving is Leaving.IDLE
    assert 0.9 < time.monotonic() - begin < SOON
    assert report.exit_code == 1


def test_a_runner_that_ignores_completion_stays_until_its_end(site) -> None:
    site.create(
        "exit 0", compute_node_ignore_workflow_completion=True, compute_node_wait_for_new_jobs_seconds=1,
        execution_config={"sigterm_lead_seconds": 0, "sigkill_headroom_seconds": 1},
        compute_node_min_time_for_new_jobs_seconds=0,
    )  # fmt: skip

    begin = time.monotonic()
    report = site.runner(max_parallel_jobs=1, end=site.clock.monotonic() + 5).run()

    assert (report.leaving, report.tally.completed) == (Leaving.END_TIME, 1)
    assert 3.9 < time.monotonic() - begin < SOON


def test_a_persistent_runner_stays_while_jobs_are_unfinished(site, later) -> None:
    site.create("exit 0", compute_node_wait_for_new_jobs_seconds=1)
    site.store.claim(site.workflow.id, _offer())
    runner = site.runner(persistent=True)
    later(2.5, lambda: runner.interrupt(signal.SIGINT))

    report = runner.run()

    assert (report.leaving, report.exit_code) == (Leaving.SIGNAL, 130)


def test_a_runner_that_is_drained_lets_its_jobs_end_and_leaves(site, later) -> None:
    wait = "echo up >> up; while [ ! -e drained ]; do sleep 0.05; done"
    site.create(*[wait] * 4, *["exit 0"] * 4)
    runner, up = site.runner(), site.folder / "up"

    def drain() -> None:
        until(lambda: up.exists() and up.read_text().count("up") == 4)
        (node,) = site.store.find(Node, Query(workflow=site.workflow.id)).items
        site.store.drain(node.id, True)
        until(lambda: runner._leaving and _ready(site) == 4)
        (site.folder / "drained").touch()

    later(0, drain)

    report = runner.run()

    assert (report.leaving, report.tally.completed) == (Leaving.DRAINED, 4)
    assert _ready(site) == 4


def _ready(site) -> int:
    return [job.status for job in site.jobs()].count(JobStatus.READY)


def test_work_that_becomes_ready_elsewhere_is_taken_at_once(site, later) -> None:
    first = PlannedJob(name="first", command="exit 0", label="theirs")
    second = PlannedJob(name="second", command="exit 0", groups=[(0, Source.EXPLICIT)], num_blockers=1)
    site.create(plan=Plan(workflow=PlannedWorkflow(name="x"), jobs=[first, second], groups=[(0,)]))
    from torc_core.model import Ending

    def finish_elsewhere() -> None:
        job = site.jobs()[0]
        site.store.claim(site.workflow.id, _offer())
        site.store.finish(
            site.workflow.id,
            [
                Ending(
                    job=job.id, run_id=0, attempt_id=1, lease=None, status=JobStatus.COMPLETED, return_code=0
                )
            ],
        )

    requirement = site.runner(persistent=True, poll_interval=600)
    later(0.3, finish_elsewhere)

    begin = time.monotonic()
    report = requirement.run()

    assert report.leaving is Leaving.COMPLETE
    assert time.monotonic() - begin < SOON


def _offer():
    from torc_core.model import Offer

    return Offer(claim_id="mine", free=[Resources(cpus=1, memory=GIB)], limit=1)


def test_two_runners_share_a_workflow_and_each_job_runs_once(site, tmp_path) -> None:
    from torc_core.runner.options import Options
    from torc_core.runner.runner import Runner
    from torc_local.executor import Subprocesses

    site.create(*["echo x >> ran; sleep 0.01"] * 120)
    second = Subprocesses()
    runners = [
        Runner(
            site.store,
            executor,
            site.clock,
            site.workflow,
            site.detected,
            environ=site.environ,
            options=Options(output_dir=str(tmp_path / name)),
        )
        for executor, name in ((site.executor, "a"), (second, "b"))
    ]
    reports = []
    threads = [threading.Thread(target=lambda one=one: reports.append(one.run())) for one in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()

    assert sum(report.tally.completed for report in reports) == 120
    assert len((site.folder / "ran").read_text().split()) == 120


def test_the_watcher_hears_of_every_end_and_the_report_counts_them(site) -> None:
    report = site.run("exit 0", "exit 1", "exit 0")

    assert sorted(end.ending.return_code for end in site.watching.ends) == [0, 0, 1]
    assert (report.tally.completed, report.tally.failed, report.tally.remaining) == (2, 1, 0)
    assert site.watching.tallies


def test_the_node_has_left_when_the_runner_returns(site) -> None:
    site.run("exit 0")

    (node,) = site.store.find(Node, Query(workflow=site.workflow.id)).items
    assert not node.is_active


def test_an_output_directory_that_cannot_be_written_to_is_refused(site) -> None:
    site.create("exit 0")
    (site.folder / "out").write_text("a file")

    with pytest.raises(UsageError, match=r"cannot write to '.*out'"):
        site.runner().run()


def test_where_hardly_any_file_may_be_opened_nothing_is_run(site) -> None:
    site.create("true")
    runner, before = site.runner(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, before[1]))

    try:
        with pytest.raises(UsageError, match="only 40 files may be open at once"):
            runner.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_hardly_any_process_may_be_started_nothing_is_run(site, monkeypatch) -> None:
    site.create("true")
    limits = {resource.RLIMIT_NOFILE: (1024, 4096), resource.RLIMIT_NPROC: (10, 10)}
    monkeypatch.setattr(place.resource, "getrlimit", limits.__getitem__)
    # Processes of root are not counted.
    monkeypatch.setattr(place.os, "geteuid", lambda: 1000)

    with pytest.raises(
        UsageError, match="only 10 processes may run at once; allow more with 'ulimit -u 1024'"
    ):
        site.runner().run()


def test_files_and_folders_of_a_run_are_for_their_owner_alone(site) -> None:
    site.run("exit 0")

    out = site.folder / "out"
    assert [os.stat(one).st_mode & 0o777 for one in (out, out / "job_stdio")] == [0o700, 0o700]
    for file in (*out.glob("*.log"), out / ".torc-output", site.file(".o"), site.file(".e")):
        assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads((out / ".torc-output").read_text())["schema"] == "torc.output/1"


@pytest.mark.parametrize(
    ("mode", "suffixes"),
    [
        ("separate", {".o", ".e"}),
        ("combined", {".log"}),
        ("no_stdout", {".e"}),
        ("no_stderr", {".o"}),
        ("none", set()),
    ],
)
def test_each_stdio_mode_has_its_files(site, mode, suffixes) -> None:
    site.run("echo out; echo err >&2", execution_config={"stdio": {"mode": mode}})

    found = {path.suffix for path in (site.folder / "out" / "job_stdio").iterdir()}
    assert found == suffixes
    assert {end.stdout is None for end in site.watching.ends} == {mode in ("no_stdout", "none")}


def test_a_job_can_have_a_stdio_mode_of_its_own(site) -> None:
    config = {"stdio": {"mode": "none"}, "job_stdio_overrides": {"job2": {"mode": "combined"}}}

    site.run("echo one", "echo two", execution_config=config)

    assert site.file(".log", job=2).read_text() == "two\n"
    assert len(list((site.folder / "out" / "job_stdio").iterdir())) == 1


def test_files_of_completed_jobs_go_where_that_is_wished_and_others_stay(site) -> None:
    config = {"stdio": {"mode": "separate", "delete_on_success": True}}

    site.run("echo one", "echo two; exit 1", execution_config=config)

    assert not site.file(".o", job=1).exists()
    assert site.file(".o", job=2).read_text() == "two\n"


def test_the_log_tells_start_claims_failures_and_leaving(site) -> None:
    site.run("exit 3")

    (path,) = (site.folder / "out").glob("job_runner_*.log")
    text = path.read_text()
    for event in (
        "runner_started workflow_id=",
        "claimed workflow_id=",
        "job_ended workflow_id=",
        "runner_left",
    ):
        assert event in text
    assert "return_code=3 reason=exit_code" in text
