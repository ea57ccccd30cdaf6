"""Actions of a workflow: a runner executes their commands when their triggers fire."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.core.runner.conftest import GIB, Site
from tests.waiting import SOON, until
from torc_core.errors import Unavailable, Unreached
from torc_core.model import (
    Action,
    ActionId,
    ActionRun,
    ActionState,
    NewNode,
    Offer,
    Plan,
    PlannedAction,
    PlannedJob,
    PlannedWorkflow,
    Query,
    Resources,
    Turn,
)
from torc_core.runner.actions import Insistent
from torc_core.runner.report import Leaving
from torc_core.runner.runner import Runner


def action(
    trigger: str, *commands: str, jobs: tuple[int, ...] = (), persistent: bool = False
) -> PlannedAction:
    return PlannedAction(
        trigger_type=trigger, action_type="run_commands", config={"commands": list(commands)}, jobs=jobs,
        persistent=persistent,
    )  # fmt: skip


def acting(*actions: PlannedAction, commands: tuple[str, ...] = ("true",)) -> Plan:
    jobs = [PlannedJob(name=f"job{at}", command=command) for at, command in enumerate(commands, 1)]
    return Plan(workflow=PlannedWorkflow(name="acting"), jobs=jobs, actions=actions)


def runs(site: Site) -> list[ActionRun]:
    return list(site.store.find(ActionRun, Query(workflow=site.workflow.id)).items)


def lines(path: Path) -> list[str]:
    return path.read_text().split()


def test_what_is_due_at_the_start_is_done_before_the_first_job(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(
        action("on_worker_start", f"sleep 0.2; echo worker >> {told}", persistent=True),
        action("on_workflow_start", f"echo workflow >> {told}"),
        commands=(f"echo job >> {told}",),
    ))  # fmt: skip

    report = site.runner().run()

    assert (lines(told), report.leaving, report.warnings) == (
        ["workflow", "worker", "job"],
        Leaving.COMPLETE,
        (),
    )


def test_what_is_due_at_the_end_is_done_after_the_last_job(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(
        action("on_worker_complete", f"echo worker >> {told}", persistent=True),
        action("on_workflow_complete", f"echo workflow >> {told}"),
        commands=(f"echo job >> {told}",),
    ))  # fmt: skip

    site.runner().run()

    assert lines(told) == ["job", "workflow", "worker"]


def test_jobs_that_end_fire_an_action_while_others_run(site: Site) -> None:
    told = site.folder / "told"
    wait = f"while [ ! -e {told} ]; do sleep 0.01; done"
    site.create(
        plan=acting(action("on_jobs_complete", f"echo x > {told}", jobs=(0,)), commands=("true", wait))
    )

    report = site.runner().run()

    assert (report.leaving, report.tally.completed) == (Leaving.COMPLETE, 2)


def test_commands_run_in_order_in_the_output_directory_and_leave_a_log(site: Site) -> None:
    site.create(
        plan=acting(action("on_workflow_start", "pwd", "echo $TORC_WORKFLOW_ID $TORC_RUN_ID", "echo oh >&2"))
    )

    site.runner().run()

    (found,) = site.store.find(Action, Query(workflow=site.workflow.id)).items
    out = site.folder / "out"
    log = out / "actions" / f"action_wf{site.workflow.id}_{found.id}_r1.log"
    assert log.read_text().splitlines() == [str(out), f"{site.workflow.id} 1", "oh"]
    assert (log.stat().st_mode & 0o777, found.executed, runs(site)[0].progress) == (0o600, True, 3)


def test_a_failing_command_stops_the_rest_and_the_workflow_goes_on(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(action("on_workflow_start", "exit 3", f"touch {told}")))

    report = site.runner().run()

    (run,) = runs(site)
    assert (run.state, run.progress, told.exists()) == (ActionState.FAILED, 1, False)
    assert (run.error or "").startswith("command 1 ended with 3; log: ")
    assert (report.exit_code, len(report.warnings)) == (0, 1)


def test_commands_do_not_see_the_variables_of_jobs(site: Site) -> None:
    told = site.folder / "told"
    site.environ["TORC_JOB_ID"] = "7"
    site.create(plan=acting(action("on_workflow_start", f"env > {told}")))

    site.runner().run()

    names = {line.partition("=")[0] for line in told.read_text().splitlines()}
    assert {"TORC_JOB_ID", "TORC_JOB_NAME", "TORC_ATTEMPT_ID"} & names == set()
    assert "TORC_OUTPUT_DIR" in names


def test_an_action_is_executed_by_one_of_two_runners_and_a_persistent_one_by_both(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(
        action("on_workflow_start", f"echo once >> {told}"),
        action("on_worker_start", f"echo each >> {told}", persistent=True),
        commands=("sleep 0.5",),
    ))  # fmt: skip
    first = site.runner()
    other = Site(site.folder)
    other.store, other.workflow = site.store, site.workflow
    thread = threading.Thread(target=other.runner().run)
    thread.start()

    first.run()
    thread.join()
    other.executor.close()

    assert sorted(lines(told)) == ["each", "each", "once"]


@contextmanager
def interrupting(runner: Runner, *moments: Callable[[], bool]) -> Iterator[None]:
    """Press Ctrl-C at each of these moments, one after the other."""

    def press() -> None:
        for moment in moments:
            until(moment)
            runner.interrupt(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    yield
    thread.join()


def test_a_second_signal_ends_an_action_that_takes_too_long(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(action("on_worker_start", f"touch {told}; sleep 600", persistent=True)))
    runner = site.runner()

    with interrupting(runner, told.exists, told.exists):
        report = runner.run()

    assert (report.leaving, runs(site)[0].state) == (Leaving.SIGNAL, ActionState.FAILED)


def test_a_second_signal_before_the_actions_of_the_end_leaves_without_them(site: Site) -> None:
    told, spared = site.folder / "told", site.folder / "spared"
    stubborn = f"trap 'touch {spared}' TERM; touch {told}; while :; do sleep 0.05; done"
    site.create(plan=acting(action("on_worker_complete", "sleep 600", persistent=True), commands=(stubborn,)))
    runner = site.runner()

    with interrupting(runner, told.exists, spared.exists):
        report = runner.run()

    assert (report.leaving, site.result().return_code, runs(site)) == (Leaving.SIGNAL, -9, [])


def test_a_second_signal_ends_the_action_of_the_end_and_starts_no_other(site: Site) -> None:
    told, ending, other = site.folder / "told", site.folder / "ending", site.folder / "other"
    site.create(plan=acting(
        action("on_worker_complete", f"touch {ending}; sleep 600", persistent=True),
        action("on_worker_complete", f"touch {other}", persistent=True),
        commands=(f"touch {told}; sleep 600",),
    ))  # fmt: skip
    runner = site.runner()

    with interrupting(runner, told.exists, ending.exists):
        report = runner.run()

    (run,) = runs(site)
    assert (report.leaving, run.state, other.exists()) == (Leaving.SIGNAL, ActionState.FAILED, False)
    assert (run.error or "").startswith("command 1 ended with -")


def test_a_second_signal_while_an_action_is_being_recorded_starts_no_command_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, other = site.folder / "told", site.folder / "other"
    site.create(plan=acting(
        action("on_worker_complete", f"touch {other}; sleep 600", persistent=True),
        commands=(f"touch {told}; sleep 600",),
    ))  # fmt: skip
    runner, step = site.runner(), site.store.step_action

    def interrupted(action: ActionId, claim_id: str, number: int) -> ActionRun:
        runner.interrupt(signal.SIGINT)
        (log,) = (site.folder / "out").glob("job_runner_*.log")
        until(lambda: log.read_text().count("signal number=2") == 2)
        return step(action, claim_id, number)

    monkeypatch.setattr(site.store, "step_action", interrupted)
    with interrupting(runner, told.exists):
        report = runner.run()

    (run,) = runs(site)
    assert (report.leaving, run.state, other.exists()) == (Leaving.SIGNAL, ActionState.FAILED, False)
    assert (run.error or "").startswith("command 1 was not started: interrupted")


class Counted(threading.Event):
    """An event for which nobody waits, but the seconds are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


