"""Actions of a workflow: a runner executes their commands when their triggers fire."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from tests.core.runner.conftest import Site
from torc_core.model import (
    Action,
    ActionRun,
    ActionState,
    Plan,
    PlannedAction,
    PlannedJob,
    PlannedWorkflow,
    Query,
)
from torc_core.runner.report import Leaving


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


def test_a_second_signal_ends_an_action_that_takes_too_long(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(action("on_worker_start", f"touch {told}; sleep 60", persistent=True)))
    runner = site.runner()

    def interrupt() -> None:
        while not told.exists():
            time.sleep(0.01)
        for _ in range(2):
            runner.interrupt(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    report = runner.run()
    thread.join()

    assert (report.leaving, runs(site)[0].state) == (Leaving.SIGNAL, ActionState.FAILED)
    assert time.monotonic() - began < 10


def test_a_second_signal_leaves_without_the_actions_of_the_end(site: Site) -> None:
    told = site.folder / "told"
    site.create(plan=acting(
        action("on_worker_complete", "sleep 60", persistent=True), commands=(f"touch {told}; sleep 60",)
    ))  # fmt: skip
    runner = site.runner()

    def interrupt() -> None:
        while not told.exists():
            time.sleep(0.01)
        for _ in range(2):
            runner.interrupt(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    report = runner.run()
    thread.join()

    assert (report.leaving, runs(site)) == (Leaving.SIGNAL, [])
    assert time.monotonic() - began < 10
