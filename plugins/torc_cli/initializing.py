"""Looks at files before a workflow is initialised: what is missing, and what would be overwritten."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torc_cli.output.answer import Report
from torc_core.errors import Conflict
from torc_core.model import LIVE, File, Fingerprint, Query, Totals, UserData, Workflow, WorkflowId
from torc_core.protocols import Store
from torc_core.record import record

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
    def safe(self) -> bool:
        """Nothing is missing and nothing would be overwritten."""
        return not (self.missing_files or self.missing_data or self.existing_outputs)

    @property
    def outputs_sentence(self) -> str:
        """The outputs that exist, counted, with an example."""
        count = len(self.existing_outputs)
        verb = "file exists" if count == 1 else "files exist"
        return f"{count} output {verb} already, e.g. '{self.existing_outputs[0].path}'"

    def refuse_missing(self) -> None:
        """Object if something is missing.

        Raises
        ------
        Conflict
            Naming up to 20 of the things that are missing.
        """
        names = [f"file '{file.path}'" for file in self.missing_files]
        names += [f"user data '{datum.name}'" for datum in self.missing_data]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise Conflict(f"missing: {', '.join(names[:NAMED])}{more}; make them, or go on with --force")


def check(store: Store, workflow: WorkflowId) -> Check:
    """Look at every file that has to exist and at every one that will be written."""
    required = store.required_files(workflow)
    prints = [fingerprint(file) for file in required]
    outputs = store.find(File, Query(workflow=workflow, where={"is_output": True}, limit=2**31)).items
    return Check(
        fingerprints=prints,
        missing_files=[file for file, seen in zip(required, prints, strict=True) if seen.st_mtime is None],
        missing_data=store.missing_user_data(workflow),
        existing_outputs=[file for file in outputs if os.path.exists(file.path)],
    )


def fingerprint(file: File) -> Fingerprint:
    """What a file looks like now; relative paths are taken from the working directory."""
    try:
        seen = os.stat(file.path)
    except (OSError, ValueError):
        return Fingerprint(file=file.id, st_mtime=None, size=None)
    return Fingerprint(file=file.id, st_mtime=seen.st_mtime, size=seen.st_size)


def refuse_state(totals: Totals, *, force: bool) -> None:
    """Object if a workflow is archived, or, without force, if jobs are held by runners.

    Raises
    ------
    Conflict
        If so.
    """
    workflow = totals.workflow
    if workflow.is_archived:
        raise Conflict(f"workflow {workflow.id} '{workflow.name}' is archived; it cannot be initialized")
    live = sum(totals.counts.get(status, 0) for status in LIVE)
    if live and not force:
        held = "1 job is" if live == 1 else f"{live} jobs are"
        raise Conflict(f"{held} pending or running in workflow {workflow.id}; cancel it first")


def report(workflow: Workflow, checked: Check) -> Report:
    """What a check has found, as the answer of a dry run: exit code 1 if it is not safe."""
    verb = "can" if checked.safe else "cannot safely"
    lines = [
        *(f"missing input file '{file.name}': {file.path}" for file in checked.missing_files),
        *(f"missing user data '{datum.name}'" for datum in checked.missing_data),
        *(f"existing output file '{file.name}': {file.path}" for file in checked.existing_outputs),
        f"Workflow {workflow.id} '{workflow.name}' {verb} be initialized",
    ]
    return Report(
        schema="torc.workflows.initialize-check/1",
        data={
            "workflow_id": workflow.id,
            "safe": checked.safe,
            "missing_input_files": [file.path for file in checked.missing_files],
            "missing_input_file_count": len(checked.missing_files),
            "existing_output_files": [file.path for file in checked.existing_outputs],
            "existing_output_file_count": len(checked.existing_outputs),
            "missing_user_data": [datum.name for datum in checked.missing_data],
        },
        text="\n".join(lines),
        exit_code=0 if checked.safe else 1,
    )
