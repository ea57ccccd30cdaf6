"""`torc results`: how attempts ended."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from torc_core.given import Given
from torc_core.model import BAD, Job, JobStatus, Json, Node, Result, Value
from torc_core.model.resources import duration_text, memory_text
from torc_terminal.given_text import statuses
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.noun import Noun
from torc_terminal.options import Flag, Texts, Yes
from torc_terminal.output.answer import Listing, Outcome, Record
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item, result_item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import found

app = App(name="results", help="How attempts of jobs ended.")

UNSUCCESSFUL = tuple(sorted((*BAD, JobStatus.PENDING_FAILED)))
"""What `--failed` lists."""

MEASURED = ("peak_memory_bytes", "avg_memory_bytes", "peak_cpu_percent", "avg_cpu_percent")


def _seconds(item: Item) -> str:
    minutes = item["exec_time_minutes"]
    return duration_text(minutes * 60) if isinstance(minutes, (int, float)) else ""


def _percent(value: Json) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else ""


def _memory(value: Json) -> str:
    return memory_text(value) if isinstance(value, int) else ""


NOUN = Noun(
    record=Result,
    group="results",
    one="result",
    many="results",
    item=result_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Job ID", key="job_id", right=True),
        Column(title="Job", key="job_name"),
        Column(title="Run", key="run_id", right=True),
        Column(title="Attempt", key="attempt_id", right=True),
        Column(title="Return", key="return_code", right=True),
        Column(title="Reason", key="reason"),
        Column(title="Status", key="status"),
        Column(title="Exec", key="exec_time_minutes", right=True, show=lambda item: _seconds(dict(item))),
        Column(
            title="Peak mem",
            key="peak_memory_bytes",
            right=True,
            show=lambda item: _memory(item["peak_memory_bytes"]),
        ),
        Column(
            title="Peak CPU %",
            key="peak_cpu_percent",
            right=True,
            show=lambda item: _percent(item["peak_cpu_percent"]),
        ),
        Column(title="Node", key="compute_node_id", right=True),
        Column(title="Completed", key="completion_time"),
    ),
    sorts={
        "compute_node_id": "node_id",
        "exec_time_minutes": "exec_minutes",
        "completion_time": "completed_at",
        "is_current": "current",
        **{name: f"usage.{name}" for name in MEASURED},
    },
)


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    job_id: Annotated[int | None, Parameter(name=["--job-id", "-j"])] = None,
    run_id: Annotated[int | None, Parameter(name=["--run-id", "-r"])] = None,
    return_code: Annotated[int | None, Parameter(allow_leading_hyphen=True)] = None,
    failed: Flag = False,
    status: Annotated[Texts, Parameter(name=["--status", "-s"])] = (),
    all_runs: Flag = False,
    all_attempts: Flag = False,
    compute_node: int | None = None,
    paging: Paging = WHOLE,
    session: Given,
) -> Listing:
    """List the results of a workflow: the current one of each job.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    job_id
        Only of this job.
    run_id
        Only of this run, with every attempt of it.
    return_code
        Only with this return code.
    failed
        Only of attempts that did not complete.
    status
        Only with these statuses: `failed`, `terminated,canceled`.
    all_runs
        Every attempt of every run.
    all_attempts
        Every attempt of the present run.
    compute_node
        Only of this node.
    """
    where: dict[str, Value | tuple[Value, ...]] = {}
    if chosen := statuses(status):
        where["status"] = tuple(int(one) for one in chosen)
    elif failed:
        where["status"] = tuple(int(one) for one in UNSUCCESSFUL)
    for field, value in (("job_id", job_id), ("return_code", return_code), ("node_id", compute_node)):
        if value is not None:
            where[field] = value
    wf = found(session, workflow)
    if run_id is not None:
        where["run_id"] = run_id
    elif all_attempts and not all_runs:
        where["run_id"] = wf.run_id
    elif not all_runs:
        where["current"] = True
    listing = NOUN.page(session, paging.query(wf.id, where, sorts=NOUN.sorts))
    refuse_unknown(session, wf.id, listing.total, (Job, job_id), (Node, compute_node))
    return listing


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show results.

    Parameters
    ----------
    ids
        Ids of results: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete results; the status of their jobs stays.

    Parameters
    ----------
    ids
        Ids of results: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)