@pytest.mark.parametrize(
    ("error", "longest"), [(Unreached("refused"), 4.0), (Unavailable("no answer"), 30.0)]
)
def test_a_store_that_is_back_is_found_soon_by_who_executes_actions(
    error: Unavailable, longest: float
) -> None:
    closed, answers = Counted(), iter([error] * 12)

    def call() -> str:
        for one in answers:
            raise one
        return "done"

    assert Insistent(closed)(call) == "done"
    assert max(closed.waits) == longest


def taken_elsewhere(site: Site) -> None:
    """Another node has the first job that is ready."""
    room = Resources(cpus=1, memory=GIB)
    node = site.store.join(NewNode(
        workflow_id=site.workflow.id, epoch="other", hostname="elsewhere", pid=1, boot_id="b", process_start=1,
        capacity=room,
    ))  # fmt: skip
    site.store.turn(Turn(node=node.id, epoch="other", offer=Offer(claim_id="theirs", free=[room], limit=1)))


def test_an_action_that_has_not_fired_keeps_no_idle_runner(site: Site) -> None:
    site.create(
        plan=acting(action("on_jobs_complete", "true", jobs=(0,))), compute_node_wait_for_new_jobs_seconds=1
    )
    taken_elsewhere(site)

    begin = time.monotonic()
    report = site.runner().run()

    assert report.leaving is Leaving.IDLE
    assert 0.9 < time.monotonic() - begin < SOON


def test_an_action_that_runs_keeps_an_idle_runner_until_it_is_over(site: Site) -> None:
    site.create(
        plan=acting(
            action("on_jobs_complete", "sleep 2; touch done", jobs=(1,)), commands=("true", "true")
        ),
        compute_node_wait_for_new_jobs_seconds=1,
    )  # fmt: skip
    taken_elsewhere(site)

    begin = time.monotonic()
    report = site.runner().run()

    assert report.leaving is Leaving.IDLE
    assert (site.folder / "out" / "done").exists()
    # The clock started at the end of the job; it does not start anew.
    assert 1.9 < time.monotonic() - begin < SOON


def test_an_interrupted_runner_begins_no_further_action_of_the_start(site: Site) -> None:
    first, second = site.folder / "first", site.folder / "second"
    site.create(
        plan=acting(
            action("on_workflow_start", f"touch {first}; sleep 600"),
            action("on_worker_start", f"touch {second}"),
        )
    )
    runner = site.runner()
    thread = threading.Thread(target=lambda: (until(first.exists), runner.interrupt(signal.SIGINT)))
    thread.start()

    report = runner.run()
    thread.join()

    assert (report.leaving, report.exit_code) == (Leaving.SIGNAL, 130)
    assert not second.exists()
