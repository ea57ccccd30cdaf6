"""`torc-slurm-job-runner`: runs jobs of a workflow in the allocation that it is started in (`cli.md` §6.2)."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from torc_core.given import Given
from torc_slurm.running.work import Left, Wish, work
from torc_terminal.options import Flag


def run(
    url: str,
    workflow_id: int,
    output_dir: str,
    /,
    *,
    max_parallel_jobs: Annotated[int, Parameter(validator=Number(gte=1))] | None = None,
    poll_interval: Annotated[float, Parameter(name=["--poll-interval", "-p"], validator=Number(gt=0))] = 60.0,
    startup_delay_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    is_subtask: Flag = False,
    wait_for_healthy_database_minutes: Annotated[float, Parameter(validator=Number(gte=0))] = 20.0,
    submission_key: str | None = None,
    session: Given,
) -> Left:
    """Run jobs of a workflow in the allocation of Slurm that this is started in; batch scripts of torc call it.

    Leaves with 0 whenever it has ended in order, also if jobs have failed; with 4 if the server could not be reached,
    with 143 after SIGTERM.

    Parameters
    ----------
    url
        Address of the server, as the nodes reach it.
    workflow_id
        Id of the workflow.
    output_dir
        Where the output of jobs goes, and the logs of this program.
    max_parallel_jobs
        At most so many jobs at once, resources ignored; normally packed by CPUs, memory and GPUs.
    poll_interval
        Longest pause between two contacts with the server, in seconds.
    startup_delay_seconds
        The first contact is made within so many seconds, each runner at a time of its own; 0: at once.
    is_subtask
        Offer the CPUs of one task instead of those of the node.
    wait_for_healthy_database_minutes
        Patience for the first contact with the server.
    submission_key
        Of the allocation that was intended; normally TORC_SUBMISSION_KEY.
    """
    return work(
        session,
        Wish(
            url=url,
            workflow=workflow_id,
            output_dir=output_dir,
            max_parallel_jobs=max_parallel_jobs or 0,
            poll_interval=poll_interval,
            delay=startup_delay_seconds,
            is_subtask=is_subtask,
            patience=60.0 * wait_for_healthy_database_minutes,
            submission_key=submission_key or session.config.environ.get("TORC_SUBMISSION_KEY") or None,
        ),
    )
