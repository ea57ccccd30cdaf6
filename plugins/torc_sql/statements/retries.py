"""Statements about bad ends that are not the last word (`engine.md` §9)."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, func, literal_column, null, select, update

from torc_sql import tables as t
from torc_sql.statements.attempts import AT_STATUS, FREED

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J = t.job.c

RULES_OF = select(t.handler.c.rules).where(t.handler.c.id == _b("handler_"))
TRY_AGAIN = (
    update(t.job)
    .where(AT_STATUS)
    .values(
        status=_b("status_"), attempt_id=_b("attempt_"), ready_since=_b("now_"), claimed_at=null(), start_time=null(),
        reason=null(), result_id=null(), losses=_J.losses + _b("lost_"),
        origin=func.coalesce(_J.origin, literal_column("'retry'")), **{**FREED, "not_before": _b("later_")},
    )
)  # fmt: skip
RECOVER = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(reason=_b("reason_"), result_id=_b("result_"), forked=literal_column("1"))
)
FREE_RETRIES = (
    update(t.job)
    .where(_J.wf == _WF, _J.not_before.is_not(null()), _J.not_before <= _b("now_"))
    .values(not_before=null())
    .returning(_J.status, _J.node_id, _J.class_id)
)
NEXT_RETRY = select(func.min(_J.not_before)).where(_J.wf == _WF, _J.not_before.is_not(null()))
