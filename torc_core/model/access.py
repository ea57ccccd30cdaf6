"""Who may do what: groups, memberships, links, tokens, and the record of what was done (`security.md`)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.ids import AuditId, GroupId, GroupLinkId, MembershipId, TokenId, WorkflowId
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class AccessGroup:
    """People who may use the workflows that are linked to the group; `is_system`: filled from the configuration."""

    id: GroupId = GroupId(0)
    name: str
    description: str | None = None
    is_system: bool = False
    created_at: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Membership:
    """A user in a group; `role` is `member` or `admin`."""

    id: MembershipId = MembershipId(0)
    group_id: GroupId
    user_name: str
    role: str = "member"
    created_at: int = 0


@record(frozen=True, slots=True, kw_only=True)
class GroupLink:
    """A group may use a workflow; `level` is `full` or `read`."""

    id: GroupLinkId = GroupLinkId(0)
    workflow_id: WorkflowId
    group_id: GroupId
    level: str = "full"
    created_at: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Access:
    """Whether a user may use a workflow, and by which rule.

    Parameters
    ----------
    level
        `own`, `full`, `read` or `none`.
    reason
        `owner`, `admin`, `group <name>` or `no rule grants access`.
    """

    level: str
    reason: str


@record(frozen=True, slots=True, kw_only=True)
class Token:
    """A named credential; only the SHA-256 of its secret is kept.

    Parameters
    ----------
    key
        The public part, by which it is found.
    access_class
        The highest class of calls it may make: `read`, `edit`, `run`, `operate` or `own`.
    workflows
        Which workflows it is for; None: all of its user.
    expires_at, revoked_at
        Milliseconds since 1970.
    """

    id: TokenId = TokenId(0)
    key: str
    digest: str
    user: str
    access_class: str = "edit"
    workflows: Sequence[WorkflowId] | None = None
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A security matter that happened; append-only."""

    id: AuditId = AuditId(0)
    timestamp: int = 0
    operation: str
    principal: str
    established: str
    peer: str
    object: str = ""
    outcome: str = "ok"
    detail: str = ""
    request_id: str = ""


KEPT_FOR = 24 * 3_600_000
"""Milliseconds that an answer is kept under its idempotency key (`wire.md` T16)."""


@record(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answer to a call that carried an idempotency key (`wire.md` T16); `body_hash` tells which call it was."""

    principal: str
    route: str
    key: str
    body_hash: str
    status: int
    answer: str
