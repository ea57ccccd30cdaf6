"""`torc files`: the files that jobs read and write."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import File, Job, Value
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.noun import Noun
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import file_item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import workflow as selected

app = App(name="files", help="The files that jobs read and write.")

NOUN = Noun(
    record=File,
    group="files",
    one="file",
    many="files",
    item=file_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Path", key="path"),
        Column(title="Size", key="size", right=True),
        Column(title="Modified", key="st_mtime", show=lambda item: _modified(item.get("st_mtime"))),
    ),
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    path: Annotated[str, Parameter(name=["--path", "-p"])],
    session: Given,
) -> Record:
    """Add a file to a workflow; nothing on disk is touched.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name by which jobs refer to it.
    path
        Where it is, or will be.
    """
    refuse_csv(session)
    if not name or not path:
        raise UsageError("a file needs a name and a path; one of them is empty")
    wf = selected(session, workflow)
    return NOUN.told(session.store().add([File(workflow_id=wf, name=name, path=path)])[0])


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    produced_by_job_id: int | None = None,
    name: str | None = None,
    path: str | None = None,
    is_output: Annotated[bool | None, Parameter(negative="--no-is-output")] = None,
    paging: Paging = WHOLE,
    session: Given,
) -> Listing:
    """List the files of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    produced_by_job_id
        Only files that this job writes.
    name
        Only files with exactly this name.
    path
        Only files with exactly this path.
    is_output
        Only files that some job writes, or that none writes.
    """
    wf = selected(session, workflow)
    where: dict[str, Value | tuple[Value, ...]] = {}
    if name is not None:
        where["name"] = name
    if path is not None:
        where["path"] = path
    if is_output is not None:
        where["is_output"] = is_output
    if produced_by_job_id is not None:
        where["produced_by_job_id"] = produced_by_job_id
    listing = NOUN.page(session, paging.query(wf, where))
    refuse_unknown(session, wf, listing.total, (Job, produced_by_job_id))
    return listing


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show files.

    Parameters
    ----------
    ids
        Ids of files: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def update(
    id: int,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    path: Annotated[str | None, Parameter(name=["--path", "-p"])] = None,
    session: Given,
) -> Record:
    """Change a file.

    Parameters
    ----------
    id
        Id of the file.
    name
        New name.
    path
        New path.
    """
    refuse_csv(session)
    fields = {key: value for key, value in (("name", name), ("path", path)) if value is not None}
    if not fields:
        raise UsageError("nothing to change; pass --name or --path")
    return NOUN.told(session.store().change(File, id, fields))


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete files from their workflow; the files on disk stay.

    Parameters
    ----------
    ids
        Ids of files: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


@app.command
def list_required_existing(workflow: str | None = None, /, *, session: Given) -> Listing:
    """List the files that have to exist: read by a job and written by none, and outputs of completed jobs.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    wf = selected(session, workflow)
    files = session.store().required_files(wf)
    return Listing(
        schema="torc.files.list-required-existing/1",
        noun="required files",
        items=[file_item(file) | {"exists": os.path.exists(file.path)} for file in files],
        columns=(*NOUN.columns[:3], Column(title="Exists", key="exists")),
    )


def _modified(seconds: object) -> str:
    """Seconds since 1970 as a local time."""
    if not isinstance(seconds, (int, float)):
        return ""
    from datetime import datetime

    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"
