"""`torc jobs`: the jobs of a workflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from cyclopts import App, Parameter

from torc_cli import job_changes, job_resets
from torc_cli.joblogs import DistantFile, JobLog, LogFile, seen_by_server
from torc_cli.jobviews import (
    NOUN,
    SORTS,
    columns,
    described,
    files_of_attempt,
)
from torc_cli.relations import with_relations
from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import FailureHandler, Job, JobId, JobStatus, Json, Query, Requirement, Result, Value
from torc_core.session import Session
from torc_terminal.given_text import statuses
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Listing, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import handler_item, requirement_item
from torc_terminal.paging import WHOLE, Paging, unsorted
from torc_terminal.selector import workflow as selected

app = App(name="jobs", help="The jobs of a workflow.")
app.command(job_changes.create)
app.command("torc_cli.explain:explain_job", name="explain", help="Say why a job does not run.")
app.command(job_changes.create_from_file)
app.command(job_changes.update)
app.command(job_changes.delete)
app.command(job_changes.delete_all)
app.command(job_changes.cancel)
app.command(job_changes.terminate)
app.command(job_resets.reset_status)
app.command(job_resets.retry)

NEEDS_SORTS = {"job_id": "id", "job_name": "name"}
"""What the list of requirements can be sorted by, as jobs call it."""

TAIL_ON_TTY = 100
"""Lines of each stream that a terminal gets when nothing is said (`observability.md` §4.5)."""


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    status: Annotated[Texts, Parameter(name=["--status", "-s"])] = (),
    upstream_job_id: int | None = None,
    name: str | None = None,
    label: str | None = None,
    include_relationships: Flag = False,
    paging: Paging = WHOLE,
    session: Given,
) -> Listing:
    """List the jobs of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    status
        Only jobs with these statuses: `failed`, `ready,blocked`.
    upstream_job_id
        Only jobs that wait for this job directly.
    name
        Only jobs whose name matches this shell pattern.
    label
        Only jobs with exactly this label.
    include_relationships
        With the ids of the jobs they wait for, and of the files and user data they read and write.
    """
    where: dict[str, Value | tuple[Value, ...]] = {}
    if chosen := statuses(status):
        where["status"] = tuple(int(one) for one in chosen)
    if label is not None:
        where["label"] = label
    wf = selected(session, workflow)
    store = session.store()
    if upstream_job_id is not None:
        where["upstream_job_id"] = upstream_job_id
    page = NOUN.found(session, paging.query(wf, where, like={"name": name}, sorts=SORTS))
    refuse_unknown(session, wf, page.total, (Job, upstream_job_id))
    listing = NOUN.listing(page)
    if session.format == "table":
        return replace(listing, columns=columns(store, wf))
    return replace(listing, items=with_relations(store, wf, page.items)) if include_relationships else listing


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show jobs: one with its latest result, its log files and what it waits for.

    Parameters
    ----------
    ids
        Ids of jobs: `7`, `7,9` or `7-9`.
    """
    wanted = NOUN.ids(ids)
    if len(wanted) > 1:
        return NOUN.shown(session, ids)
    refuse_csv(session)
    job = NOUN.fetched(session, wanted[0])
    return Record(schema="torc.jobs.get/1", data=described(session, job))


@app.command
def logs(
    id: int,
    /,
    *,
    stream: Literal["stdout", "stderr", "both"] = "both",
    tail: Annotated[int | None, Parameter(name=["--tail", "-n"])] = None,
    follow: Annotated[Flag, Parameter(name=["--follow", "-F"])] = False,
    attempt: int | None = None,
    run: int | None = None,
    path: Flag = False,
    session: Given,
) -> JobLog:
    """Print what a job wrote.

    Parameters
    ----------
    id
        Id of the job.
    stream
        Which of its two streams.
    tail
        Only so many last lines of each stream; on a terminal 100 unless told otherwise.
    follow
        Go on until the attempt has ended.
    attempt
        Of this attempt; without it of the latest.
    run
        Of this run; without it of the latest.
    path
        Only print where the files are.
    """
    refuse_csv(session)
    if tail is not None and tail < 0:
        raise UsageError(f"--tail '{tail}' is negative")
    job = NOUN.fetched(session, id)
    run_id, attempt_id, files = _attempt(session, job, run, attempt)
    chosen = [file for file in files if stream == "both" or file.stream in (stream, "combined")]
    if not path and chosen and not any(file.exists for file in chosen):
        chosen = list(seen_by_server(session.store(), job, run_id, attempt_id, chosen))
    here = any(file.exists or isinstance(file, DistantFile) for file in chosen)
    if not path and not follow and chosen and not here:
        raise NotFound(f"'{chosen[0].path}' is not there, or not visible from this host")
    if not chosen:
        session.note(f"job {id} keeps no {'output' if stream == 'both' else stream}")
    if tail is None and session.tty and session.format == "table":
        tail = TAIL_ON_TTY
    ended = _until_ended(session, job.id, run_id, attempt_id) if follow else None
    head: dict[str, Json] = {
        "job_id": job.id,
        "job_name": job.name,
        "run_id": run_id,
        "attempt_id": attempt_id,
    }
    return JobLog(head=head, files=chosen, tail=tail, paths=path, follow=ended)


