"""`torc workflows`: the workflows of a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from torc_cli import passes
from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import (
    AccessGroup,
    Action,
    ActionRun,
    GroupId,
    GroupLink,
    JobStatus,
    Plan,
    PlannedWorkflow,
    Query,
    Totals,
    Value,
    Workflow,
)
from torc_core.protocols import Store
from torc_terminal.given_text import json_object
from torc_terminal.noun import Noun
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Listing, Record, refuse_csv
from torc_terminal.output.cells import Column, age, shortened
from torc_terminal.output.records import Item, action_item, workflow_item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.remembered import remember
from torc_terminal.selector import found
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import state

app = App(name="workflows", help="The workflows of a store.")
app.command(passes.initialize, name=["initialize", "init"])
app.command(passes.reinitialize, name=["reinitialize", "reinit"])
app.command(passes.reset_status)
app.command(passes.archive)
app.command(passes.unarchive)
for verb in ("create", "run", "status", "cancel", "delete"):
    app.command(f"torc_cli.older:workflows_{verb}", name=verb, show=False)
app.command("torc_cli.transfers:export", name="export", help="Write a workflow as a JSON document.")
app.command("torc_cli.transfers:import_", name="import", help="Create a workflow from an exported document.")
app.command("torc_cli.purging:purge", name="purge", help="Export archived workflows, and delete them.")
for name, target, text in (
    ("sync-status", "syncing:sync_status", "Find allocations that have ended, and free or fail their jobs."),
    ("reconcile", "reconcile:reconcile", "Deliver results that runners could not tell."),
    ("correct-resources", "correcting:correct_resources", "Ask for what jobs have been seen to need."),
    ("check-resources", "correcting:check_resources", "Compare what jobs used with what they asked for."),
    ("execution-plan", "planning:execution_plan", "Show which jobs become ready when others have completed."),
    ("simulate", "planning:simulate", "Say how long a workflow takes on so many nodes, and what they cost."),
    ("graph", "graph:graph", "Draw a workflow: what waits for what."),
):
    app.command(f"torc_cli.{target}", name=name, help=text)
# NOTE: by path only, as every command: those of the plugin for Slurm.
app.command("torc_slurm.commands.older:workflows_submit", name="submit", show=False)
app.command(
    "torc_slurm.commands.create_slurm:create_slurm",
    name="create-slurm",
    help="Plan allocations for a specification, create the workflow, and submit nothing.",
)

SORTS = {"timestamp": "created_at"}

COLUMNS = (
    Column(title="ID", key="id", right=True),
    Column(title="Name", key="name"),
    Column(title="User", key="user"),
    Column(title="Project", key="project"),
    Column(title="Status", key="status"),
    Column(
        title="Jobs",
        key="jobs_total",
        right=True,
        show=lambda item: f"{item['jobs_done']}/{item['jobs_total']}",
    ),
    Column(title="Failed", key="jobs_failed", right=True),
    Column(title="Age", key="age", right=True, show=lambda item: str(item["age"])),
    Column(
        title="Description",
        key="description",
        show=lambda item: shortened(str(item["description"] or ""), 40),
    ),
)

NOUN = Noun(
    record=Workflow,
    group="workflows",
    one="workflow",
    many="workflows",
    item=workflow_item,
    columns=tuple(
        column for column in COLUMNS if column.key in ("id", "name", "user", "project", "description")
    ),
    sorts=SORTS,
)


@app.command
def new(
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    description: Annotated[str | None, Parameter(name=["--description", "-d"])] = None,
    project: str | None = None,
    metadata: str | None = None,
    session: Given,
) -> Record:
    """Create an empty workflow, to be filled with `torc jobs create`.

    Parameters
    ----------
    name
        Name of the workflow.
    description
        What it is for.
    project
        What it belongs to.
    metadata
        A JSON object, or `@FILE` with one in it.
    """
    refuse_csv(session)
    if not name:
        raise UsageError("a workflow needs a name; --name is empty")
    plan = Plan(
        workflow=PlannedWorkflow(
            name=name,
            description=description,
            project=project,
            metadata=None if metadata is None else json_object(metadata, "--metadata"),
            submission_directory=os.getcwd(),
        )
    )
    workflow = session.store().create(plan, session.user())
    remember(session.config.environ, [(workflow.id, workflow.name)])
    return NOUN.told(workflow, hint=f"add jobs: torc jobs create {workflow.id} -n NAME -c COMMAND")


@app.command(name="list")
def list_(
    *,
    user: Annotated[str | None, Parameter(name=["--user", "-u"])] = None,
    all_users: Flag = False,
    archived_only: Flag = False,
    include_archived: Flag = False,
    name: str | None = None,
    project: str | None = None,
    paging: Paging = WHOLE,
    session: Given,
) -> Listing:
    """List workflows.

    Parameters
    ----------
    user
        Of this user; without it your own.
    all_users
        Of all users.
    archived_only
        Only archived ones.
    include_archived
        Archived ones too.
    name
        Only workflows whose name matches this shell pattern.
    project
        Only workflows of this project.
    """
    if all_users and user is not None:
        raise UsageError("--user and --all-users exclude each other")
    if archived_only and include_archived:
        raise UsageError("--archived-only and --include-archived exclude each other")
    where: dict[str, Value | tuple[Value, ...]] = {}
    if not all_users:
        where["user"] = session.user() if user is None else user
    if not include_archived:
        where["is_archived"] = archived_only
    if project is not None:
        where["project"] = project
    store = session.store()
    page = NOUN.found(session, paging.query(None, where, like={"name": name}, sorts=SORTS))
    now = session.clock.now()
    table = session.format == "table"
    items = []
    for totals in store.totals([workflow.id for workflow in page.items]) if page.items else ():
        items.append(_with_state(totals) | ({"age": age(totals.workflow.created_at, now)} if table else {}))
    mine = [(one.id, one.name) for one in page.items if one.user == session.user() and not one.is_archived]
    whole = not (where.keys() - {"user", "is_archived"}) and name is None and len(page.items) == page.total
    remember(session.config.environ, reversed(mine), only=whole)
    return Listing(
        schema="torc.workflows.list/1",
        noun="workflows",
        items=items,
        columns=COLUMNS,
        total=page.total,
        offset=page.offset,
    )


@app.command
def get(*workflow: str, session: Given) -> Record | Listing:
    """Show workflows.

    Parameters
    ----------
    workflow
        Ids of workflows, or `last`.
    """
    if len(workflow) > 1:
        return NOUN.shown(session, workflow)
    refuse_csv(session)
    chosen = selected(session, workflow[0] if workflow else None)
    totals = session.store().totals([chosen])[0]
    return Record(schema="torc.workflows.get/1", data=_with_state(totals))


@app.command
def update(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    description: Annotated[str | None, Parameter(name=["--description", "-d"])] = None,
    owner_user: str | None = None,
    project: str | None = None,
    metadata: str | None = None,
    access_group: Texts = (),
    session: Given,
) -> Record:
    """Change what describes a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        New name.
    description
        New description.
    owner_user
        New owner.
    project
        New project.
    metadata
        A JSON object, or `@FILE` with one in it.
    access_group
        Name of a group whose members may use it from now on, as if they were you; may be given several times.
    """
    refuse_csv(session)
    if name == "":
        raise UsageError("a workflow needs a name; --name is empty")
    given: dict[str, object] = {
        "name": name,
        "description": description,
        "user": owner_user,
        "project": project,
        "metadata": None if metadata is None else json_object(metadata, "--metadata"),
    }
    fields = {field: value for field, value in given.items() if value is not None}
    if not fields and not access_group:
        raise UsageError("nothing to change; pass e.g. --description TEXT")
    chosen, store = found(session, workflow), session.store()
    groups = _groups(store, access_group)
    if fields:
        chosen = store.change(Workflow, chosen.id, fields)
    there = {link.group_id for link in store.find(GroupLink, Query(workflow=chosen.id)).items}
    new = [GroupLink(workflow_id=chosen.id, group_id=group) for group in groups if group not in there]
    if new:
        store.add(new)
    return NOUN.told(chosen)


@app.command
def list_actions(workflow: str | None = None, /, *, session: Given) -> Listing:
    """List what a workflow does at certain moments.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    store, wf = session.store(), selected(session, workflow)
    page = store.find(Action, Query(workflow=wf))
    run = store.get(Workflow, wf).run_id
    ended = store.find(ActionRun, Query(workflow=wf, where={"run_id": run})).items if page.items else ()
    outcome = {one.action_id: one.error or one.state.value for one in ended}
    return Listing(
        schema="torc.workflows.list-actions/1",
        noun="actions",
        items=[{**action_item(action), "outcome": outcome.get(action.id)} for action in page.items],
        columns=(
            Column(title="ID", key="id", right=True),
            Column(title="Trigger", key="trigger_type"),
            Column(title="Action", key="action_type"),
            Column(title="Config", key="action_config"),
            Column(title="Seen", key="trigger_count", right=True),
            Column(title="Needed", key="required_triggers", right=True),
            Column(title="Persistent", key="persistent"),
            Column(title="Executed", key="executed"),
            Column(title="By", key="executed_by", right=True),
            Column(title="At", key="executed_at"),
            Column(title="Outcome", key="outcome"),
        ),
        total=page.total,
    )


