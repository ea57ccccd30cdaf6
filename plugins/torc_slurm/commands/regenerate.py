"""`torc slurm regenerate`: allocations for what is left of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.given import Given
from torc_core.model import JobId, Json, SlurmScheduler
from torc_slurm.commands.planner_options import PlannerOptions
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Report, refuse_csv

if TYPE_CHECKING:
    from torc_core.protocols import Store, Tended
    from torc_core.session import Session
    from torc_slurm.regenerating import Regenerated

SCHEMA = "torc.slurm.regenerate/1"


def regenerate(
    workflow: str | None = None,
    /,
    *,
    options: PlannerOptions | None = None,
    submit: Flag = False,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    poll_interval: Annotated[int, Parameter(name=["--poll-interval", "-p"])] = 60,
    include_job_ids: Texts = (),
    dry_run: Flag = False,
    session: Given,
) -> Report:
    """Plan allocations anew for the jobs that are left, less what those that are queued or run will do.

    Parameters
    ----------
    workflow
        Id, or `last`.
    submit
        Also ask Slurm for what is wanted now.
    output_dir
        Where output and logs go.
    poll_interval
        Longest pause of a runner between two contacts with the store, in seconds.
    include_job_ids
        Jobs that have ended and are planned for nevertheless: 4,7 or 10-20.
    dry_run
        Only show the plan, and why each partition was chosen.
    """
    # PERF: only what `--help` needs is imported above.
    from torc_slurm.planning.telling import reasons, table
    from torc_slurm.profiles.reading import profile_for
    from torc_slurm.regenerating import regenerated
    from torc_slurm.submission.starting import refuse_no_slurm
    from torc_terminal.selector import found, ids

    refuse_csv(session)
    given = options or PlannerOptions()
    wishes = given.wishes(session)
    include = [JobId(one) for one in ids(include_job_ids)]
    wf = found(session, workflow)
    if submit and not dry_run:
        refuse_no_slurm(session, str(wf.id))
    profile = profile_for(session, given.profile)
    store = session.store()
    made = regenerated(
        store, wf, profile, wishes,
        now=session.clock.now(), account=given.account, session=session, include=include,
    )  # fmt: skip
    for warning in made.plan.warnings:
        session.warn(warning)
    lines = [_standing(made)]
    if made.plan.groups:
        lines += ["", *table(made.plan, made.names)]
    if dry_run:
        lines += ["", *reasons(made.plan, made.names)]
        return Report(schema=SCHEMA, data=document(made, {}, None, dry_run=True), text="\n".join(lines))
    tended: Tended | None = None
    if made.plan.groups:
        tended = _carried_out(session, made, submit, output_dir, poll_interval)
        store = session.store()
    lines += _outcome(made, tended)
    refused = tended is not None and bool(tended.refused)
    return Report(
        schema=SCHEMA,
        data=document(made, _ids(store, made), tended, dry_run=False),
        text="\n".join(lines),
        exit_code=1 if refused else 0,
    )


def _carried_out(
    session: Session, made: Regenerated, submit: bool, output_dir: str | None, poll_interval: int
) -> Tended | None:
    """Write the plan, and submit what is due if that is wanted."""
    from torc_core.model import Workflow
    from torc_slurm.batch import SlurmBatch
    from torc_slurm.submission.starting import keep_terms, progress
    from torc_slurm.submission.terms import options as terms
    from torc_slurm.submission.terms import reachable
    from torc_terminal.serving import served

    if not submit:
        session.store().replan(made.workflow.id, made.replan(submit=False))
        return None
    url = reachable(served(session).url)
    store = session.store()
    said = terms(
        api_url=url, output_dir=output_dir or session.config.client.run.output_dir, poll_interval=poll_interval,
        max_parallel_jobs=None, keep_submission_scripts=session.config.client.slurm.keep_submission_scripts,
    )  # fmt: skip
    keep_terms(store, store.get(Workflow, made.workflow.id), said)
    store.replan(made.workflow.id, made.replan(submit=True))
    batch = SlurmBatch(store, session.config, session.clock, url, told=progress(session))
    return batch.tend(made.workflow.id)


def _standing(made: Regenerated) -> str:
    served = f"; {made.served} of them run in allocations that are there" if made.served else ""
    return (
        f"workflow {made.workflow.id}: {made.left} {'job is' if made.left == 1 else 'jobs are'} left{served}"
    )


def _outcome(made: Regenerated, tended: Tended | None) -> list[str]:
    if not made.plan.groups:
        return ["no further allocation is needed"]
    if tended is None:
        lines = ["", "nothing was submitted; ask for what is wanted now with:"]
        for group in made.plan.groups:
            count = sum(wave.allocations for wave in group.waves if not wave.trigger)
            if count:
                more = " --start-one-worker-per-node" if group.per_node and group.nodes > 1 else ""
                lines.append(
                    f"  torc slurm schedule-nodes {made.workflow.id} --scheduler {group.name} -n {count}{more}"
                )
        return lines
    lines = [f"submitted {len(tended.submitted)} allocations"]
    lines += [f"Slurm refused an allocation: {one.reason}" for one in tended.refused]
    if tended.unclear:
        lines.append(f"{len(tended.unclear)} allocations may or may not be queued; they are looked for again")
    return [*lines, *tended.waiting]


def _ids(store: Store, made: Regenerated) -> dict[str, int]:
    from torc_terminal.walking import every

    return {one.name: one.id for one in every(store, SlurmScheduler, made.workflow.id)}


def document(
    made: Regenerated, ids: dict[str, int], tended: Tended | None, *, dry_run: bool
) -> dict[str, Json]:
    """`torc.slurm.regenerate/1` without its schema."""
    from torc_slurm.scheduler.times import written

    submitted = 0 if tended is None else len(tended.submitted)
    return {
        "workflow_id": made.workflow.id,
        "dry_run": dry_run,
        "pending_jobs": made.left,
        "served_jobs": made.served,
        "schedulers_created": [
            {
                "id": ids.get(group.name),
                "name": group.name,
                "account": made.account,
                "partition": group.partition.name,
                "walltime": written(group.walltime),
                "nodes": group.nodes,
                "num_allocations": group.allocations,
                "job_count": len(group.jobs),
                "has_dependencies": any(wave.trigger for wave in group.waves),
            }
            for group in made.plan.groups
        ],
        "total_allocations": made.plan.allocations,
        "allocations_submitted": submitted,
        "allocations_deferred": made.plan.allocations - made.at_once,
        "warnings": list(made.plan.warnings),
        "submitted": tended is not None,
    }
