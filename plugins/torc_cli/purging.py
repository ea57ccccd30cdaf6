"""`torc workflows purge`: archived workflows become documents, and leave the store (`observability.md` §7)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torc_cli.exported_logs import with_logs
from torc_cli.transfers import read_document, write_file
from torc_core.engine.importing import parcel
from torc_core.errors import Conflict, TorcError, UsageError
from torc_core.given import Given
from torc_core.model import Event, Json, Query, Totals, Value, Workflow
from torc_core.protocols import Store
from torc_core.session import Session
from torc_terminal.given_text import moment
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Outcome, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.selector import confirm
from torc_terminal.standing import amount

ALL = 2**31
"""No limit."""


def purge(
    *,
    archived_before: str,
    export_to: Path,
    include_logs: Flag = False,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Export your archived workflows, each to a file of its own, and delete those whose file is whole.

    Parameters
    ----------
    archived_before
        Only those that were archived before this: a date, a time, or how long ago (`90d`).
    export_to
        Directory for the documents; `torc workflows import` reads them.
    include_logs
        With the output of their jobs.
    yes
        Do not ask.
    """
    refuse_csv(session)
    store, before = session.store(), moment(archived_before, session.clock.now())
    chosen = due(store, session.user(), before)
    if not chosen:
        return Outcome(
            message=f"Nothing to purge: no workflow was archived before {archived_before}",
            extra=_extra([], []),
        )
    jobs = sum(one.total for one in chosen)
    for one in chosen:
        session.note(f"{one.workflow.id} '{plain(one.workflow.name)}' with {amount(one.total, 'job')}")
    which = "1 archived workflow" if len(chosen) == 1 else f"{len(chosen)} archived workflows"
    confirm(session, f"Export {which} with {amount(jobs, 'job')} to {export_to}, and delete them here?", yes)
    try:
        export_to.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make '{export_to}': {(error.strerror or 'error').lower()}") from error
    gone: list[Json] = []
    paths: list[Json] = []
    for one in chosen:
        path = _free(export_to, one.workflow)
        try:
            _away(session, store, one, path, include_logs=include_logs)
        except TorcError as error:
            told = f"; purged before: {', '.join(str(id) for id in gone)}" if gone else ""
            error.args = (f"workflow {one.workflow.id} is not deleted: {error}{told}",)
            raise
        gone.append(one.workflow.id)
        paths.append(str(path))
    which = "1 workflow" if len(gone) == 1 else f"{len(gone)} workflows"
    return Outcome(
        message=f"Purged {which} ({amount(jobs, 'job')}), exported to {export_to}", extra=_extra(gone, paths)
    )


def due(store: Store, user: str, before: int) -> list[Totals]:
    """The archived workflows of a user that were archived before an instant, and whose jobs are all still."""
    where: dict[str, Value | Sequence[Value]] = {"user": user, "is_archived": True}
    found = store.find(Workflow, Query(where=where, limit=ALL)).items
    ids = [one.id for one in found if archived_at(store, one) < before]
    return list(store.totals(ids)) if ids else []


def archived_at(store: Store, workflow: Workflow) -> int:
    """When a workflow was archived; where its events do not tell, it was archived when it came into the store."""
    where = {"category": "workflow_archived"}
    last = store.find(Event, Query(workflow=workflow.id, where=where, reverse=True, limit=1)).items
    return last[0].timestamp if last else workflow.created_at


def _away(session: Session, store: Store, totals: Totals, path: Path, *, include_logs: bool) -> None:
    """Export, read again, delete.

    Raises
    ------
    TorcError
        If one of these fails; the workflow is there as before.
    """
    workflow = totals.workflow
    document: Mapping[str, Json] = store.export_workflow(workflow.id, results=True, events=True, compact=True)
    if include_logs:
        document = with_logs(store, workflow, document, session.config.client.run.output_dir)
    write_file(path, (json.dumps(document, ensure_ascii=False) + "\n").encode())
    _sync(path.parent)
    written = read_document(str(path))
    parcel(written, keep_status=True)
    if len(written["jobs"]) != totals.total:
        raise Conflict(f"'{path}' has {len(written['jobs'])} of its {totals.total} jobs; try again")
    if not store.get(Workflow, workflow.id).is_archived:
        raise Conflict("it has been taken out of the archive just now")
    store.delete(workflow.id)


def _free(folder: Path, workflow: Workflow) -> Path:
    """A name that no file has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", workflow.name)[:80]
    number, path = 1, folder / f"workflow_{workflow.id}_{name}.json"
    while path.exists():
        number += 1
        path = folder / f"workflow_{workflow.id}_{name}_{number}.json"
    return path


def _sync(folder: Path) -> None:
    """See that the name of a new file is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _extra(workflows: list[Json], paths: list[Json]) -> dict[str, Json]:
    return {"purged_workflows": workflows, "paths": paths}
