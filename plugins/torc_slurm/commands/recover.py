"""`torc recover`: find out why jobs failed, give them what they lacked, and let them run again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import Conflict
from torc_core.given import Given
from torc_core.model import WorkflowId
from torc_core.session import Session
from torc_slurm.commands.growing import factor, hours, length, refuse_agent, size
from torc_slurm.recovering.adjusting import Factors
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.recovery import Recovered, Recovery, Wish
from torc_slurm.recovering.serving import partitions, provider, slurm_of
from torc_terminal.options import Flag, Texts, Yes
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.selector import ids as read_ids
from torc_terminal.selector import workflow as selected


def recover(
    workflow: str | None = None,
    /,
    *,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    memory_multiplier: float = 1.5,
    runtime_multiplier: float = 1.4,
    max_memory: str | None = None,
    max_runtime: str | None = None,
    max_node_hours: float | None = None,
    retry_unknown: Flag = False,
    recovery_hook: str | None = None,
    job_ids: Texts = (),
    partition: str | None = None,
    walltime: str | None = None,
    dry_run: Flag = False,
    yes: Yes = False,
    interactive: Annotated[Flag, Parameter(name=["--interactive", "-i"])] = False,
    ai_recovery: Flag = False,
    ai_agent: str = "claude",
    session: Given,
) -> Report:
    """Find out why jobs failed, give them what they lacked, and let exactly these run again.

    At a terminal every step is asked for; elsewhere, and with --yes, jobs that ran out of memory or time get more,
    those that were lost with their node run again as they are, and the others are left alone. Repeated after an
    interruption it goes on where it was.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output_dir
        Where allocations write; normally torc_output.
    memory_multiplier
        Jobs that ran out of memory get so many times what they had, or used.
    runtime_multiplier
        Jobs that ran out of time get so many times what they had, or took.
    max_memory
        No job gets more memory than this, such as `64g`.
    max_runtime
        No job gets more time than this, such as `12h` or PT12H.
    max_node_hours
        Ask for no allocation that would take the workflow beyond so many node-hours.
    retry_unknown
        Run jobs again of which nobody knows why they failed.
    recovery_hook
        Run this command, with the workflow as its last argument, before these run again; if it fails, nothing does.
    job_ids
        Only these jobs: `3,4` or `3-9`.
    partition
        Ask for allocations of this partition.
    walltime
        Ask for allocations of this length.
    dry_run
        Only say what would be done.
    yes
        Do not ask.
    interactive
        Ask, though the output is not for people.
    ai_recovery
        Experimental, and not available in this release.
    ai_agent
        Experimental, and not available in this release.
    """
    refuse_csv(session)
    refuse_agent(ai_recovery)
    keys = session.config.client
    wish = Wish(
        factors=Factors(
            memory=factor("--memory-multiplier", memory_multiplier),
            runtime=factor("--runtime-multiplier", runtime_multiplier),
        ),
        retry_unknown=retry_unknown,
        hook=recovery_hook,
        max_memory=size("--max-memory", max_memory),
        max_runtime=length("--max-runtime", max_runtime),
        jobs=frozenset(read_ids(job_ids)) if job_ids else None,
        wanted=Wanted(
            partition=partition, walltime=walltime, output_dir=output_dir,
            max_node_hours=hours("--max-node-hours", max_node_hours if max_node_hours is not None else keys.slurm.max_node_hours),
        ),
    )  # fmt: skip
    if interactive and not session.interactive:
        raise Conflict("--interactive needs a terminal; without one, pass --yes or nothing")
    wf = selected(session, workflow)
    asks = interactive or (session.interactive and not yes and not dry_run and session.format == "table")
    if dry_run:
        return _report(_recovery(session, wf, wish, dry_run=True).tried())
    if asks:
        return _report(_asked(session, wf, wish))
    return _report(_recovery(session, wf, wish).done())


def _recovery(session: Session, workflow: WorkflowId, wish: Wish, *, dry_run: bool = False) -> Recovery:
    batch = slurm_of(session, workflow, reachable=not dry_run)
    return Recovery(
        session, workflow, wish, batch=batch, provide=provider(session, batch), partitions=partitions(batch)
    )  # fmt: skip


def _asked(session: Session, workflow: WorkflowId, wish: Wish) -> Recovered:
    """Ask for each step, then do it."""
    from torc_slurm.recovering.looking import refuse_busy, uses_slurm
    from torc_slurm.recovering.serving import of_scheduler
    from torc_slurm.recovering.wizard import Wizard

    recovery = _recovery(session, workflow, wish)
    now = recovery.settled()
    refuse_busy(now)
    found = recovery.diagnosed()
    if not found:
        return recovery.done()
    wizard = Wizard(session, workflow)
    wish = wizard.causes(found, wish)
    recovery = _recovery(session, workflow, wish)
    decision = recovery.decided(found)
    wizard.plan(decision)
    if not decision.jobs:
        return recovery.applied(decision, slurm=False)
    slurm = uses_slurm(session.store(), workflow)
    batch = slurm_of(session, workflow, reachable=True)
    if slurm and batch is not None:
        chosen = wizard.scheduler(wish)
        provide = provider(session, batch)
        if chosen.scheduler is not None:
            provide = of_scheduler(session, batch, chosen.scheduler, chosen.count)
        recovery = Recovery(
            session, workflow, chosen.wish, batch=batch, provide=provide, partitions=partitions(batch)
        )  # fmt: skip
    wizard.sure(decision)
    return recovery.applied(decision, slurm=slurm)


def _report(done: Recovered) -> Report:
    return Report(
        schema="torc.recover/1",
        data=done.document(),
        text="\n".join(done.lines),
        hint=done.hint,
        exit_code=done.exit_code,
    )
