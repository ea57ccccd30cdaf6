"""Makes a workflow ready to run: refuses what cannot, looks at its files, initialises what is not."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.engine.resets import check_open
from torc_core.errors import Conflict
from torc_core.model import Initialize, Totals, Workflow
from torc_core.protocols import Store
from torc_core.session import Session
from torc_terminal.initializing import check
from torc_terminal.output.cells import plain

NAMED = 20
"""So many missing things are named (`engine.md` §6.3)."""


def refuse_archived(totals: Totals) -> None:
    """Leave archived workflows alone.

    Raises
    ------
    WrongState
        If it is archived.
    """
    check_open(totals.workflow.id, totals.workflow.is_archived, "run")


def refuse_closed(workflow: Workflow, verb: str) -> None:
    """Leave archived and canceled workflows alone.

    Raises
    ------
    WrongState, Conflict
        Naming what helps.
    """
    check_open(workflow.id, workflow.is_archived, verb)
    if workflow.is_canceled:
        raise Conflict(
            f"workflow {workflow.id} is canceled; to let it run: torc workflows reset-status {workflow.id}"
        )


def initialize(session: Session, store: Store, totals: Totals) -> None:
    """Start the first run of a workflow, or the run of jobs that were added since.

    Raises
    ------
    Conflict
        If input files or user data are missing.
    """
    workflow = totals.workflow
    if totals.initialized or workflow.is_canceled:
        return
    seen = check(store, workflow)
    missing = [f"file '{plain(file.path)}'" for file in seen.missing_files]
    missing += [f"user data '{plain(record.name)}'" for record in seen.missing_data]
    if missing:
        raise Conflict(
            f"workflow {workflow.id} needs what is missing: {listed(missing)}; provide it, or start without: "
            f"torc workflows initialize {workflow.id} --force, then torc run {workflow.id}"
        )
    if seen.existing_outputs:
        session.warn(seen.outputs_sentence)
    partial = workflow.run_id > 0
    how = Initialize(only_uninitialized=partial, if_needed=True, fingerprints=seen.fingerprints)
    store.initialize(workflow.id, how)


def listed(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
