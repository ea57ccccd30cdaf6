"""`torc status`: counts, stages, next steps, exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torc_cli.status import expected, text
from torc_core.engine.stages import stage_name
from torc_core.model import (
    Eta,
    Initialize,
    JobStatus,
    PlannedAction,
    PlannedScheduler,
    Standing,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.testing.plans import fan
from torc_terminal.standing import next_step

Torc = Callable[..., Any]


def run(torc: Torc, home: Path, *commands: str) -> int:
    jobs = ", ".join(f"{{name: j{n}, command: '{command}'}}" for n, command in enumerate(commands))
    (home / "w.yaml").write_text(f"name: w\njobs: [{jobs}]\n")
    return int(torc("run", "w.yaml").code)


def test_only_what_there_is_is_counted(torc: Torc, diamond: WorkflowId) -> None:
    ran = torc("status", "1")

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "Workflow 1  diamond   user ana   run 1   running"
    assert lines[1].startswith("Jobs 4:  completed 1")
    assert "blocked" not in lines[1]
    assert "Failures:  1 exit_code" in lines


def test_json_has_all_eleven_counts_and_they_sum_up(torc: Torc, diamond: WorkflowId) -> None:
    status = torc("status", "last", "--json").json

    assert status["schema"] == "torc.status/1"
    assert len(status["jobs_by_status"]) == 11
    assert sum(status["jobs_by_status"].values()) == status["total_jobs"] == 4
    assert (status["is_complete"], status["is_canceled"], status["active_compute_nodes"]) == (False, False, 1)
    assert status["failures_by_reason"] == {"exit_code": 1}


def test_stages_are_jobs_whose_names_differ_in_numbers(torc: Torc, home: Path) -> None:
    (home / "w.yaml").write_text(
        "name: w\njobs: [{name: 'e_{i}', command: 'true', parameters: {i: '1:3'}}, {name: last, command: 'false'}]\n"
    )
    torc("run", "w.yaml")

    stages = torc("status", "1", "--by-stage", "--json").json["stages"]
    table = torc("status", "1", "--by-stage", "-f", "csv")

    assert [(one["stage"], one["total"], one["done"], one["failed"]) for one in stages] == [
        ("e_{}", 3, 3, 0),
        ("last", 1, 1, 1),
    ]
    assert [row["stage"] for row in table.rows] == ["e_{}", "last"]


@pytest.mark.parametrize(
    ("name", "stage"),
    [("train_7", "train_{}"), ("t_0.0001_16", "t_{}_{}"), ("reduce", "reduce"), ("v1.2.x", "v{}.x")],
)
def test_numbers_are_what_a_stage_does_not_care_for(name: str, stage: str) -> None:
    assert stage_name(name) == stage


def test_a_job_of_a_number_alone_is_a_stage_too() -> None:
    assert stage_name("7") == "{}"


@pytest.mark.parametrize(("commands", "code"), [(("true",), 0), (("true", "false"), 1)])
def test_the_exit_code_tells_how_a_complete_workflow_ended(
    torc: Torc, home: Path, commands: tuple[str, ...], code: int
) -> None:
    run(torc, home, *commands)

    assert torc("status", "1", "--exit-code").code == code
    assert torc("status", "1").code == 0


def test_the_exit_code_of_an_unfinished_workflow_is_ten(torc: Torc, diamond: WorkflowId) -> None:
    assert torc("status", "1", "--exit-code").code == 10


def test_the_exit_code_of_a_canceled_workflow_is_seven(torc: Torc, diamond: WorkflowId) -> None:
    torc("cancel", "1")

    assert torc("status", "1", "--exit-code").code == 7


def test_the_next_command_is_named(torc: Torc, home: Path) -> None:
    (home / "w.yaml").write_text("name: w\njobs: [{name: a, command: 'false'}]\n")
    torc("create", "w.yaml")
    assert "torc run 1" in torc("status", "1").err
    torc("run", "1")

    assert "torc results list 1 --failed" in torc("status", "1").err


def test_without_a_terminal_it_cannot_be_watched(torc: Torc, diamond: WorkflowId) -> None:
    ran = torc("status", "1", "--watch")

    assert ran.code == 2
    assert "--watch draws on a terminal" in ran.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "no workflow id given"),
        (("77",), 5, "no workflow 77"),
        (("x",), 2, "'x' is not an id"),
        (("lats",), 2, "did you mean 'last'?"),
        (("last",), 5, "user 'ana' has no workflow yet"),
        (("1-3",), 2, "this command takes one"),
    ],
)
def test_what_is_no_workflow_is_refused(
    torc: Torc, home: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    ran = torc("status", *words)

    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert not list(home.rglob("*.db"))


def test_quiet_changes_nothing_on_stdout(torc: Torc, home: Path) -> None:
    run(torc, home, "true")

    assert torc("status", "1").out == torc("--quiet", "status", "1").out


def test_a_workflow_that_waits_for_its_allocations_lacks_no_runner() -> None:
    totals = Totals(
        workflow=Workflow(id=WorkflowId(1), name="w", user="ada", run_id=1, initialized_run=1), counts={JobStatus.READY: 3},
        pending_allocations=2, active_allocations=1,
    )  # fmt: skip

    assert "Nodes:     0 active, 2 allocations queued, 1 allocation running" in text(
        Standing(totals=totals), 0, 0
    )
    assert next_step(totals) is None


def test_nodes_that_are_due_and_nobody_asks_for_are_told(torc, store_of_the_user):
    action = PlannedAction(
        trigger_type="on_workflow_start",
        action_type="schedule_nodes",
        config={"scheduler": "s", "scheduler_type": "slurm", "num_allocations": 1},
    )
    scheduler = PlannedScheduler(name="s", fields={"account": "a", "walltime": "01:00:00"})
    with store_of_the_user() as store:
        workflow = store.create(replace(fan(1), schedulers=[scheduler], actions=[action]), "ana").id
        store.initialize(workflow, Initialize())

    ran = torc("status", "last")

    assert (
        f"nodes are due (1 action) and nobody asks for them; on a login node: torc submit {workflow}"
        in ran.err
    )


@pytest.mark.usefixtures("home")
def test_when_it_will_have_ended_is_told_or_why_nobody_knows() -> None:
    workflow = Workflow(id=WorkflowId(1), name="w", user="ada", run_id=1, initialized_run=1)
    alone = Totals(workflow=workflow, counts={JobStatus.READY: 3})
    worked_on = Totals(workflow=workflow, counts={JobStatus.READY: 3}, active_nodes=1)
    over = Totals(workflow=workflow, counts={JobStatus.COMPLETED: 3})
    eta = Eta(p10=60, p50=120, p90=240)

    told = expected(Standing(totals=worked_on, eta=eta), 0)

    assert expected(Standing(totals=alone), 0) == "ETA:       unknown: no live or queued nodes"
    assert expected(Standing(totals=worked_on), 0) is None
    assert expected(Standing(totals=over), 0) is None
    assert told is not None
    assert [one[-5:] for one in re.findall(r"[0-9][0-9:]+", told)] == ["02:00", "01:00", "04:00"]
