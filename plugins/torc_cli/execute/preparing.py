"""Makes a workflow ready to run: refuses what cannot, looks at its files, initialises what is not."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torc_cli.output.cells import plain
from torc_core.errors import Conflict
from torc_core.model import Action, FailureHandler, File, Fingerprint, Initialize, Query, Totals, WorkflowId
from torc_core.protocols import Store
from torc_core.session import Session

NAMED = 20
"""So many missing things are named (`engine.md` §6.3)."""


def initialize(session: Session, store: Store, totals: Totals) -> None:
    """Start the first run of a workflow, or the run of jobs that were added since.

    Raises
    ------
    Conflict
        If the workflow is archived, or input files or user data are missing.
    """
    workflow = totals.workflow
    if workflow.is_archived:
        raise Conflict(f"workflow {workflow.id} is archived; it cannot be run")
    if totals.initialized:
        return
    fingerprints = look(store.required_files(workflow.id), workflow.id)
    missing = store.missing_user_data(workflow.id)
    if missing:
        names = listed([plain(record.name) for record in missing])
        raise Conflict(refusal("user data", len(missing), names, workflow.id))
    partial = workflow.run_id > 0
    store.initialize(workflow.id, Initialize(only_uninitialized=partial, fingerprints=fingerprints))


def look(files: Sequence[File], workflow: WorkflowId) -> Sequence[Fingerprint]:
    """What files look like from here.

    Raises
    ------
    Conflict
        If some are missing.
    """
    fingerprints, missing = [], []
    for file in files:
        try:
            seen = os.stat(file.path)
        except (OSError, ValueError):
            missing.append(file)
            continue
        fingerprints.append(Fingerprint(file=file.id, st_mtime=seen.st_mtime, size=seen.st_size))
    if missing:
        names = listed([f"{plain(file.name)} ({plain(file.path)})" for file in missing])
        raise Conflict(refusal("input files", len(missing), names, workflow))
    return fingerprints


def refusal(what: str, count: int, names: str, workflow: WorkflowId) -> str:
    """Why a workflow cannot start, and how it can nevertheless."""
    return (
        f"{count} required {what} of workflow {workflow} {'is' if count == 1 else 'are'} missing: {names}; provide "
        f"them, or start without: torc workflows initialize {workflow} --force, then torc run {workflow}"
    )


def listed(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def later(store: Store, workflow: WorkflowId) -> str | None:
    """A sentence about what the workflow declares and this version stores but does not execute; None: nothing."""
    parts = []
    actions = store.find(Action, Query(workflow=workflow, limit=NAMED))
    if actions.total:
        kinds = sorted({f"{action.action_type} ({action.trigger_type})" for action in actions.items})
        parts.append(f"{actions.total} action{'' if actions.total == 1 else 's'}: {', '.join(kinds)}")
    handlers = store.find(FailureHandler, Query(workflow=workflow, limit=NAMED))
    if handlers.total:
        names = listed([f"'{plain(handler.name)}'" for handler in handlers.items])
        parts.append(f"{handlers.total} failure handler{'' if handlers.total == 1 else 's'}: {names}")
    if not parts:
        return None
    return f"this version does not execute {' and '.join(parts)}; the jobs run as if they were not there"
