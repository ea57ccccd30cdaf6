"""The commands of `torc workflows` that begin runs, set jobs back and put workflows away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from torc_cli.doubts import warn_of_doubts
from torc_core.errors import Conflict, TorcError, UsageError
from torc_core.given import Given
from torc_core.model import (
    Fingerprint,
    Initialize,
    JobStatus,
    Json,
    Operation,
    OperationStatus,
    Query,
    Reset,
    Result,
    Workflow,
)
from torc_core.protocols import Embedded
from torc_core.session import Session
from torc_terminal.initializing import (
    existing_sentence,
    jobs_again,
    prints,
    refuse_missing,
    refuse_state,
    report,
)
from torc_terminal.noun import sure
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Outcome, Report, refuse_csv
from torc_terminal.selector import found, workflows
from torc_terminal.standing import amount, by_status

LOOK_SECONDS = 0.2
TIMED_OUT = 124

Async = Annotated[bool, Parameter(name="--async", negative=(), show_default=False)]


def initialize(
    workflow: str | None = None,
    /,
    *,
    force: Flag = False,
    yes: Yes = False,
    dry_run: Flag = False,
    content_hash: Flag = False,
    async_: Async = False,
    wait_timeout: float | None = None,
    session: Given,
) -> Outcome | Report:
    """Begin anew: all jobs are set back, and become ready, or blocked until others have ended.

    Refused while input files or user data are missing, or somebody works on it.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    force
        Go on although inputs are missing or jobs run; those are stopped first.
    yes
        Do not ask, although there are results already.
    dry_run
        Only look whether all inputs are there; exit code 1 if not, or if outputs would be overwritten.
    content_hash
        Remember the content of input files, too, so that a new time alone is no change.
    async_
        Do not wait until it is done.
    wait_timeout
        Wait at most so many seconds.
    """
    refuse_csv(session)
    chosen = found(session, workflow)
    store = session.store()
    seen = prints(store, chosen, content=content_hash)
    inputs = store.inspect(chosen.id, seen)
    if dry_run:
        return report(chosen, inputs)
    refuse_state(store.totals([chosen.id])[0], "initialized", force=force)
    if not force:
        refuse_missing(inputs)
    results = store.find(Result, Query(workflow=chosen.id, where={"current": True}, limit=1)).total
    if results:
        sure(
            session, f"Initialize workflow {chosen.id} although it has {amount(results, 'result')}?", yes=yes
        )
    if inputs.existing_outputs:
        session.warn(f"{existing_sentence(inputs.existing_outputs)}; jobs that run will overwrite them")
    required = {file.id for file in session.store().required_files(chosen.id)}
    how = Initialize(force=force, fingerprints=[one for one in seen if one.file in required])
    if force:
        warn_of_doubts(session, chosen.id)
    if async_ or wait_timeout is not None:
        return _operation(session, chosen, "initialize", how, None if async_ else wait_timeout)
    progress = session.store().renew(chosen.id, how).progress
    assert progress is not None
    return _begun(session, chosen, progress.run_id, progress.moved, verb="Initialized")


def reinitialize(
    workflow: str | None = None,
    /,
    *,
    force: Flag = False,
    dry_run: Flag = False,
    content_hash: Flag = False,
    async_: Async = False,
    wait_timeout: float | None = None,
    session: Given,
) -> Outcome | Report:
    """Run again what has changed: jobs whose inputs or commands are others than before, and all that waits for them.

    Jobs that failed are left alone; see `torc workflows reset-status --failed-only`.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    force
        Go on although inputs are missing or jobs run.
    dry_run
        Only say which jobs would run again, and why.
    content_hash
        A file with the same content has not changed, whatever its time; its content must have been remembered before.
    async_
        Do not wait until it is done.
    wait_timeout
        Wait at most so many seconds.
    """
    refuse_csv(session)
    chosen = found(session, workflow)
    store = session.store()
    refuse_state(store.totals([chosen.id])[0], "reinitialized", force=True)
    how = Initialize(force=force, fingerprints=prints(store, chosen, content=content_hash))
    if dry_run:
        tried = store.reinitialize(chosen.id, how, dry_run=True)
        return report(chosen, tried.inputs, tried.changed)
    if async_ or wait_timeout is not None:
        return _operation(session, chosen, "reinitialize", how, None if async_ else wait_timeout)
    done = store.reinitialize(chosen.id, how)
    assert done.progress is not None
    if chosen.is_canceled:
        session.warn(
            f"workflow {chosen.id} is canceled; to let it run: torc workflows reset-status {chosen.id}"
        )
    return _begun(
        session, chosen, done.progress.run_id, done.progress.moved, verb="Reinitialized",
        reinitialized_jobs=jobs_again(done.changed),
    )  # fmt: skip


def reset_status(
    workflow: str | None = None,
    /,
    *,
    failed_only: Flag = False,
    reinitialize: Annotated[Flag, Parameter(name=["--reinitialize", "-r"])] = False,
    force: Flag = False,
    yes: Yes = False,
    dry_run: Flag = False,
    session: Given,
) -> Report:
    """Set a workflow back: it is canceled no longer, and its jobs, or those that failed, are uninitialized.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    failed_only
        Only jobs that failed, were canceled or terminated, and all that waits for them.
    reinitialize
        And begin a new run of them.
    force
        Also while jobs run; they are stopped first.
    yes
        Do not ask.
    dry_run
        Only say what would be done.
    """
    refuse_csv(session)
    chosen = found(session, workflow)
    refuse_state(session.store().totals([chosen.id])[0], "reset", force=force)
    which = "failed jobs, and what waits for them," if failed_only else "all jobs"
    steps: dict[str, Callable[[], str]] = {
        "workflow_reset": lambda: _workflow_reset(session, chosen, force),
        "job_reset": lambda: _job_reset(session, chosen, failed_only, force),
    }
    if reinitialize:
        steps["reinitialize"] = lambda: _again(session, chosen, force)
    if dry_run:
        messages = [f"would clear the cancel flag of workflow {chosen.id}", f"would reset {which}"]
        messages += ["would reinitialize it"] if reinitialize else []
        return _reset_report(dict.fromkeys(steps, "planned"), failed_only, messages, [])
    sure(session, f"Reset {which} of workflow {chosen.id}?", yes=yes)
    if force:
        warn_of_doubts(session, chosen.id)
    done = dict.fromkeys(steps, "skipped")
    messages, errors = [], []
    for name, step in steps.items():
        try:
            messages.append(step())
            done[name] = "success"
        except TorcError as error:
            if not messages:
                raise
            done[name] = "failed"
            errors.append(str(error))
            break
    return _reset_report(done, failed_only, messages, errors)


def archive(*words: str, session: Given) -> Outcome:
    """Put workflows away: they are hidden from lists, and are neither run nor set back.

    Parameters
    ----------
    words
        Ids of workflows, ranges such as `10-20`, or `last`; a leading `false` takes them out again.
    """
    archived = words[:1] != ("false",)
    return _archived(session, words[1:] if words[:1] in (("true",), ("false",)) else words, archived)


def unarchive(*workflow: str, session: Given) -> Outcome:
    """Take workflows out of the archive.

    Parameters
    ----------
    workflow
        Ids of workflows, ranges such as `10-20`, or `last`.
    """
    return _archived(session, workflow, False)


def _archived(session: Session, words: Sequence[str], archived: bool) -> Outcome:
    refuse_csv(session)
    chosen = workflows(session, words)
    done: list[Json] = []
    errors: list[Json] = []
    for number in chosen:
        try:
            session.store().archive(number, archived)
            done.append(number)
        except TorcError as error:
            if len(chosen) == 1:
                raise
            errors.append(str(error))
            session.warn(str(error))
    verb = "Archived" if archived else "Unarchived"
    return Outcome(
        message=f"{verb}: {amount(len(done), 'workflow')}",
        workflow_id=chosen[0] if len(chosen) == 1 else None,
        extra={"ids": done, "is_archived": archived, "errors": errors},
        status="partial_success" if errors else "success",
        exit_code=1 if errors else 0,
    )


def _workflow_reset(session: Session, workflow: Workflow, force: bool) -> str:
    session.store().reset_workflow(workflow.id, force=force)
    return (
        f"workflow {workflow.id} is canceled no longer"
        if workflow.is_canceled
        else f"workflow {workflow.id} was not canceled"
    )


def _job_reset(session: Session, workflow: Workflow, failed_only: bool, force: bool) -> str:
    progress = session.store().reset(workflow.id, Reset(failed_only=failed_only, force=force))
    return f"{amount(progress.moved.get('uninitialized', 0), 'job')} reset"


def _again(session: Session, workflow: Workflow, force: bool) -> str:
    store = session.store()
    seen = prints(store, workflow, content=False)
    done = store.reinitialize(workflow.id, Initialize(force=force, fingerprints=seen))
    assert done.progress is not None
    ready = store.totals([workflow.id])[0].counts.get(JobStatus.READY, 0)
    return f"run {done.progress.run_id} has begun, {amount(ready, 'job')} ready"


def _reset_report(
    operations: Mapping[str, str], failed_only: bool, messages: Sequence[str], errors: Sequence[str]
) -> Report:
    """What a reset did, step by step."""
    return Report(
        schema="torc.workflows.reset-status/1",
        data={
            "status": "partial_success" if errors else "success",
            "operations": {
                name: operations.get(name) for name in ("workflow_reset", "job_reset", "reinitialize")
            },
            "failed_only": failed_only,
            "messages": list(messages),
            "errors": list(errors),
        },
        text="\n".join([*messages, *(f"error: {error}" for error in errors)]),
        exit_code=1 if errors else 0,
    )


def _begun(
    session: Session, workflow: Workflow, run_id: int, moved: Mapping[str, int], *, verb: str, **more: Json
) -> Outcome:
    if workflow.enable_ro_crate:
        from torc_core.runner.provenance import Recorder

        Recorder(session.store(), workflow, os.getcwd()).inputs()
    counts = session.store().totals([workflow.id])[0]
    ready = f"{amount(counts.counts.get(JobStatus.READY, 0), 'job')} ready"
    return Outcome(
        message=f"{verb} workflow {workflow.id} '{workflow.name}': run {run_id}, {ready}",
        workflow_id=workflow.id,
        extra={"run_id": run_id, "moved": dict(moved), "jobs_by_status": dict(by_status(counts)), **more},
        hint=None if counts.workflow.is_canceled else f"run it: torc run {workflow.id}",
    )


def _operation(
    session: Session, workflow: Workflow, name: str, how: Initialize, timeout: float | None
) -> Outcome:
    """Let the store do it by itself, and wait for it as long as the user wants; None: not at all."""
    if timeout is not None and timeout < 0:
        raise UsageError(f"--wait-timeout '{timeout:g}' is negative; give seconds")
    store = session.store()
    options: dict[str, Json] = {
        "force": how.force, "fingerprints": [_plain(one) for one in how.fingerprints],
    }  # fmt: skip
    operation, _ = store.begin(workflow.id, name, options)
    if isinstance(store, Embedded):
        # Nobody else would do it.
        operation = store.carry_out(operation.id)
    until = session.clock.monotonic() + (timeout or 0)
    over = (OperationStatus.SUCCEEDED, OperationStatus.FAILED)
    while operation.status not in over and session.clock.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        operation = store.get(Operation, operation.id)
    if operation.status is OperationStatus.FAILED:
        raise Conflict(f"task {operation.id} ({name}) has failed: {operation.error}")
    waits = timeout is not None and operation.status not in over
    return Outcome(
        message=f"Task {operation.id} ({name}) of workflow {workflow.id}: {operation.status.value}",
        workflow_id=workflow.id,
        extra={"task_id": operation.id, "operation": name, "task_status": operation.status.value},
        hint=None if operation.status in over else f"wait for it: torc tasks wait {operation.id}",
        exit_code=TIMED_OUT if waits else 0,
    )


def _plain(seen: Fingerprint) -> dict[str, Json]:
    return asdict(seen)
