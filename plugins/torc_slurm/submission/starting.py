"""What `torc submit` does between a workflow and its allocations: makes it ready, and asks for all that is due."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from torc_core.errors import Conflict
from torc_core.model import (
    Action,
    Allocation,
    AllocationStatus,
    Initialize,
    Json,
    Plan,
    Query,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.session import Session
from torc_slurm.batch import SlurmBatch
from torc_slurm.submission.due import rearm_failed, release_dead, scheduling
from torc_slurm.submission.submitting import Result
from torc_terminal.output.cells import plain
from torc_terminal.standing import amount

TOLD_EVERY = 30_000
"""Milliseconds between two lines of progress."""


def refuse_no_slurm(session: Session, what: str) -> None:
    """Object where there is no sbatch; `what` was to be submitted.

    Raises
    ------
    Conflict
        If so.
    """
    from torc_slurm.scheduler.slurm import Slurm

    if not Slurm.of(session.config, session.clock).here():
        raise Conflict(
            "Slurm is not on this host: no 'sbatch' in PATH; submit on a login node, or run it here: "
            f"torc run {shlex.quote(what)}"
        )


def refuse_no_action(what: str) -> Conflict:
    """Why a specification cannot be submitted that asks for no nodes, and what helps."""
    file = shlex.quote(what)
    return Conflict(
        f"'{what}' has no action that asks for nodes; plan them with 'torc slurm generate {file}' or "
        f"'torc submit --generate --account ACCOUNT {file}'"
    )


def refuse_no_nodes(workflow: Workflow) -> Conflict:
    """The same of a workflow that is there already."""
    begun = "" if workflow.run_id else f"torc workflows initialize {workflow.id} && "
    return Conflict(
        f"workflow {workflow.id} '{plain(workflow.name)}' has no action that asks for nodes; plan and ask for them with "
        f"'{begun}torc slurm regenerate {workflow.id} --submit --account ACCOUNT'"
    )


def asks_for_nodes(plan: Plan) -> bool:
    """Whether a plan has an action that asks for nodes of Slurm."""
    return any(
        one.action_type == "schedule_nodes" and one.config.get("scheduler_type", "slurm") == "slurm"
        for one in plan.actions
    )


def actions_of(store: Store, workflow: WorkflowId) -> list[Action]:
    """The actions of a workflow that ask for nodes of Slurm."""
    return [one for one in store.find(Action, Query(workflow=workflow, limit=2**31)).items if scheduling(one)]


def made_ready(session: Session, store: Store, workflow: WorkflowId, *, ignore_missing_data: bool) -> Totals:
    """Initialise a workflow if that is needed; how it stands.

    Raises
    ------
    Conflict
        If it is archived, canceled or complete, or if inputs are missing.
    """
    from torc_terminal.initializing import check
    from torc_terminal.preparing import initialize, refuse_archived

    totals = store.totals([workflow])[0]
    refuse_archived(totals)
    if totals.workflow.is_canceled:
        raise Conflict(
            f"workflow {workflow} is canceled; to run it again: torc workflows reset-status {workflow} -r"
        )
    if totals.complete:
        raise Conflict(
            f"workflow {workflow} is complete; to run it again: torc workflows reset-status {workflow} -r"
        )
    if not totals.initialized and ignore_missing_data:
        prints = check(store, totals.workflow).fingerprints
        partial = totals.workflow.run_id > 0
        how = Initialize(only_uninitialized=partial, fingerprints=prints, force=True, if_needed=True)
        store.initialize(workflow, how)
    else:
        initialize(session, store, totals)
    return store.totals([workflow])[0]


def keep_terms(store: Store, workflow: Workflow, said: dict[str, Json]) -> Workflow:
    """Store the terms of this submission with the workflow, for those that come later (SB7)."""
    if dict(workflow.submit_options or {}) == said:
        return workflow
    return store.change(Workflow, workflow.id, {"submit_options": said})


def submitted(
    session: Session, store: Store, workflow: Workflow, url: str
) -> tuple[list[Result], list[Allocation]]:
    """Ask for all that is due; what came of it, and which allocations were there before.

    Raises
    ------
    Conflict
        If another process of this user is at it just now.
    """
    from torc_core.model import ActionRun

    before = standing_of(store, workflow)
    release_dead(store, workflow.id)
    rearm_failed(store, workflow.id)
    results = SlurmBatch(store, session.config, session.clock, url, told=progress(session)).submit(workflow)
    if not results:
        where = {"state": "claimed"}
        claimed = store.find(ActionRun, Query(workflow=workflow.id, where=where, limit=2**31)).items
        if any(scheduling(store.get(Action, run.action_id)) for run in claimed):
            raise Conflict(
                f"allocations of workflow {workflow.id} are being submitted by another process; look with "
                f"'torc scheduled-compute-nodes list {workflow.id}'"
            )
    return results, before


def standing_of(store: Store, workflow: Workflow) -> list[Allocation]:
    """Allocations that are queued or run."""
    rows = store.find(Allocation, Query(workflow=workflow.id, limit=2**31)).items
    return [one for one in rows if one.status in (AllocationStatus.PENDING, AllocationStatus.ACTIVE)]


def progress(session: Session) -> Callable[[Result], None]:
    """Says every half minute how many have been submitted."""
    count, last = 0, session.clock.now()

    def say(result: Result) -> None:
        nonlocal count, last
        count += result.submitted
        if session.clock.now() - last >= TOLD_EVERY:
            last = session.clock.now()
            session.note(f"submitted {amount(count, 'allocation')} so far")

    return say


def scripts_of(names: Sequence[str], texts: Sequence[str]) -> str:
    """Scripts, one after the other, each under its name."""
    return "\n".join(f"# {name}\n{text}" for name, text in zip(names, texts, strict=True))
