"""Statements about groups of users."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, literal_column, or_, select

from torc_sql import tables as t

_b = bindparam
_M, _G, _L, _W = t.membership.c, t.group.c, t.group_link.c, t.workflow.c

LINKS_OF_USER = (
    select(_G.name, _G.is_system, _L.level)
    .select_from(t.membership)
    .join(t.group, _G.id == _M.group_id)
    .outerjoin(t.group_link, and_(_L.group_id == _G.id, _L.wf == _b("wf_")))
    .where(_M.user_name == _b("user_"))
    .order_by(_G.id)
)
IS_ADMIN = (
    select(_M.id)
    .join(t.group, _G.id == _M.group_id)
    .where(_M.user_name == _b("user_"), _G.is_system == literal_column("1"))
)
_LINKED = select(_L.wf).join(t.membership, _M.group_id == _L.group_id).where(_M.user_name == _b("user_"))
READABLE = (
    select(_W.id)
    .where(_W.deleting == literal_column("0"), or_(_W.user == _b("user_"), _W.id.in_(_LINKED)))
    .order_by(_W.id)
)
SYSTEM_GROUP = select(_G.id).where(_G.is_system == literal_column("1"))
MEMBERS_OF_GROUP = select(_M.id, _M.user_name).where(_M.group_id == _b("group_"))
DROP_MEMBER = delete(t.membership).where(_M.id == _b("id_"))