@app.command
def list_resource_requirements(
    workflow: str | None = None,
    /,
    *,
    job_id: Annotated[int | None, Parameter(name=["--job-id", "-j"])] = None,
    paging: Paging = WHOLE,
    session: Given,
) -> Listing:
    """List what each job needs.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    job_id
        Only of this job.
    """
    wf = selected(session, workflow)
    store = session.store()
    query = paging.query(wf, {} if job_id is None else {"id": job_id}, sorts=NEEDS_SORTS)
    if paging.sort_by not in ("id", *NEEDS_SORTS):
        raise unsorted("job", paging.sort_by, NEEDS_SORTS)
    page = store.find(Job, query)
    refuse_unknown(session, wf, page.total, (Job, job_id))
    needs = {one.id: requirement_item(one) for one in store.find(Requirement, Query(workflow=wf)).items}
    return Listing(
        schema="torc.jobs.list-resource-requirements/1",
        noun="jobs",
        items=[{"job_id": job.id, "job_name": job.name, **needs[job.requirement_id]} for job in page.items],
        columns=(
            Column(title="Job ID", key="job_id", right=True),
            Column(title="Job", key="job_name"),
            Column(title="Requirement", key="name"),
            Column(title="CPUs", key="num_cpus", right=True),
            Column(title="GPUs", key="num_gpus", right=True),
            Column(title="Nodes", key="num_nodes", right=True),
            Column(title="Memory", key="memory", right=True),
            Column(title="Runtime", key="runtime", right=True),
        ),
        total=page.total,
        offset=page.offset,
    )


@app.command
def list_failure_handlers(
    workflow: str | None = None,
    /,
    *,
    job_id: Annotated[int | None, Parameter(name=["--job-id", "-j"])] = None,
    session: Given,
) -> Listing:
    """List the jobs that have a failure handler, with its rules.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    job_id
        Only of this job.
    """
    wf = selected(session, workflow)
    store = session.store()
    handlers = {one.id: handler_item(one) for one in store.find(FailureHandler, Query(workflow=wf)).items}
    where: dict[str, Value | tuple[Value, ...]] = {"failure_handler_id": tuple(handlers)}
    if job_id is not None:
        where["id"] = job_id
    jobs = store.find(Job, Query(workflow=wf, where=where)).items if handlers else ()
    refuse_unknown(session, wf, len(jobs), (Job, job_id))
    return Listing(
        schema="torc.jobs.list-failure-handlers/1",
        noun="jobs with a failure handler",
        items=[
            {"job_id": job.id, "job_name": job.name, **handlers[job.failure_handler_id]}
            for job in jobs
            if job.failure_handler_id is not None
        ],
        columns=(
            Column(title="Job ID", key="job_id", right=True),
            Column(title="Job", key="job_name"),
            Column(title="Handler ID", key="id", right=True),
            Column(title="Handler", key="name"),
            Column(title="Rules", key="rules"),
        ),
    )


def _attempt(
    session: Session, job: Job, run: int | None, attempt: int | None
) -> tuple[int, int, Sequence[LogFile]]:
    """The run and attempt that is meant, and its files; by default the newest one.

    Raises
    ------
    NotFound
        If there is no such attempt.
    """
    running = job.status is JobStatus.RUNNING
    if running and run in (None, job.run_id) and attempt in (None, job.attempt_id):
        key = (job.run_id, job.attempt_id)
        return *key, files_of_attempt(session, job, run_id=key[0], attempt_id=key[1], node=job.node_id)
    where: dict[str, Value | tuple[Value, ...]] = {"job_id": job.id}
    if run is not None:
        where["run_id"] = run
    if attempt is not None:
        where["attempt_id"] = attempt
    query = Query(workflow=job.workflow_id, where=where, reverse=True, limit=1)
    ended = session.store().find(Result, query).items
    if not ended:
        which = "".join(
            f" of {what} {n}" for what, n in (("run", run), ("attempt", attempt)) if n is not None
        )
        raise NotFound(f"job {job.id} '{job.name}' ({job.status.label}) has no output{which} yet")
    last = ended[0]
    files = files_of_attempt(session, job, run_id=last.run_id, attempt_id=last.attempt_id, node=last.node_id)
    return last.run_id, last.attempt_id, files


def _until_ended(session: Session, job: JobId, run_id: int, attempt_id: int) -> Callable[[], Iterator[None]]:
    """Yields twice a second while the attempt runs, and once more when it has ended."""

    def looks() -> Iterator[None]:
        while True:
            now = session.store().get(Job, job)
            session.close()  # between two looks the store belongs to others
            ended = now.status is not JobStatus.RUNNING or (now.run_id, now.attempt_id) != (
                run_id,
                attempt_id,
            )
            yield
            if ended:
                return
            time.sleep(0.5)

    return looks