@app.command
def is_complete(
    workflow: str | None = None,
    /,
    *,
    check: Annotated[Flag, Parameter(name="--check")] = False,
    session: Given,
) -> Record:
    """Say whether a workflow is complete: canceled, or nothing left to do.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    check
        Leave with exit code 1 when it is not.
    """
    refuse_csv(session)
    totals = session.store().totals([selected(session, workflow)])[0]
    return Record(
        schema="torc.workflows.is-complete/1",
        data={
            "workflow_id": totals.workflow.id,
            "is_complete": totals.complete,
            "is_canceled": totals.workflow.is_canceled,
            "needs_to_run_completion_script": False,
        },
        exit_code=int(check and not totals.complete),
    )


def _groups(store: Store, names: Sequence[str]) -> list[GroupId]:
    """Groups by their names.

    Raises
    ------
    NotFound
        Naming the first that is not there.
    """
    if not names:
        return []
    ids = {
        group.name: group.id for group in store.find(AccessGroup, Query(where={"name": tuple(names)})).items
    }
    for name in names:
        if name not in ids:
            raise NotFound(f"no access group '{name}'; list them with 'torc access-groups list'")
    return [ids[name] for name in dict.fromkeys(names)]


def _with_state(totals: Totals) -> Item:
    """A workflow as JSON, with how it stands."""
    failed = sum(totals.counts.get(status, 0) for status in (JobStatus.FAILED, JobStatus.TERMINATED))
    return workflow_item(totals.workflow) | {
        "status": state(totals),
        "jobs_done": totals.done,
        "jobs_total": totals.total,
        "jobs_failed": failed,
        "is_complete": totals.complete,
    }
