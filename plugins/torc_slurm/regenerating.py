"""Plans the allocations of a workflow that exists: for what is left of it, less what it has already (`slurm.md` §7.7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from torc_core.errors import UsageError
from torc_core.model import (
    Action,
    Allocation,
    AllocationId,
    AllocationStatus,
    Job,
    JobId,
    JobStatus,
    Json,
    Node,
    PlannedAction,
    PlannedScheduler,
    Query,
    Replan,
    Requirement,
    SlurmScheduler,
    Workflow,
    WorkflowId,
)
from torc_core.record import record
from torc_core.store.dags import dag_of
from torc_slurm.generating import account_for, circumstances
from torc_slurm.planning.plan import Circumstances, Group, SlurmPlan, Wave, Wishes
from torc_slurm.planning.planner import planned
from torc_slurm.planning.standing import Held, served
from torc_slurm.planning.work import Work
from torc_slurm.planning.writing import MOST_AT_ONCE, scheduler_fields
from torc_slurm.submission.due import scheduling
from torc_terminal.preparing import refuse_closed
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_core.protocols import Store
    from torc_core.session import Session
    from torc_slurm.profiles.model import Profile

LEFT = frozenset({JobStatus.UNINITIALIZED, JobStatus.BLOCKED, JobStatus.READY})
"""Jobs that are planned for."""

AT_WORK = frozenset({JobStatus.PENDING, JobStatus.RUNNING})

OPEN = frozenset({AllocationStatus.INTENDED, AllocationStatus.PENDING, AllocationStatus.ACTIVE})

ENOUGH = 100
"""Ready jobs that an action lists of which each alone makes it due."""

DEFAULTS: Mapping[str, Json] = {
    "account": None, "partition": None, "qos": None, "gres": None, "mem": None, "tmp": None, "nodes": 1,
    "walltime": "01:00:00", "ntasks_per_node": None, "extra": None, "serialize_allocations": False,
    "auto_top_up": True, "keep_queued": False,
}  # fmt: skip
"""The fields of a scheduler, as a specification fills them in."""


@record(frozen=True, slots=True, kw_only=True)
class Regenerated:
    """A new plan for what is left of a workflow.

    Parameters
    ----------
    left
        How many jobs are not yet done and not at work.
    served
        How many of them run in allocations that are there.
    jobs
        Of each position in the plan the id.
    retire
        Actions that ask for allocations of the old plan.
    ready
        Positions of jobs that are ready.
    newest
        The newest allocation that was looked at.
    """

    workflow: Workflow
    plan: SlurmPlan
    account: str
    left: int
    served: int
    jobs: Sequence[JobId]
    names: Sequence[str]
    retire: Sequence[Action]
    ready: frozenset[int] = frozenset()
    newest: AllocationId = AllocationId(0)

    @property
    def at_once(self) -> int:
        """How many allocations are wanted now."""
        return sum(wave.allocations for group in self.plan.groups for wave in group.waves if self._due(wave))

    def _waiting(self, group: Group) -> Sequence[int]:
        """Jobs of a group of which one is ready as soon as allocations make sense; any of them will do."""
        return [job for job in group.jobs if job in self.ready][:ENOUGH] or group.jobs

    def _due(self, wave: Wave) -> bool:
        return not wave.trigger

    def replan(self, *, submit: bool) -> Replan:
        """What is to be written, in one transaction.

        Parameters
        ----------
        submit
            Whether the allocations that are wanted now are asked for by an action that is due at once; else nothing
            asks for them.
        """
        begun = self.workflow.run_id > 0
        actions = []
        for group in self.plan.groups:
            for wave in group.waves:
                if self._due(wave) and not submit:
                    continue
                config: dict[str, Json] = {"scheduler": group.name, "scheduler_type": "slurm"}
                if group.per_node and group.nodes > 1:
                    config["start_one_worker_per_node"] = True
                jobs = wave.trigger or (self._waiting(group) if begun else ())
                for count in _pieces(wave.allocations):
                    actions.append(
                        PlannedAction(
                            trigger_type="on_jobs_ready" if jobs else "on_workflow_start",
                            action_type="schedule_nodes",
                            config={**config, "num_allocations": count},
                            jobs=[self.jobs[job] for job in jobs],
                            trigger_mode="any" if jobs else "all",
                            is_recovery=begun,
                        )
                    )
        return Replan(
            schedulers=[
                PlannedScheduler(name=group.name, fields=_fields(scheduler_fields(group, self.account)))
                for group in self.plan.groups
            ],
            assign={group.name: [self.jobs[job] for job in group.jobs] for group in self.plan.groups},
            actions=actions,
            retire=[one.id for one in self.retire] if begun else (),
            newest=self.newest,
        )


def regenerated(
    store: Store,
    workflow: Workflow,
    profile: Profile,
    wishes: Wishes,
    *,
    now: int,
    account: str | None = None,
    session: Session | None = None,
    include: Collection[JobId] = (),
) -> Regenerated:
    """Plan for what is left; nothing is written.

    Parameters
    ----------
    account
        Whom to charge; None: as the first scheduler of the workflow.
    session
        Knows further accounts.
    include
        Jobs that have ended and are planned for nevertheless.

    Raises
    ------
    WrongState, Conflict
        If the workflow is archived or canceled, or a cap cannot be kept.
    BadValue
        If a job fits nowhere.
    UsageError
        If there is nobody to charge.
    """
    refuse_closed(workflow, "given nodes")
    jobs = list(every(store, Job, workflow.id))
    schedulers = list(every(store, SlurmScheduler, workflow.id))
    if missing := set(include) - {job.id for job in jobs}:
        raise UsageError(f"workflow {workflow.id} has no job {min(missing)}")
    work = _work(store, workflow.id, jobs, frozenset(include), now)
    around = circumstances(
        workflow.execution_config,
        workflow.compute_node_expiration_buffer_seconds,
        workflow.compute_node_wait_for_new_jobs_seconds,
        taken=[one.name for one in schedulers],
        suffix=datetime.fromtimestamp(now / 1000, UTC).strftime("_regen_%Y%m%dT%H%M%SZ"),
    )
    by_id: dict[int, Mapping[str, Json]] = {one.id: one.fields for one in schedulers}
    run = served(
        work, [job.scheduler_id for job in jobs], _held(store, workflow.id, jobs, now), by_id, profile,
        before_end=around.before_end, patience=around.patience,
    )  # fmt: skip
    left = len(jobs) - len(work.done) - len(work.elsewhere)
    answer = planned(replace(work, elsewhere=work.elsewhere | run), profile, wishes, around)
    first = next((str(one.fields["account"]) for one in schedulers if one.fields.get("account")), None)
    charged = account or first
    if charged is None:
        if session is None:
            raise UsageError(f"no account to charge for workflow {workflow.id}; name one with --account")
        charged = account_for(session, None, workflow.slurm_defaults, profile)
    return Regenerated(
        workflow=workflow,
        plan=_without(answer, "outside of Slurm"),
        account=charged,
        left=left,
        served=len(run),
        jobs=[job.id for job in jobs],
        names=[job.name for job in jobs],
        retire=_armed(store, workflow.id),
        newest=max((one.id for one in every(store, Allocation, workflow.id)), default=AllocationId(0)),
        ready=frozenset(place for place, job in enumerate(jobs) if job.status is JobStatus.READY),
    )


def circumstances_of(workflow: Workflow) -> Circumstances:
    """What a stored workflow says about its runners."""
    return circumstances(
        workflow.execution_config,
        workflow.compute_node_expiration_buffer_seconds,
        workflow.compute_node_wait_for_new_jobs_seconds,
    )


def _work(
    store: Store, workflow: WorkflowId, jobs: Sequence[Job], include: Collection[JobId], now: int
) -> Work:
    dag = dag_of(store, workflow)
    needs = {one.id: one for one in every(store, Requirement, workflow)}
    steps = []
    elsewhere, done = set(), set()
    for place, (job, step) in enumerate(zip(jobs, dag.steps, strict=True)):
        declared = float(needs[job.requirement_id].runtime_s)
        one = replace(step, seconds=declared)
        if job.status in AT_WORK:
            elsewhere.add(place)
            ran = 0.0 if job.start_time is None else max(0, now - job.start_time) / 1000
            one = replace(step, seconds=max(1.0, declared - ran))
        elif job.status not in LEFT and job.id not in include:
            done.add(place)
        elif job.label is not None:
            elsewhere.add(place)
        steps.append(one)
    return Work(
        dag=replace(dag, steps=steps),
        requirements=[needs[job.requirement_id].name for job in jobs],
        elsewhere=frozenset(elsewhere),
        done=frozenset(done),
    )


def _held(store: Store, workflow: WorkflowId, jobs: Sequence[Job], now: int) -> list[Held]:
    """The allocations that are queued or run, and what runs there."""
    allocations = [one for one in every(store, Allocation, workflow) if one.status in OPEN]
    nodes: dict[int, list[Node]] = {}
    for node in every(store, Node, workflow):
        if node.allocation_id is not None and node.end_time is None:
            nodes.setdefault(node.allocation_id, []).append(node)
    held = []
    for one in allocations:
        if one.scheduler_config_id is None:
            continue
        runners = nodes.get(one.id, [])
        if one.status is AllocationStatus.ACTIVE and not runners:
            # It is about to end: its runner has left.
            continue
        ids = {runner.id for runner in runners}
        held.append(
            Held(
                scheduler=one.scheduler_config_id,
                nodes=one.nodes,
                age=max((now - runner.start_time for runner in runners), default=0) / 1000,
                running=[
                    place for place, job in enumerate(jobs) if job.status in AT_WORK and job.node_id in ids
                ],
                capacity=runners[0].capacity if runners else None,
            )
        )
    return held


def _armed(store: Store, workflow: WorkflowId) -> list[Action]:
    """Actions that ask for allocations and have not done so; what each runner asks for is no part of a plan."""
    found = store.find(Action, Query(workflow=workflow, limit=2**31)).items
    return [one for one in found if scheduling(one) and not one.executed and not one.persistent]


def _pieces(count: int) -> list[int]:
    return [min(MOST_AT_ONCE, count - start) for start in range(0, count, MOST_AT_ONCE)]


def _fields(given: Mapping[str, Any]) -> dict[str, Json]:
    return {**DEFAULTS, **{key: value for key, value in given.items() if key != "name"}}


def _without(plan: SlurmPlan, words: str) -> SlurmPlan:
    return replace(plan, warnings=[one for one in plan.warnings if words not in one])
