"""What a submission came to, as commands tell it (`slurm.md` SJ4, SJ7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from torc_core.model import Allocation, AllocationStatus, Json, SlurmScheduler, WorkflowId
from torc_core.model.allocation import shown
from torc_slurm.submission.submitting import Result
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.standing import amount

SCHEMA = "torc.submit/1"

COLUMNS = (
    Column(title="ID", key="id", right=True),
    Column(title="Slurm job", key="slurm_job_id", right=True),
    Column(title="Scheduler", key="scheduler"),
    Column(title="Nodes", key="nodes", right=True),
    Column(title="Walltime", key="walltime"),
    Column(title="Status", key="status"),
    Column(title="Message", key="message"),
)

REMEDIES = (
    ("partition", "see the partitions: sinfo -s"),
    ("account", "see which accounts are yours: sacctmgr show assoc user=$USER"),
    ("time", "see the longest time of the partition: sinfo -o '%P %l'"),
    (
        "qos",
        "Slurm's limits for you are reached or the QOS is not yours: sacctmgr show assoc user=$USER format=qos,maxsubmit",
    ),
    ("contact", "see whether Slurm is up: scontrol ping"),
)
"""By a word in what sbatch said, what to look at; the last that fits counts."""


def told(
    workflow: WorkflowId,
    results: Sequence[Result],
    schedulers: Mapping[int, SlurmScheduler],
    before: Sequence[Allocation] = (),
    *,
    by_hand: str | None = None,
) -> Report:
    """The answer about what was submitted just now.

    Parameters
    ----------
    before
        Allocations that were there already.
    by_hand
        The scheduler, if no action of the workflow asked for them, so that none asks for what is left.
    """
    done = [one for one in results if one.submitted]
    refused = [one for one in results if one.refused]
    left = len(results) - len(done)
    data: dict[str, Json] = {
        "workflow_id": workflow,
        "intended": len(results),
        "submitted": len(done),
        "failed": len(refused),
        "already_submitted": len(before),
        "allocations": [item(one, schedulers) for one in results],
    }
    rows = [item(one, schedulers) for one in results]
    why = next((one.cause for one in results if not one.submitted and one.message), None)
    if not results:
        text = standing(before) if before else "nothing was due"
    elif not left:
        text = f"submitted {amount(len(done), 'allocation')} of workflow {workflow}"
    else:
        text = f"submitted {len(done)} of {amount(len(results), 'allocation')}"
        text += "".join((f" (sbatch: {why})" if why else "", *_rest(workflow, results, by_hand)))
    return Report(
        schema=SCHEMA,
        data=data,
        text=text,
        rows=rows,
        columns=COLUMNS if rows else (),
        noun="allocations",
        hint=remedy(why or "") if left else f"follow it: torc status {workflow}",
        exit_code=1 if left else 0,
    )


def _rest(workflow: WorkflowId, results: Sequence[Result], by_hand: str | None) -> Iterator[str]:
    """What to do about those that are not submitted."""
    refused, unclear = sum(one.refused for one in results), sum(one.unclear for one in results)
    off = sum(not (one.submitted or one.refused or one.unclear) for one in results)
    # NOTE: who asks by hand again for what may be queued has it twice.
    missing = refused + (unclear if by_hand is None else 0)
    if missing:
        again = f"submit {workflow}"
        if by_hand is not None:
            again = f"slurm schedule-nodes {workflow} --scheduler {quote(by_hand)} -n {missing}"
        yield f"; run 'torc {again}' to add {missing}"
    if unclear and by_hand is not None:
        yield f"; {unclear} may be in the queue, which 'torc watch {workflow}' finds out: do not ask for them again"
    if off:
        yield f"; {off} called off meanwhile"


def item(one: Result, schedulers: Mapping[int, SlurmScheduler]) -> dict[str, Json]:
    """What became of one allocation."""
    allocation = one.allocation
    scheduler = schedulers.get(allocation.scheduler_config_id or 0)
    status = "unclear" if one.unclear else shown(allocation.status)
    return {
        "id": allocation.id,
        "slurm_job_id": allocation.scheduler_id,
        "scheduler": scheduler.name if scheduler else None,
        "nodes": allocation.nodes,
        "walltime": allocation.walltime,
        "status": "failed" if one.refused else status,
        "message": one.message,
    }


def standing(allocations: Sequence[Allocation]) -> str:
    """`already submitted: 10 allocations (7 queued, 3 running)`."""
    queued = sum(one.status is AllocationStatus.PENDING for one in allocations)
    running = sum(one.status is AllocationStatus.ACTIVE for one in allocations)
    parts = [f"{queued} queued"] * bool(queued) + [f"{running} running"] * bool(running)
    ended = len(allocations) - queued - running
    parts += [f"{ended} over"] * bool(ended)
    return f"already submitted: {amount(len(allocations), 'allocation')} ({', '.join(parts)})"


def remedy(said: str) -> str | None:
    """What helps against a refusal, by what sbatch said."""
    fitting = [help for word, help in REMEDIES if word in said.lower()]
    return f"the scripts are kept beside the output; {fitting[-1]}" if fitting else None
