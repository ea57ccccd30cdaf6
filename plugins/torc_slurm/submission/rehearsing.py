"""What a submission would do, without doing it: allocations, node-hours, scripts; nothing is written anywhere (C22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.model import (
    Action,
    Allocation,
    AllocationId,
    AllocationStatus,
    Json,
    Plan,
    SchedulerId,
    SlurmScheduler,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import walltime_seconds
from torc_core.record import record
from torc_slurm.submission.script import script
from torc_slurm.submission.stagger import staggered, window
from torc_slurm.submission.terms import Terms
from torc_terminal.output.answer import Report
from torc_terminal.standing import amount

SCHEMA = "torc.submit.check/1"
KEY = "000000000000"
"""Stands for the key that each allocation will have."""


@record(frozen=True, slots=True, kw_only=True)
class Request:
    """So many allocations of a scheduler, alike but for their keys."""

    scheduler: SlurmScheduler
    count: int
    trigger: str
    one_worker_per_node: bool = False
    max_parallel_jobs: int | None = None
    now: bool = True

    @property
    def nodes(self) -> int:
        """Nodes of each."""
        value = self.scheduler.fields.get("nodes")
        return value if isinstance(value, int) else 1

    @property
    def runners(self) -> int:
        """Runners of all together."""
        return self.count * (self.nodes if self.one_worker_per_node else 1)

    @property
    def node_hours(self) -> float:
        """If all run to their time limit."""
        return (
            self.count
            * self.nodes
            * walltime_seconds(str(self.scheduler.fields.get("walltime") or "01:00:00"))
            / 3600
        )


def rehearsed(workflow: Workflow, requests: Sequence[Request], terms: Terms, store_id: str) -> Report:
    """The answer of a dry run.

    Raises
    ------
    Invalid
        If sbatch would be given something that it could misunderstand.
    """
    due = [one for one in requests if one.now]
    runners = sum(one.runners for one in due)
    delay = window(runners) if staggered(workflow) else 0
    rows: list[Mapping[str, Json]] = []
    scripts = []
    for one in requests:
        allocation = Allocation(
            id=AllocationId(0), workflow_id=workflow.id, scheduler_config_id=one.scheduler.id, nodes=one.nodes,
            status=AllocationStatus.INTENDED, submission_key=KEY,
        )  # fmt: skip
        made = script(
            workflow, one.scheduler, allocation, terms, store_id, delay=delay if one.now else window(one.runners),
            one_worker_per_node=one.one_worker_per_node, max_parallel_jobs=one.max_parallel_jobs,
        )  # fmt: skip
        scripts.append(made)
        rows.append({
            "scheduler": one.scheduler.name, "trigger": one.trigger, "now": one.now, "allocations": one.count, "nodes": one.nodes,
            "walltime": str(one.scheduler.fields.get("walltime") or "01:00:00"), "node_hours": round(one.node_hours, 2),
            "runners": one.runners, "script": made.text,
        })  # fmt: skip
    count = sum(one.count for one in due)
    later = sum(one.count for one in requests if not one.now)
    lines = [
        (
            f"would submit {amount(count, 'allocation')} now ({amount(runners, 'runner')}, first requests within {delay} s)"
            + (f" and {later} later" if later else "")
            + f", {sum(one.node_hours for one in requests):.1f} node-hours at most"
        )
    ]
    for one, made in zip(requests, scripts, strict=True):
        when = "now" if one.now else f"at {one.trigger}"
        lines += ["", f"# {one.count} x '{one.scheduler.name}' {when}", made.text.rstrip()]
    return Report(
        schema=SCHEMA,
        data={
            "workflow_id": workflow.id or None,
            "intended": count,
            "later": later,
            "runners": runners,
            "startup_delay_seconds": delay,
            "node_hours": round(sum(one.node_hours for one in requests), 2),
            "requests": list(rows),
        },
        text="\n".join(lines),
    )


def of_plan(plan: Plan) -> tuple[Workflow, list[Request]]:
    """What a workflow that is not yet made would ask for."""
    planned = plan.workflow
    workflow = Workflow(
        id=WorkflowId(0), name=planned.name, user="", execution_config=planned.execution_config,
        slurm_defaults=planned.slurm_defaults, submission_directory=planned.submission_directory,
    )  # fmt: skip
    by_name = {
        one.name: SlurmScheduler(
            id=SchedulerId(at), workflow_id=workflow.id, name=one.name, fields=one.fields
        )
        for at, one in enumerate(plan.schedulers, 1)
    }
    requests = [
        _request(
            by_name[str(one.config["scheduler"])],
            one.config,
            one.trigger_type,
            now=one.trigger_type == "on_workflow_start",
        )
        for one in plan.actions
        if one.action_type == "schedule_nodes" and one.config.get("scheduler_type", "slurm") == "slurm"
    ]
    return workflow, requests


def of_actions(
    actions: Sequence[Action], due: Sequence[Action], schedulers: Mapping[int, SlurmScheduler]
) -> list[Request]:
    """What a workflow asks for that is there already: those that are due, and those that have not fired."""
    by_name = {one.name: one for one in schedulers.values()}
    now = {one.id for one in due}
    found = []
    for one in actions:
        number = one.config.get("scheduler_id")
        scheduler = (
            schedulers.get(number)
            if isinstance(number, int)
            else by_name.get(str(one.config.get("scheduler")))
        )
        if scheduler is not None and (one.id in now or not one.executed):
            initial = one.trigger_type == "on_workflow_start"
            found.append(_request(scheduler, one.config, one.trigger_type, now=one.id in now or initial))
    return found


def _request(scheduler: SlurmScheduler, config: Mapping[str, Json], trigger: str, *, now: bool) -> Request:
    count, parallel = config.get("num_allocations", 1), config.get("max_parallel_jobs")
    return Request(
        scheduler=scheduler,
        count=count if isinstance(count, int) else 1,
        trigger=trigger,
        one_worker_per_node=bool(config.get("start_one_worker_per_node")),
        max_parallel_jobs=parallel if isinstance(parallel, int) else None,
        now=now,
    )
