"""`torc reports`: what a workflow used, how its jobs ended and where their output is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.selector import workflow as selected

app = App(name="reports", help="What a workflow used, how its jobs ended and where their output is.")

VIOLATIONS = (
    Column(title="Job ID", key="job_id", right=True),
    Column(title="Job Name", key="job_name"),
    Column(title="Resource", key="resource_type"),
    Column(title="Specified", key="specified", right=True),
    Column(title="Peak Used", key="peak_used", right=True),
    Column(title="Over-Utilization", key="over_utilization", right=True),
)
RESULTS = (
    Column(title="Job ID", key="job_id", right=True),
    Column(title="Job", key="job_name"),
    Column(title="Status", key="status"),
    Column(title="Run", key="run_id", right=True),
    Column(title="Attempt", key="attempt_id", right=True),
    Column(title="Return", key="return_code", right=True),
    Column(title="Reason", key="reason"),
    Column(title="Host", key="hostname"),
    Column(title="Stdout", key="job_stdout"),
    Column(title="Stderr", key="job_stderr"),
)


@app.command
def check_resource_utilization(
    workflow: str | None = None,
    /,
    *,
    run_id: Annotated[int | None, Parameter(name=["--run-id", "-r"])] = None,
    all: Annotated[Flag, Parameter(name=["--all", "-a"])] = False,
    include_failed: Flag = False,
    min_over_utilization: float = 1.0,
    under: float | None = None,
    session: Given,
) -> Report:
    """Compare what jobs used with what they asked for.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    run_id
        Of this run; without it the current results.
    all
        List every measured resource, also those that were used less than asked for.
    include_failed
        Jobs that failed too, with what points to too little memory or time.
    min_over_utilization
        Only what was exceeded by so many percent.
    under
        Also what was used so many percent less than asked for.
    """
    from torc_cli.utilization import Choice, utilization

    if min_over_utilization < 0 or (under is not None and not 0 <= under <= 100):
        raise UsageError("--min-over-utilization is not negative, and --under is from 0 to 100")
    wf = selected(session, workflow)
    choice = Choice(
        run=run_id, all=all, include_failed=include_failed, least=min_over_utilization, under=under
    )
    return utilization(session.store(), wf, choice, VIOLATIONS)


@app.command
def results(
    workflow: str | None = None,
    /,
    *,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    all_runs: Flag = False,
    all_attempts: Flag = False,
    job_id: Annotated[tuple[int, ...], Parameter(name=["--job-id", "-j"], negative=())] = (),
    failed: Flag = False,
    session: Given,
) -> Report:
    """List how attempts ended and where everything lies that they wrote; as JSON unless a format is given.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output_dir
        Where to look when it is not on record; normally torc_output.
    all_runs
        Of every run, not only of the present one.
    all_attempts
        Every attempt, not only the last one of each job.
    job_id
        Only of this job; may be repeated.
    failed
        Only of jobs that did not complete.
    """
    from torc_cli.ended import Choice, ended

    if session.config.given("client.format") is None:
        session.format = "json"
    wf = selected(session, workflow)
    folder = output_dir or session.config.client.run.output_dir
    choice = Choice(all_runs=all_runs, all_attempts=all_attempts, jobs=job_id, failed=failed)
    return ended(session.store(), wf, choice, folder, RESULTS)


@app.command
def summary(workflow: str | None = None, /, *, session: Given) -> Report:
    """Sum a workflow up: jobs by status, time, node-hours, failures.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    from torc_cli.summing import summed

    wf = selected(session, workflow)
    return summed(session.store(), wf, session.clock.now())
