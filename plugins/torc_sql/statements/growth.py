"""Statements about jobs that running jobs add, and about operations."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, func, literal_column, select, update

from torc_sql import tables as t
from torc_sql.statements.attempts import JOB_COLUMNS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _D, _O = t.job.c, t.user_data.c, t.operation.c
_NAMES = select(func.json_each(_b("names_")).table_valued("value").c.value).scalar_subquery()

JOBS_NAMED = select(*JOB_COLUMNS).where(_J.wf == _WF, _J.name.in_(_NAMES)).order_by(_J.id.desc())
REQUIREMENTS_NAMED = (
    select(t.requirement.c.name, t.requirement.c.id)
    .where(t.requirement.c.wf == _WF, t.requirement.c.name.in_(_NAMES))
    .order_by(t.requirement.c.id.desc())
)
JOB_NAMES = select(_J.name).where(_J.wf == _WF).limit(_b("limit_"))
REQUIREMENT_NAMES = select(t.requirement.c.name).where(t.requirement.c.wf == _WF)
LINEAGE_NAMES = select(_D.name).where(_D.wf == _WF, _D.name >= _b("first_"), _D.name < _b("after_"))
SET_RECORD = (
    update(t.user_data)
    .where(_D.wf == _WF, _D.name == _b("name_"))
    .values(data=_b("data_"), initial_data=_b("data_"))
)
BAD_BLOCKER = (
    select(func.min(_J.id))
    .join(t.dep_member, t.dep_member.c.job_id == _J.id)
    .join(t.dep_use, t.dep_use.c.set_id == t.dep_member.c.set_id)
    .where(t.dep_use.c.job_id == _b("job_"),
           _J.status.in_([literal_column("6"), literal_column("7"), literal_column("8")]))
)  # fmt: skip
DYNAMIC_JOBS = select(t.workflow.c.dynamic_jobs, t.workflow.c.env).where(t.workflow.c.id == _WF)

# Operations.
ACTIVE_OPERATION = (
    select(*t.operation.c)
    .where(_O.wf == _WF, _O.status.in_([literal_column("'queued'"), literal_column("'running'")]))
    .order_by(_O.id)
    .limit(literal_column("1"))
)
OPERATION = select(*t.operation.c).where(_O.id == _b("id_"))
OPERATION_BEGINS = (
    update(t.operation)
    .where(_O.id == _b("id_"))
    .values(status=literal_column("'running'"), started_at=func.coalesce(_O.started_at, _b("now_")))
)
OPERATION_ENDS = (
    update(t.operation)
    .where(_O.id == _b("id_"))
    .values(status=_b("status_"), finished_at=_b("now_"), error=_b("error_"))
)
