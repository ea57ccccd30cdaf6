"""Looks at files before a workflow is initialised: what is missing, and what would be overwritten."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence

from torc_core.engine.change import SETTING
from torc_core.engine.resets import check_open
from torc_core.errors import Conflict
from torc_core.model import (
    LIVE,
    ChangedJob,
    File,
    Fingerprint,
    Inputs,
    Json,
    Query,
    Totals,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.record import record
from torc_terminal.output.answer import Report

NAMED = 20
"""Missing things that a refusal names (`engine.md` §6.3)."""


@record(frozen=True, slots=True, kw_only=True)
class Check:
    """What the inputs and outputs of a workflow look like from here.

    Parameters
    ----------
    fingerprints
        Of every required file, for the store.
    existing_outputs
        Files that a job will write and that are there already.
    """

    fingerprints: Sequence[Fingerprint]
    missing_files: Sequence[File]
    missing_data: Sequence[UserData]
    existing_outputs: Sequence[File]

    @property
    def outputs_sentence(self) -> str:
        """The outputs that exist, counted, with an example."""
        return existing_sentence(self.existing_outputs)


def check(store: Store, workflow: Workflow) -> Check:
    """Look at every file that has to exist and at every one that will be written."""
    required = store.required_files(workflow.id)
    prints = [fingerprint(file, content=wants_content(workflow)) for file in required]
    return Check(
        fingerprints=prints,
        missing_files=[file for file, seen in zip(required, prints, strict=True) if seen.st_mtime is None],
        missing_data=store.inspect(workflow.id, ()).missing_user_data,
        existing_outputs=[file for file in outputs(store, workflow.id) if os.path.exists(file.path)],
    )


def outputs(store: Store, workflow: WorkflowId) -> Sequence[File]:
    """Every file that a job writes."""
    return store.find(File, Query(workflow=workflow, where={"is_output": True}, limit=2**31)).items


def wants_content(workflow: Workflow) -> bool:
    """Whether the workflow asks for the content of files to be compared (`engine.md` §6.4)."""
    return bool((workflow.metadata or {}).get(SETTING))


def prints(store: Store, workflow: Workflow, *, content: bool) -> list[Fingerprint]:
    """What every file that has to be there, and every one that a job writes, looks like now."""
    files = {file.id: file for file in (*store.required_files(workflow.id), *outputs(store, workflow.id))}
    content = content or wants_content(workflow)
    return [fingerprint(file, content=content) for file in files.values()]


def fingerprint(file: File, *, content: bool = False) -> Fingerprint:
    """What a file looks like now; relative paths are taken from the working directory."""
    try:
        seen = os.stat(file.path)
        digest = _digest(file.path) if content and stat.S_ISREG(seen.st_mode) else None
    except (OSError, ValueError):
        return Fingerprint(file=file.id, st_mtime=None, size=None)
    return Fingerprint(file=file.id, st_mtime=seen.st_mtime, size=seen.st_size, content_hash=digest)


def _digest(path: str) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def refuse_state(totals: Totals, verb: str, *, force: bool) -> None:
    """Object if a workflow is archived, or, without force, if jobs are held by runners.

    Raises
    ------
    WrongState, Conflict
        If so.
    """
    workflow = totals.workflow
    check_open(workflow.id, workflow.is_archived, verb)
    live = sum(totals.counts.get(status, 0) for status in LIVE)
    if live and not force:
        held = "1 job is" if live == 1 else f"{live} jobs are"
        raise Conflict(
            f"{held} pending or running in workflow {workflow.id}; cancel it first: torc cancel {workflow.id}, or go on"
            " with --force"
        )


def refuse_missing(inputs: Inputs) -> None:
    """Object if something is missing.

    Raises
    ------
    Conflict
        Naming up to 20 of the things that are missing.
    """
    names = [f"file '{file.path}'" for file in inputs.missing_files]
    names += [f"user data '{datum.name}'" for datum in inputs.missing_user_data]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise Conflict(f"missing: {', '.join(names[:NAMED])}{more}; make them, or go on with --force")


def existing_sentence(files: Sequence[File]) -> str:
    """Outputs that exist, counted, with an example."""
    verb = "file exists" if len(files) == 1 else "files exist"
    return f"{len(files)} output {verb} already, e.g. '{files[0].path}'"


def report(workflow: Workflow, inputs: Inputs, changed: Sequence[ChangedJob] | None = None) -> Report:
    """What was found, as the answer of a dry run: exit code 1 if it is not safe.

    `changed`: what a reinitialisation would set back; None: this is an initialisation.
    """
    again = changed is not None
    # A reinitialisation is there to overwrite outputs.
    safe = inputs.safe or (again and not (inputs.missing_files or inputs.missing_user_data))
    verb = "can" if safe else "cannot safely"
    lines = [
        *(f"missing input file '{file.name}': {file.path}" for file in inputs.missing_files),
        *(f"missing user data '{datum.name}'" for datum in inputs.missing_user_data),
        *(f"existing output file '{file.name}': {file.path}" for file in inputs.existing_outputs),
        *(f"job {job.id} '{job.name}' runs again: {job.reason}" for job in changed or ()),
        f"Workflow {workflow.id} '{workflow.name}' {verb} be {'re' if again else ''}initialized",
    ]
    return Report(
        schema=f"torc.workflows.{'reinitialize' if again else 'initialize'}-check/1",
        data={
            "workflow_id": workflow.id,
            "safe": safe,
            "missing_input_files": [file.path for file in inputs.missing_files],
            "missing_input_file_count": len(inputs.missing_files),
            "existing_output_files": [file.path for file in inputs.existing_outputs],
            "existing_output_file_count": len(inputs.existing_outputs),
            "missing_user_data": [datum.name for datum in inputs.missing_user_data],
            **({} if changed is None else {"reinitialized_jobs": jobs_again(changed)}),
        },
        text="\n".join(lines),
        exit_code=0 if safe else 1,
    )


def jobs_again(changed: Sequence[ChangedJob]) -> list[Json]:
    """Jobs that run again, each with the reason, as JSON."""
    return [{"id": job.id, "name": job.name, "reason": job.reason} for job in changed]
