"""`torc user-data`: the JSON values that jobs read and write."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Job, JobId, Query, UserData, Value, WorkflowId
from torc_core.protocols import Store
from torc_terminal.given_text import Truth, json_value, truth
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.noun import Noun, sure
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column, cell, shortened
from torc_terminal.output.records import user_data_item
from torc_terminal.paging import SHORT, ShortPaging
from torc_terminal.selector import workflow as selected

app = App(name="user-data", help="The JSON values that jobs read and write.")

NOUN = Noun(
    record=UserData,
    group="user-data",
    one="user data record",
    many="user data records",
    item=user_data_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Ephemeral", key="is_ephemeral"),
        Column(title="Data", key="data", show=lambda item: shortened(cell(item.get("data")), 60)),
    ),
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    data: Annotated[str | None, Parameter(name=["--data", "-d"], allow_leading_hyphen=True)] = None,
    ephemeral: Flag = False,
    consumer_job_id: int | None = None,
    producer_job_id: int | None = None,
    session: Given,
) -> Record:
    """Add a value to a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name by which jobs refer to it.
    data
        The value: JSON, `@FILE` with JSON in it, or `-` for standard input; without it there is none yet.
    ephemeral
        Goes back to this value whenever the workflow is initialised.
    consumer_job_id
        A job that reads it, from the next run on.
    producer_job_id
        A job that writes it, from the next run on.
    """
    refuse_csv(session)
    if not name or name.startswith("__torc_"):
        raise UsageError(
            f"user data cannot be called '{name}'; names are not empty and __torc_… is torc's own"
        )
    value = None if data is None else json_value(data, "--data")
    wf = selected(session, workflow)
    store = session.store()
    for job in (consumer_job_id, producer_job_id):
        if job is not None:
            _check_job(store, wf, job)
    datum = UserData(workflow_id=wf, name=name, data=value, has_data=data is not None, is_ephemeral=ephemeral)
    consumer = None if consumer_job_id is None else JobId(consumer_job_id)
    producer = None if producer_job_id is None else JobId(producer_job_id)
    return NOUN.told(store.add_user_data(datum, consumer=consumer, producer=producer))


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    name: str | None = None,
    is_ephemeral: Truth | None = None,
    consumer_job_id: int | None = None,
    producer_job_id: int | None = None,
    paging: ShortPaging = SHORT,
    session: Given,
) -> Listing:
    """List the values of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Only values whose name matches this shell pattern.
    is_ephemeral
        Only ephemeral ones, or only the others.
    consumer_job_id
        Only values that this job reads.
    producer_job_id
        Only values that this job writes.
    """
    wf = selected(session, workflow)
    where: dict[str, Value | tuple[Value, ...]] = {}
    if is_ephemeral is not None:
        where["is_ephemeral"] = truth(is_ephemeral)
    for role, job in (("consumer_job_id", consumer_job_id), ("producer_job_id", producer_job_id)):
        if job is not None:
            where[role] = job
    listing = NOUN.page(session, paging.query(wf, where, like={"name": name}))
    refuse_unknown(session, wf, listing.total, (Job, consumer_job_id), (Job, producer_job_id))
    return listing


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show values.

    Parameters
    ----------
    ids
        Ids of user data records: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def update(
    id: int,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    data: Annotated[str | None, Parameter(name=["--data", "-d"], allow_leading_hyphen=True)] = None,
    ephemeral: Truth | None = None,
    session: Given,
) -> Record:
    """Change a value.

    Parameters
    ----------
    id
        Id of the user data record.
    name
        New name.
    data
        New value: JSON, `@FILE` with JSON in it, or `-` for standard input.
    ephemeral
        Whether it goes back to its first value whenever the workflow is initialised.
    """
    refuse_csv(session)
    fields: dict[str, object] = {}
    if name is not None:
        fields["name"] = name
    if data is not None:
        fields |= {"data": json_value(data, "--data"), "has_data": True}
    if ephemeral is not None:
        fields["is_ephemeral"] = truth(ephemeral)
    if not fields:
        raise UsageError("nothing to change; pass --name, --data or --ephemeral")
    return NOUN.told(session.store().change(UserData, id, fields))


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete values.

    Parameters
    ----------
    ids
        Ids of user data records: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


@app.command
def delete_all(
    workflow: str | None = None,
    /,
    *,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete all values of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    yes
        Do not ask.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    found = session.store().find(UserData, Query(workflow=wf)).items
    sure(session, f"Delete {NOUN.counted(len(found))} of workflow {wf}?", yes=yes)
    count = session.store().remove(UserData, [datum.id for datum in found]) if found else 0
    return Outcome(message=f"Deleted {NOUN.counted(count)}", workflow_id=wf, extra={"count": count})


@app.command
def list_missing(workflow: str | None = None, /, *, session: Given) -> Listing:
    """List the values that a job reads, no job writes, and that are not there.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    missing = session.store().missing_user_data(selected(session, workflow))
    return Listing(
        schema="torc.user-data.list-missing/1",
        noun="missing user data records",
        items=[user_data_item(datum) for datum in missing],
        columns=NOUN.columns[:3],
    )


def _check_job(store: Store, workflow: WorkflowId, number: int) -> None:
    """Refuse a job of another workflow.

    Raises
    ------
    UsageError
        Naming both.
    """
    job = store.get(Job, number)
    if job.workflow_id != workflow:
        raise UsageError(f"job {number} belongs to workflow {job.workflow_id}, not to {workflow}")
