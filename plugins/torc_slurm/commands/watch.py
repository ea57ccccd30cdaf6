"""`torc watch`: follow a workflow to its end, recover it, give it allocations."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Json, WorkflowId
from torc_core.session import Session
from torc_slurm.commands.growing import factor, hours, length, refuse_agent, size
from torc_slurm.recovering.adjusting import Factors
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.recovery import Recovery, Wish
from torc_slurm.recovering.serving import partitions, provider, slurm_of
from torc_slurm.watching.diary import Diary
from torc_slurm.watching.scheduling import Rules
from torc_slurm.watching.watcher import Manner, Watched, Watcher, counts
from torc_terminal.durations import seconds_of
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import by_status, outcome_code, state

TIMED_OUT = 124


def watch(
    workflow: str | None = None,
    /,
    *,
    poll_interval: Annotated[float | None, Parameter(name=["--poll-interval", "-p"])] = None,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    show_job_counts: Annotated[Flag, Parameter(name=["--show-job-counts", "-s"])] = False,
    recover: Annotated[Flag, Parameter(name=["--recover", "-r"])] = False,
    max_retries: Annotated[int | None, Parameter(name=["--max-retries", "-m"])] = None,
    memory_multiplier: float | None = None,
    runtime_multiplier: float | None = None,
    max_memory: str | None = None,
    max_runtime: str | None = None,
    max_node_hours: float | None = None,
    retry_unknown: Flag = False,
    recovery_hook: str | None = None,
    auto_schedule: Flag = False,
    auto_schedule_threshold: int | None = None,
    auto_schedule_cooldown: int | None = None,
    auto_schedule_stranded_timeout: int | None = None,
    partition: str | None = None,
    walltime: str | None = None,
    ai_recovery: Flag = False,
    ai_agent: str = "claude",
    timeout: str | None = None,
    exit_zero: Flag = False,
    notify_command: str | None = None,
    session: Given,
) -> Report:
    """Follow a workflow to its end; with -r recover what fails, with --auto-schedule ask for allocations that it lacks.

    What it says goes to standard error and into <output-dir>/watch_<host>_wf<id>.log. Several may watch one workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    poll_interval
        Look at least every so many seconds; events wake it before.
    output_dir
        Where the log file goes, and what allocations write; normally torc_output.
    show_job_counts
        Say how many jobs there are of each status.
    recover
        Recover failures when everything else has ended, as `torc recover` does.
    max_retries
        At most so many recoveries; 0: as long as one helps.
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
        Recover jobs, too, of which nobody knows why they failed.
    recovery_hook
        Run this command, with the workflow as its last argument, before these run again.
    auto_schedule
        Ask for allocations where ready jobs have none.
    auto_schedule_threshold
        So many jobs that were retried or spawned are worth an allocation.
    auto_schedule_cooldown
        Seconds between two such requests.
    auto_schedule_stranded_timeout
        Seconds after which a single one of them is worth an allocation; 0: never.
    partition
        Ask for allocations of this partition.
    walltime
        Ask for allocations of this length, such as 04:00:00.
    ai_recovery
        Experimental, and not available in this release.
    ai_agent
        Experimental, and not available in this release.
    timeout
        Stop watching after this time, such as `12h`; exit code 124.
    exit_zero
        Leave with 0 though jobs failed.
    notify_command
        Run this command once at the end, with TORC_WORKFLOW_ID and TORC_WORKFLOW_STATUS.
    """
    refuse_csv(session)
    refuse_agent(ai_recovery)
    keys = session.config.client.watch
    client = session.config.client
    folder = output_dir or client.run.output_dir
    given = max_node_hours if max_node_hours is not None else keys.max_node_hours
    cap = hours("--max-node-hours", given if given is not None else client.slurm.max_node_hours)
    wanted = Wanted(partition=partition, walltime=walltime, output_dir=output_dir, max_node_hours=cap)
    wish = Wish(
        factors=Factors(
            memory=factor("--memory-multiplier", _or(memory_multiplier, keys.memory_multiplier)),
            runtime=factor("--runtime-multiplier", _or(runtime_multiplier, keys.runtime_multiplier)),
        ),
        retry_unknown=retry_unknown or keys.retry_unknown,
        hook=recovery_hook,
        max_memory=size("--max-memory", max_memory or keys.max_memory),
        max_runtime=length("--max-runtime", max_runtime or keys.max_runtime),
        wanted=wanted,
    )
    rules = Rules(
        threshold=_count(
            "--auto-schedule-threshold", _or(auto_schedule_threshold, keys.auto_schedule_threshold)
        ),
        cooldown=_count("--auto-schedule-cooldown", _or(auto_schedule_cooldown, keys.auto_schedule_cooldown)),
        stranded=_count(
            "--auto-schedule-stranded-timeout",
            _or(auto_schedule_stranded_timeout, keys.auto_schedule_stranded_timeout),
        ),
        max_node_hours=cap,
    )
    manner = Manner(
        poll=_interval(_or(poll_interval, float(keys.poll_interval))),
        counts=show_job_counts,
        recovers=recover,
        rounds=_count("--max-retries", _or(max_retries, keys.max_retries)),
        rules=rules if auto_schedule or keys.auto_schedule else None,
        wanted=wanted,
        timeout=None if timeout is None else seconds_of(timeout, "--timeout"),
    )
    wf = selected(session, workflow)
    diary = Diary(session, wf, folder)
    try:
        watched = _watched(session, wf, wish, manner, diary)
        report = _report(watched, diary, exit_zero=exit_zero)
    finally:
        diary.close()
    if notify_command is not None:
        _notify(session, notify_command, watched)
    return report


def _watched(session: Session, workflow: WorkflowId, wish: Wish, manner: Manner, diary: Diary) -> Watched:
    batch = slurm_of(session, workflow, reachable=manner.recovers or manner.rules is not None)
    provide = provider(session, batch)

    def recovery() -> Recovery:
        return Recovery(
            session, workflow, wish, batch=batch, provide=provide, partitions=partitions(batch)
        )  # fmt: skip

    return Watcher(session, workflow, manner, diary, batch=batch, provide=provide, recovery=recovery).run()


def _report(watched: Watched, diary: Diary, *, exit_zero: bool) -> Report:
    totals = watched.totals
    code = TIMED_OUT if watched.timed_out else outcome_code(totals, unfinished=1)
    if watched.timed_out:
        text = f"Workflow {totals.workflow.id} is not complete yet ({counts(totals)})"
    elif totals.good:
        text = f"Workflow completed successfully ({totals.total} jobs)"
    else:
        verb = "was canceled" if totals.workflow.is_canceled else "ended with failures"
        text = f"Workflow {verb} ({counts(totals)})"
    lines = [*([watched.why] if watched.why else []), text]
    diary.keep("\n".join(lines))
    data: dict[str, Json] = {
        "workflow_id": totals.workflow.id,
        "workflow_name": totals.workflow.name,
        "status": state(totals),
        "run_id": totals.workflow.run_id,
        "jobs_by_status": dict(by_status(totals)),
        "is_complete": totals.complete,
        "is_canceled": totals.workflow.is_canceled,
        "recoveries": watched.recoveries,
        "allocations_submitted": watched.allocations,
        "timed_out": watched.timed_out,
        "message": watched.why,
        "log": str(diary.path),
    }
    return Report(
        schema="torc.watch/1",
        data=data,
        text="\n".join(lines),
        exit_code=0 if exit_zero and code == 1 else code,
    )


def _notify(session: Session, command: str, watched: Watched) -> None:
    """Run the user's command; how it ends changes nothing."""
    totals = watched.totals
    environ = {
        **session.config.environ,
        "TORC_WORKFLOW_ID": str(totals.workflow.id),
        "TORC_WORKFLOW_STATUS": state(totals),
    }
    session.close()
    done = subprocess.run(
        ["bash", "-c", command], env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    if done.returncode:
        session.warn(f"the notify command ended with {done.returncode}")


def _or(given: float | None, configured: float) -> float:
    return configured if given is None else given


def _count(option: str, value: float) -> int:
    """A whole number that is not negative.

    Raises
    ------
    UsageError
        If it is.
    """
    if value < 0:
        raise UsageError(f"{option} '{value:g}' is negative")
    return int(value)


def _interval(value: float) -> float:
    """Seconds between two looks.

    Raises
    ------
    UsageError
        If they are none.
    """
    if not 0 < value <= 86_400:
        raise UsageError(f"--poll-interval '{value:g}' is out of range; give seconds above 0 and up to 86400")
    return value
