"""Statements that compare what is counted beside the jobs with the jobs (`engine.md` §18)."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from torc_sql import tables as t
from torc_sql.statements.attempts import CLAIMABLE

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _C, _W = t.job.c, t.job_class.c, t.workflow.c
_SET, _MEMBER, _USE = t.dep_set.c, t.dep_member.c, t.dep_use.c
_ZERO: ColumnElement[int] = literal_column("0")


def _codes(*codes: int) -> list[object]:
    return [literal_column(str(code)) for code in codes]


_OPEN = _J.status.in_(_codes(0, 1, 2, 3, 4, 10))
_BAD = _J.status.in_(_codes(6, 7, 8))

WITH_OPEN_JOBS = (
    select(_W.id).where(_W.deleting == _ZERO, exists().where(_J.wf == _W.id, _OPEN)).order_by(_W.id)
)
REAL_COUNTS = select(_J.status, func.count()).where(_J.wf == _WF).group_by(_J.status)
ALL_COUNTS = select(t.status_count.c.status, t.status_count.c.jobs).where(t.status_count.c.wf == _WF)
_REMAINING = func.coalesce(func.sum(case((_OPEN, 1), else_=0)), _ZERO)
_SPOILED = func.coalesce(func.sum(case((_BAD, 1), else_=0)), _ZERO)
WRONG_SETS = (
    select(_SET.id, _REMAINING, _SPOILED)
    .outerjoin(t.dep_member, _MEMBER.set_id == _SET.id)
    .outerjoin(t.job, _J.id == _MEMBER.job_id)
    .where(_SET.wf == _WF)
    .group_by(_SET.id, _SET.remaining, _SET.bad)
    .having(or_(_SET.remaining != _REMAINING, _SET.bad != _SPOILED))
)
_COUNTED = (
    select(_USE.job_id.label("job_id"), func.count().label("unmet"))
    .join(t.dep_set, and_(_SET.id == _USE.set_id, _SET.remaining > _ZERO))
    .where(_USE.wf == _WF)
    .group_by(_USE.job_id)
    .subquery("counted")
)
_UNMET = func.coalesce(_COUNTED.c.unmet, _ZERO)
WRONG_UNMET = (
    select(_J.id, _UNMET)
    .outerjoin(_COUNTED, _COUNTED.c.job_id == _J.id)
    .where(_J.wf == _WF, _J.unmet != _UNMET)
)
_READY = (
    select(_J.class_id.label("class_id"), func.count().label("ready"))
    .where(_J.wf == _WF, CLAIMABLE)
    .group_by(_J.class_id)
    .subquery("ready")
)
WRONG_CLASSES = (
    select(_C.id, func.coalesce(_READY.c.ready, _ZERO))
    .outerjoin(_READY, _READY.c.class_id == _C.id)
    .where(_C.wf == _WF, _C.num_ready != func.coalesce(_READY.c.ready, _ZERO))
)
WRITE_READY = update(t.job_class).where(_C.id == _b("class_")).values(num_ready=_b("ready_"))
STUCK = select(_J.id, _J.class_id).where(
    _J.wf == _WF, _J.status == literal_column("1"), _J.unmet == _ZERO,
    or_(_J.cancel_on_blocking_job_failure == _ZERO,
        ~exists().where(_USE.job_id == _J.id, _SET.id == _USE.set_id, _SET.bad > _ZERO)),
)  # fmt: skip
