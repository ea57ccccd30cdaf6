"""Groups, memberships and links on the wire."""

from __future__ import annotations

from marshmallow import Schema

from torc_http.wire.fields import Flag, Id, Instant, Int, Text


class AccessGroupModel(Schema):
    """People who may use the workflows that are linked to the group."""

    model = "AccessGroupModel"

    id = Id()
    name = Text(required=True, empty=False)
    description = Text()
    created_at = Instant()


class MembershipModel(Schema):
    """A user in a group."""

    model = "UserGroupMembershipModel"

    id = Id()
    group_id = Id(required=True)
    user_name = Text(required=True, empty=False)
    role = Text(required=True)
    created_at = Instant()


class GroupLinkModel(Schema):
    """A group may use a workflow."""

    model = "WorkflowAccessGroupModel"

    workflow_id = Id(required=True)
    group_id = Id(required=True)
    created_at = Instant()


class AccessAnswer(Schema):
    """Whether a user may use a workflow, and by which rule."""

    model = "AccessCheckResponse"

    has_access = Flag(required=True)
    reason = Text()
    user_name = Text(required=True)
    workflow_id = Id(required=True)


class Reloaded(Schema):
    """How many users the password file has."""

    model = "ReloadAuthResponse"

    message = Text(required=True)
    user_count = Int(required=True)
