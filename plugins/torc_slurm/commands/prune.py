"""`torc slurm prune`: call off queued allocations that nothing needs any more."""

from __future__ import annotations

from torc_core.given import Given
from torc_terminal.options import Flag
from torc_terminal.output.answer import Outcome, refuse_csv
from torc_terminal.selector import found


def prune(workflow: str | None = None, /, *, dry_run: Flag = False, session: Given) -> Outcome:
    """Call off queued allocations that no job can use any more, those that are kept by their scheduler included.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    dry_run
        Only say which they are.
    """
    from torc_slurm.scheduler.slurm import Slurm
    from torc_slurm.submission.unneeded import unneeded, withdraw
    from torc_terminal.standing import amount

    refuse_csv(session)
    store = session.store()
    wf = found(session, workflow)
    surplus = unneeded(store, store.totals([wf.id])[0], everything=True)
    if dry_run:
        off, errors = surplus, list[str]()
    else:
        off, errors = withdraw(store, Slurm.of(session.config, session.clock), surplus)
    numbers = [one.scheduler_id for one in off]
    verb = "Would call off" if dry_run else "Called off"
    named = f": {', '.join(str(one) for one in numbers)}" if numbers else ""
    return Outcome(
        message=f"{verb} {amount(len(off), 'queued allocation')} of workflow {wf.id}{named}",
        workflow_id=wf.id,
        extra={"dry_run": dry_run, "canceled_slurm_jobs": list(numbers), "errors": list(errors)},
        status="partial_success" if errors else "success",
        hint=errors[0] if errors else None,
        exit_code=1 if errors else 0,
    )
