"""Statements about answers that are kept under idempotency keys."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, or_, select

from torc_sql import tables as t

_b = bindparam
_K = t.kept.c
_THIS = and_(_K.principal == _b("principal_"), _K.route == _b("route_"), _K.key == _b("key_"))

KEPT = select(_K.principal, _K.route, _K.key, _K.body_hash, _K.status, _K.answer).where(
    _THIS, _K.created_at > _b("since_")
)
DROP_KEPT = delete(t.kept).where(or_(_K.created_at <= _b("since_"), _THIS))
