"""Statements about nodes that may be dead, about allocations, and about what time brings."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    bindparam,
    func,
    select,
    update,
)

from torc_sql import tables as t

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_A = t.allocation.c

# Allocations.
ALLOCATION = select(*_A).where(_A.id == _b("id_"))
OF_REQUEST = select(*_A).where(_A.wf == _WF, _A.request_id == _b("request_")).order_by(_A.id)
SCHEDULER = select(*t.scheduler.c).where(t.scheduler.c.id == _b("id_"), t.scheduler.c.wf == _WF)
WRITE_ALLOCATION = (
    update(t.allocation)
    .where(_A.id == _b("id_"))
    .values(scheduler_id=_b("number_"), status=_b("status_"), reason=_b("reason_"), walltime=_b("walltime_"),
            submitted_at=_b("at_"), submitted_by=_b("by_"))
)  # fmt: skip
ALLOCATION_COUNTS = select(_A.status, func.count()).where(_A.wf == _WF).group_by(_A.status)
