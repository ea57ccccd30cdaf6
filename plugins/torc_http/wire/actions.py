"""Actions on the wire."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.model import ACTION_TYPES, TRIGGERS
from torc_http.wire.fields import Choice, Flag, Id, Ids, Instant, Int, Object


class ActionModel(Schema):
    """Something to do at a moment of the workflow."""

    model = "WorkflowActionModel"

    id = Id()
    workflow_id = Id(required=True)
    trigger_type = Choice(*TRIGGERS, required=True)
    action_type = Choice(*ACTION_TYPES, required=True)
    action_config = Object(attribute="config", required=True)
    job_ids = Ids(attribute="jobs")
    trigger_mode = Choice("all", "any")
    persistent = Flag()
    is_recovery = Flag()
    required_triggers = Int()
    trigger_count = Int()
    executed = Flag()
    executed_at = Instant()
    executed_by = Id()


class ClaimAction(Schema):
    """Who executes an action."""

    model = "ClaimActionRequest"

    compute_node_id = Id()


class ClaimedAction(Schema):
    """That an action is the caller's."""

    model = "ClaimActionResponse"

    action_id = Id(required=True)
    success = Flag(required=True)
    claimed = Flag(required=True)
