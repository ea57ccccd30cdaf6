"""`torc access-groups`: who may use whose workflows."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from torc_core.errors import NotFound
from torc_core.given import Given
from torc_core.model import AccessGroup, GroupId, GroupLink, Membership, Page, Query
from torc_core.session import Session
from torc_terminal.noun import Noun, sure
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column, instant
from torc_terminal.output.records import Item
from torc_terminal.paging import WHOLE, Paging, check_sort
from torc_terminal.selector import found
from torc_terminal.selector import workflow as selected

app = App(name="access-groups", help="Groups of users, and the workflows that they may use.")


def group_item(group: AccessGroup) -> Item:
    """A group as `AccessGroupModel`."""
    return {
        "id": group.id, "name": group.name, "description": group.description, "is_system": group.is_system,
        "created_at": instant(group.created_at),
    }  # fmt: skip


def member_item(member: Membership) -> Item:
    """A membership as `UserGroupMembershipModel`."""
    return {
        "id": member.id, "group_id": member.group_id, "user_name": member.user_name, "role": member.role,
        "created_at": instant(member.created_at),
    }  # fmt: skip


def link_item(link: GroupLink) -> Item:
    """A link as `WorkflowAccessGroupModel`."""
    return {
        "workflow_id": link.workflow_id, "group_id": link.group_id, "level": link.level,
        "created_at": instant(link.created_at),
    }  # fmt: skip


NOUN = Noun(
    record=AccessGroup,
    group="access-groups",
    one="access group",
    many="access groups",
    item=group_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Description", key="description"),
        Column(title="System", key="is_system"),
    ),
)
MEMBERS = (
    Column(title="User", key="user_name"),
    Column(title="Role", key="role"),
    Column(title="Since", key="created_at"),
)


@app.command
def create(
    name: str,
    /,
    *,
    description: Annotated[str | None, Parameter(name=["--description", "-d"])] = None,
    session: Given,
) -> Record:
    """Create a group; on a server admins only.

    Parameters
    ----------
    name
        Its name: letters, digits, `.`, `_` and `-`.
    description
        Who its members are.
    """
    refuse_csv(session)
    return NOUN.told(session.store().add([AccessGroup(name=name, description=description)])[0])


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show groups.

    Parameters
    ----------
    ids
        Ids of groups: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command(name="list")
def list_(*, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the groups that you may see: an admin all, others their own."""
    return NOUN.page(session, paging.query())


@app.command
def delete(*ids: str, yes: Yes = False, session: Given) -> Outcome:
    """Delete groups with their memberships and links; on a server admins only.

    Parameters
    ----------
    ids
        Ids of groups: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


@app.command
def add_user(
    group: int,
    user: str,
    /,
    *,
    role: Annotated[Literal["member", "admin"], Parameter(name=["--role", "-r"])] = "member",
    session: Given,
) -> Record:
    """Make a user a member of a group.

    Parameters
    ----------
    group
        Id of the group.
    user
        Name of the user.
    role
        An `admin` of the group manages its members.
    """
    refuse_csv(session)
    member = Membership(group_id=GroupId(group), user_name=user, role=role)
    added = session.store().add([member])[0]
    return Record(schema="torc.access-groups.member/1", data=member_item(added))


@app.command
def remove_user(group: int, user: str, /, *, session: Given) -> Outcome:
    """Take a user out of a group.

    Parameters
    ----------
    group
        Id of the group.
    user
        Name of the user.
    """
    refuse_csv(session)
    store = session.store()
    there = store.find(Membership, Query(where={"group_id": group, "user_name": user})).items
    if not there:
        raise NotFound(f"'{user}' is no member of access group {NOUN.fetched(session, group).id}")
    store.remove(Membership, [there[0].id])
    return Outcome(
        message=f"Removed '{user}' from access group {group}", extra={"group_id": group, "user_name": user}
    )


@app.command
def list_members(group: int, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the members of a group.

    Parameters
    ----------
    group
        Id of the group.
    """
    NOUN.fetched(session, group)
    query = paging.query(where={"group_id": group})
    check_sort(Membership, query, "torc.access-groups.list-members/1")
    page = session.store().find(Membership, query)
    return Listing(
        schema="torc.access-groups.list-members/1", noun="members", items=[member_item(one) for one in page.items],
        columns=MEMBERS, total=page.total, offset=page.offset,
    )  # fmt: skip


@app.command
def list_user_groups(user: str, /, *, session: Given) -> Listing:
    """List the groups that a user is in.

    Parameters
    ----------
    user
        Name of the user.
    """
    memberships = session.store().find(Membership, Query(where={"user_name": user})).items
    return _groups(session, [one.group_id for one in memberships])


@app.command
def add_workflow(
    workflow: str,
    group: int,
    /,
    *,
    level: Literal["full", "read"] = "full",
    yes: Yes = False,
    session: Given,
) -> Record:
    """Let a group use a workflow.

    Members of a fully linked group can change what the owner's runners execute: that is like giving them your
    account for this workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    group
        Id of the group.
    level
        `read`: members may only look.
    yes
        Do not ask.
    """
    refuse_csv(session)
    chosen, wanted = found(session, workflow), NOUN.fetched(session, group)
    if level == "full":
        sure(
            session,
            f"Members of '{wanted.name}' will be able to run any command as '{chosen.user}' through workflow"
            f" {chosen.id}. Link it?",
            yes=yes,
        )
    link = GroupLink(workflow_id=chosen.id, group_id=wanted.id, level=level)
    return Record(schema="torc.access-groups.link/1", data=link_item(session.store().add([link])[0]))


@app.command
def remove_workflow(workflow: str, group: int, /, *, session: Given) -> Outcome:
    """Let a group no longer use a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    group
        Id of the group.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    store = session.store()
    there = store.find(GroupLink, Query(workflow=wf, where={"group_id": group})).items
    if not there:
        raise NotFound(f"access group {group} is not linked to workflow {wf}")
    store.remove(GroupLink, [there[0].id])
    return Outcome(
        message=f"Unlinked access group {group} from workflow {wf}", workflow_id=wf, extra={"group_id": group}
    )


@app.command
def list_workflow_groups(workflow: str | None = None, /, *, session: Given) -> Listing:
    """List the groups that may use a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    links = session.store().find(GroupLink, Query(workflow=selected(session, workflow))).items
    return _groups(session, [one.group_id for one in links])


@app.command
def check(workflow: str, user: str, /, *, session: Given) -> Record:
    """Say whether a user may use a workflow, and by which rule.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    user
        Name of the user.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    access = session.store().access(user, wf)
    return Record(
        schema="torc.access-groups.check/1",
        data={
            "workflow_id": wf, "user_name": user, "has_access": access.level != "none", "level": access.level,
            "reason": access.reason,
        },
    )  # fmt: skip


def _groups(session: Session, ids: list[GroupId]) -> Listing:
    """Groups by their ids; those that the caller may not see are left out."""
    where = {"id": tuple(ids)}
    page = session.store().find(AccessGroup, Query(where=where)) if ids else Page(items=[], total=0)
    return NOUN.listing(page)
