"""`torc slurm schedule-nodes`: ask Slurm for allocations of a scheduler, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Workflow
from torc_core.session import Session
from torc_slurm.commands.schedulers import scheduler_of
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.selector import found


def schedule_nodes(
    workflow: str | None = None,
    /,
    *,
    num_hpc_jobs: Annotated[int, Parameter(name=["--num-hpc-jobs", "-n"])] = 1,
    scheduler_config_id: int | None = None,
    scheduler: str | None = None,
    job_prefix: Annotated[str, Parameter(name=["--job-prefix", "-j"])] = "",
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    poll_interval: Annotated[int, Parameter(name=["--poll-interval", "-p"])] = 60,
    max_parallel_jobs: Annotated[int | None, Parameter(name=["--max-parallel-jobs", "-m"])] = None,
    start_one_worker_per_node: Flag = False,
    keep_submission_scripts: Flag = False,
    dry_run: Flag = False,
    session: Given,
) -> Report:
    """Ask Slurm for allocations of a scheduler.

    torc slurm schedule-nodes 42 -n 10 --scheduler short

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    num_hpc_jobs
        How many allocations.
    scheduler_config_id
        Id of the scheduler; needed only if the workflow has several.
    scheduler
        Name of the scheduler, instead of its id.
    job_prefix
        Beginning of the names in the queue.
    output
        Where output and logs go.
    poll_interval
        Longest pause of a runner between two contacts with the store, in seconds.
    max_parallel_jobs
        Each runner runs at most so many jobs at once, whatever they need.
    start_one_worker_per_node
        A runner on each node, instead of one for the allocation.
    keep_submission_scripts
        Keep the scripts that sbatch was given.
    dry_run
        Print the script and the number of runners, and ask for nothing.
    """
    from torc_slurm.batch import SlurmBatch
    from torc_slurm.commands.submitting import PLACEHOLDER
    from torc_slurm.submission.due import schedulers_of
    from torc_slurm.submission.holding import name_of_us
    from torc_slurm.submission.rehearsing import Request, rehearsed
    from torc_slurm.submission.starting import keep_terms, progress, refuse_no_slurm
    from torc_slurm.submission.telling import told
    from torc_slurm.submission.terms import Terms, options, reachable
    from torc_terminal.preparing import refuse_closed
    from torc_terminal.serving import served

    if not 1 <= num_hpc_jobs <= 10_000:
        raise UsageError(f"-n '{num_hpc_jobs}' is out of range; ask for 1 to 10000 allocations")
    if poll_interval < 1:
        raise UsageError(f"-p '{poll_interval}' is out of range; give seconds, at least 1")
    if max_parallel_jobs is not None and max_parallel_jobs < 1:
        raise UsageError(f"-m '{max_parallel_jobs}' is out of range; give a number of at least 1")
    wf = found(session, workflow)
    if not dry_run:
        refuse_no_slurm(session, str(wf.id))
    refuse_closed(wf, "given nodes")
    chosen = scheduler_of(session, wf.id, number=scheduler_config_id, name=scheduler)
    _warn_of_no_jobs(session, wf)
    said = options(
        api_url="", output_dir=output or session.config.client.run.output_dir, poll_interval=poll_interval,
        max_parallel_jobs=max_parallel_jobs, start_one_worker_per_node=start_one_worker_per_node, job_prefix=job_prefix,
        keep_submission_scripts=keep_submission_scripts or session.config.client.slurm.keep_submission_scripts,
    )  # fmt: skip
    if dry_run:
        url = session.config.store_url
        known = url if url.startswith(("http://", "https://")) else PLACEHOLDER
        wf = replace(wf, submit_options={**said, "api_url": known})
        request = Request(
            scheduler=chosen, count=num_hpc_jobs, trigger="now", one_worker_per_node=start_one_worker_per_node
        )
        terms = Terms.of(wf, session.config, None)
        return rehearsed(wf, [request], terms, session.store().server_id)
    url = reachable(served(session).url)
    store = session.store()
    wf = keep_terms(store, store.get(Workflow, wf.id), {**said, "api_url": url})
    us = name_of_us(session.clock)
    nodes = chosen.fields.get("nodes")
    intents = store.intend(wf.id, us, chosen.id, num_hpc_jobs, nodes if isinstance(nodes, int) else 1)
    batch = SlurmBatch(store, session.config, session.clock, url, told=progress(session))
    try:
        results = batch.submit_intents(wf, us, intents)
    except KeyboardInterrupt:
        session.note(
            f"interrupted; do not ask again: what is missing is submitted by a server, or by 'torc watch {wf.id}'"
        )
        raise
    return told(wf.id, results, schedulers_of(store, wf.id), by_hand=chosen.name)


def _warn_of_no_jobs(session: Session, workflow: Workflow) -> None:
    """Allocations cost their hours whether there is work for them or not."""
    totals = session.store().totals([workflow.id])[0]
    if totals.complete:
        again = f"torc workflows reset-status {workflow.id} -r"
        session.warn(f"workflow {workflow.id} is complete: runners find no jobs; to run it again: {again}")
    elif not totals.initialized:
        # Without --force a workflow that has allocations is not initialised.
        begin = f"torc workflows init {workflow.id} --force"
        session.warn(f"workflow {workflow.id} is not initialized: runners find no jobs before {begin}")
