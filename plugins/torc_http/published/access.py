"""Groups, memberships, links, and who may use what (`wire.md` §3.19)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.errors import Conflict, Forbidden, Invalid, NotFound
from torc_core.model import (
    AccessGroup,
    GroupId,
    GroupLink,
    Membership,
    Page,
    Query,
    Value,
    Workflow,
    WorkflowId,
)
from torc_http.call import Call
from torc_http.published.nouns import there
from torc_http.routes import Route
from torc_http.wire.access import AccessAnswer, AccessGroupModel, GroupLinkModel, MembershipModel, Reloaded
from torc_http.wire.lists import Paging, limit_of, listing, page_of
from torc_http.wire.plans import writer

SYSTEM = "admin"
"""The group that the configuration fills."""

LISTING = listing(AccessGroupModel)
MEMBERS = listing(MembershipModel)


def create(call: Call) -> object:
    """Make a group."""
    name = call.body["name"]
    if name == SYSTEM:
        raise Conflict(f"group '{SYSTEM}' is filled from the server's configuration; choose another name")
    group = AccessGroup(name=name, description=call.body.get("description"))
    added = call.store.add([group])[0]
    return writer(AccessGroupModel)(added)


def list_(call: Call) -> object:
    """A page of the groups that the caller may see."""
    where: dict[str, Value | Sequence[Value]] = {}
    if not call.principal.is_admin:
        where["id"] = tuple(_groups_of(call, call.principal.name))
    return _groups(call, where)


def _groups(call: Call, where: dict[str, Value | Sequence[Value]]) -> object:
    if where.get("id") == ():
        return page_of(Page(items=[], total=0), [], call.query)
    query = Query(where=where, offset=call.query["offset"], limit=limit_of(call.query))
    found = call.store.find(AccessGroup, query)
    return page_of(found, [writer(AccessGroupModel)(one) for one in found.items], call.query)


def _groups_of(call: Call, user: str) -> list[GroupId]:
    return [one.group_id for one in call.store.find(Membership, Query(where={"user_name": user})).items]


def get(call: Call) -> object:
    """One group."""
    return writer(AccessGroupModel)(_visible(call, call.id))


def _visible(call: Call, id: int) -> AccessGroup:
    if not call.principal.is_admin and id not in _groups_of(call, call.principal.name):
        raise NotFound(f"no access group {id}")
    return call.store.get(AccessGroup, id)


def remove(call: Call) -> object:
    """Remove a group with its memberships and links."""
    with call.together():
        group = call.store.get(AccessGroup, call.id)
        _ordinary(group)
        call.store.remove(AccessGroup, [call.id])
    return writer(AccessGroupModel)(group)


def _ordinary(group: AccessGroup) -> None:
    if group.is_system:
        raise Forbidden(f"group '{group.name}' is filled from the server's configuration; change it there")


def reload_auth(call: Call) -> object:
    """Read the password file again."""
    count = call.service.gate.reload()
    call.audit("htpasswd_reload", "password file", detail=f"{count} users")
    return {"message": f"the password file was read again; it has {count} users", "user_count": count}


def check(call: Call) -> object:
    """Say whether a user may use a workflow, and by which rule."""
    workflow, user = call.ids["workflow_id"], call.ids["user_name"]
    found = call.store.get(Workflow, workflow)
    me = call.principal
    if user != me.name and not me.is_admin and found.user != me.name:
        raise Forbidden(f"only the owner of workflow {workflow} and admins may ask about '{user}'")
    if not call.service.gate.enforced:
        answer = (True, "access control is off")
    else:
        access = call.service.store.access(user, WorkflowId(workflow))
        answer = (access.level != "none", access.reason)
    return {"has_access": answer[0], "reason": answer[1], "user_name": user, "workflow_id": workflow}


def add_member(call: Call) -> object:
    """Make a user a member of a group."""
    body = call.body
    _managed(call)
    role = body["role"] or "member"
    if role not in ("member", "admin"):
        raise Invalid(f"role: '{role}' is not one of member, admin", details={"field": "role", "value": role})
    group_id = GroupId(call.id)
    with call.together():
        _ordinary(call.store.get(AccessGroup, call.id))
        if _member(call, body["user_name"]):
            raise Conflict(f"'{body['user_name']}' is a member of group {call.id} already")
        added = call.store.add([Membership(group_id=group_id, user_name=body["user_name"], role=role)])[0]
    return writer(MembershipModel)(added)


def _managed(call: Call) -> None:
    """Refuse who may not manage the members of the group of the path."""
    if call.principal.is_admin:
        return
    mine = _member(call, call.principal.name)
    if mine is None:
        raise NotFound(f"no access group {call.id}")
    if mine.role != "admin":
        raise Forbidden(f"only admins of group {call.id} may change its members")


def _member(call: Call, user: str) -> Membership | None:
    query = Query(where={"group_id": call.id, "user_name": user})
    return next(iter(call.store.find(Membership, query).items), None)


def members(call: Call) -> object:
    """A page of the members of a group."""
    _visible(call, call.id)
    query = Query(where={"group_id": call.id}, offset=call.query["offset"], limit=limit_of(call.query))
    found = call.store.find(Membership, query)
    return page_of(found, [writer(MembershipModel)(one) for one in found.items], call.query)


def remove_member(call: Call) -> object:
    """Take a user out of a group."""
    _managed(call)
    with call.together():
        _ordinary(call.store.get(AccessGroup, call.id))
        member = _member(call, call.ids["user_name"])
        if member is None:
            raise NotFound(f"'{call.ids['user_name']}' is no member of group {call.id}")
        call.store.remove(Membership, [member.id])
    return writer(MembershipModel)(member)


def groups_of_user(call: Call) -> object:
    """A page of the groups of a user."""
    user = call.ids["user_name"]
    if user != call.principal.name and not call.principal.is_admin:
        raise Forbidden(f"only '{user}' and admins may see these groups")
    return _groups(call, {"id": tuple(_groups_of(call, user))})


def groups_of_workflow(call: Call) -> object:
    """A page of the groups that may use a workflow."""
    there(call, call.id)
    return _linked(call)


def _linked(call: Call) -> object:
    links = call.store.find(GroupLink, Query(workflow=WorkflowId(call.id))).items
    ids = tuple(one.group_id for one in links)
    if not ids:
        return page_of(Page(items=[], total=0), [], call.query)
    query = Query(where={"id": ids}, offset=call.query["offset"], limit=limit_of(call.query))
    # NOTE: who may read a workflow may read the names of its groups, member or not.
    found = call.service.store.find(AccessGroup, query)
    return page_of(found, [writer(AccessGroupModel)(one) for one in found.items], call.query)


def link(call: Call) -> object:
    """Let a group use a workflow."""
    there(call, call.id)
    group = GroupId(call.ids["group_id"])
    with call.together():
        call.service.store.get(AccessGroup, group)
        if _link(call) is not None:
            raise Conflict(f"group {group} is linked to workflow {call.id} already")
        added = call.store.add([GroupLink(workflow_id=WorkflowId(call.id), group_id=group)])[0]
    return writer(GroupLinkModel)(added)


def _link(call: Call) -> GroupLink | None:
    query = Query(workflow=WorkflowId(call.id), where={"group_id": call.ids["group_id"]})
    return next(iter(call.store.find(GroupLink, query).items), None)


def unlink(call: Call) -> object:
    """Take a workflow away from a group."""
    there(call, call.id)
    with call.together():
        found = _link(call)
        if found is None:
            raise NotFound(f"group {call.ids['group_id']} is not linked to workflow {call.id}")
        call.store.remove(GroupLink, [found.id])
    return writer(GroupLinkModel)(found)


GROUP = "access_control"

ROUTES = (
    Route(
        method="POST", path="/access_groups", operation_id="create_access_group", access="admin", group=GROUP,
        handler=create, body=AccessGroupModel(), answer=AccessGroupModel(), summary="Make an access group.",
    ),
    Route(
        method="GET", path="/access_groups", operation_id="list_access_groups", access="user", group=GROUP,
        handler=list_, query=Paging, answer=LISTING(), summary="List access groups.",
    ),
    Route(
        method="GET", path="/access_groups/{id}", operation_id="get_access_group", access="user", group=GROUP,
        handler=get, answer=AccessGroupModel(), summary="Show an access group.",
    ),
    Route(
        method="DELETE", path="/access_groups/{id}", operation_id="delete_access_group", access="admin", group=GROUP,
        handler=remove, answer=AccessGroupModel(), summary="Remove an access group.",
    ),
    Route(
        method="POST", path="/admin/reload-auth", operation_id="reload_auth", access="admin", group=GROUP,
        handler=reload_auth, answer=Reloaded(), summary="Read the password file again.",
    ),
    Route(
        method="GET", path="/access_check/{workflow_id}/{user_name}", operation_id="check_workflow_access",
        access="user", group=GROUP, handler=check, answer=AccessAnswer(),
        summary="Tell whether a user may use a workflow, and why.",
    ),
    Route(
        method="POST", path="/access_groups/{id}/members", operation_id="add_user_to_group", access="user", group=GROUP,
        handler=add_member, body=MembershipModel(), answer=MembershipModel(), summary="Add a member to a group.",
    ),
    Route(
        method="GET", path="/access_groups/{id}/members", operation_id="list_group_members", access="user", group=GROUP,
        handler=members, query=Paging, answer=MEMBERS(), summary="List the members of a group.",
    ),
    Route(
        method="DELETE", path="/access_groups/{id}/members/{user_name}", operation_id="remove_user_from_group",
        access="user", group=GROUP, handler=remove_member, answer=MembershipModel(),
        summary="Remove a member of a group.",
    ),
    Route(
        method="GET", path="/users/{user_name}/groups", operation_id="list_user_groups", access="user", group=GROUP,
        handler=groups_of_user, query=Paging, answer=LISTING(), summary="List the groups of a user.",
    ),
    Route(
        method="GET", path="/workflows/{id}/access_groups", operation_id="list_workflow_groups", access="read",
        group=GROUP, of=Workflow, handler=groups_of_workflow, query=Paging, answer=LISTING(),
        summary="List the groups that may use a workflow.",
    ),
    Route(
        method="POST", path="/workflows/{id}/access_groups/{group_id}", operation_id="add_workflow_to_group",
        access="own", group=GROUP, of=Workflow, handler=link, answer=GroupLinkModel(),
        summary="Let a group use a workflow.",
    ),
    Route(
        method="DELETE", path="/workflows/{id}/access_groups/{group_id}", operation_id="remove_workflow_from_group",
        access="own", group=GROUP, of=Workflow, handler=unlink, answer=GroupLinkModel(),
        summary="Take a workflow away from a group.",
    ),
)  # fmt: skip
