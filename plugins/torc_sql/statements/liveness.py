"""Statements about nodes that may be dead, about allocations, and about what time brings."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnClause,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from torc_sql import tables as t
from torc_sql.statements.attempts import FREED, NODE_COLUMNS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_A, _J, _R, _N, _C = t.allocation.c, t.job.c, t.result.c, t.node.c, t.claim.c
_F = t.action_run.c
_ONE: ColumnClause[int] = literal_column("1")
_ZERO: ColumnClause[int] = literal_column("0")

# What becomes of the jobs of a lost node.
ALL_RULES = select(t.handler.c.rules).where(t.handler.c.wf == _WF).order_by(t.handler.c.id)
FREE = update(t.job).where(_J.id == _b("job_")).values(**FREED)
EXPLAIN = update(t.job).where(_J.id == _b("job_")).values(reason=_b("reason_"))
REPLACE_RESULT = (
    update(t.result)
    .where(_R.id == _b("id_"))
    .values(status=_b("status_"), return_code=_b("code_"), reason=_b("reason_"), exec_minutes=_b("minutes_"),
            completed_at=_b("completed_"), node_id=func.coalesce(_b("node_"), _R.node_id),
            peak_memory_bytes=_b("peak_memory_"), avg_memory_bytes=_b("avg_memory_"),
            peak_cpu_percent=_b("peak_cpu_"), avg_cpu_percent=_b("avg_cpu_"), provisional=_ZERO)
)  # fmt: skip
DOUBTFUL = (
    select(_J.id, *NODE_COLUMNS)
    .select_from(t.job)
    .join(t.result, and_(_R.id == _J.result_id, _R.provisional == _ONE))
    .join(t.node, _N.id == _R.node_id)
    .where(_J.wf == _WF, _J.status == literal_column("6"), _N.wf == _WF,
           _N.on_lost == literal_column("'drain'"), _N.state != literal_column("'ended'"))
    .order_by(_J.id)
)  # fmt: skip
ANY_DOUBT = select(_N.id).where(_N.wf == _WF, _N.state != literal_column("'ended'")).limit(_ONE)

# Nodes.
# PERF: all that `liveness.succeeds` may say yes to and few others; a thousand runners that join would read each other.
PREDECESSORS = (
    select(*NODE_COLUMNS)
    .where(_N.wf == _WF, _N.state != literal_column("'ended'"),
           or_(and_(_N.hostname == _b("hostname_"), _N.boot_id != _b("boot_id_")), _N.allocation_id == _b("allocation_"),
               _N.scheduler.like(_b("worker_")), _N.scheduler.like(_b("number_"))))
    .order_by(_N.id)
)  # fmt: skip
WRITE_STATE = update(t.node).where(_N.id == _b("node_")).values(state=_b("state_"), is_active=_b("active_"))
WRITE_DRAINING = update(t.node).where(_N.id == _b("node_")).values(draining=_b("draining_"))
TERMINATE_ALL = (
    update(t.job)
    .where(_J.node_id == _b("node_"), _J.status == literal_column("4"))
    .values(stop=literal_column("2"))
)
RENEW_LEASES = update(t.node).where(_N.is_active == _ONE, _N.beats == _ONE).values(last_beat=_b("now_"))

# What time brings: looked for first, so that an idle store writes nothing.
SILENT = (
    select(*NODE_COLUMNS)
    .where(_N.is_active == _ONE, _N.beats == _ONE, _N.last_beat <= _b("before_"))
    .order_by(_N.id)
)
HELD_BY_HAND = (
    select(_J.wf)
    .distinct()
    .where(_J.wf.in_(select(t.status_count.c.wf)
                     .where(t.status_count.c.status == literal_column("3"), t.status_count.c.jobs > _ZERO)),
           _J.status == literal_column("3"), _J.node_id.is_(null()), _J.claimed_at <= _b("before_"))
)  # fmt: skip
DUE = select(_J.wf).distinct().where(_J.not_before <= _b("now_"))
NEXT_DUE = select(func.min(_J.not_before)).where(_J.not_before.is_not(null()))
_W = (
    select(t.workflow.c.compute_node_wait_for_healthy_database_minutes)
    .where(t.workflow.c.id == _C.wf)
    .scalar_subquery()
)
_OLD_CLAIM = _C.created_at < _b("now_") - func.coalesce(_W, _ZERO) * literal_column("60000")
ANY_OLD_CLAIM = select(_C.claim_id).where(_OLD_CLAIM).limit(_ONE)
FORGET_OLD_CLAIMS = delete(t.claim).where(_OLD_CLAIM)
_OLD_KEY = t.kept.c.created_at < _b("before_")
ANY_OLD_KEY = select(t.kept.c.created_at).where(_OLD_KEY).limit(_ONE)
FORGET_OLD_KEYS = delete(t.kept).where(_OLD_KEY)
_OLD_TASK = and_(t.operation.c.finished_at.is_not(null()), t.operation.c.finished_at < _b("before_"))
ANY_OLD_TASK = select(t.operation.c.id).where(_OLD_TASK).limit(_ONE)
FORGET_OLD_TASKS = delete(t.operation).where(_OLD_TASK)
_E = t.event.c
_JOB_EVENT = and_(_E.category >= literal_column("'job_'"), _E.category < literal_column("'job`'"))
OLDEST_EVENTS = select(_E.id, _E.timestamp).order_by(_E.id).limit(_b("limit_"))
DROP_EVENTS_UPTO = delete(t.event).where(_E.id <= _b("id_"))
OLDEST_AUDIT = select(t.audit.c.id, t.audit.c.timestamp).order_by(t.audit.c.id).limit(_b("limit_"))
DROP_AUDIT_UPTO = delete(t.audit).where(t.audit.c.id <= _b("id_"))
JOB_EVENT_BEYOND = (
    select(_E.id).where(_E.wf == _WF, _JOB_EVENT).order_by(_E.id.desc()).limit(_ONE).offset(_b("keep_"))
)
DROP_JOB_EVENTS = delete(t.event).where(
    _E.id.in_(select(_E.id).where(_E.wf == _WF, _E.id <= _b("id_"), _JOB_EVENT).limit(_b("limit_")))
)

# Allocations.
ALLOCATION = select(*_A).where(_A.id == _b("id_"))
OF_REQUEST = select(*_A).where(_A.wf == _WF, _A.request_id == _b("request_")).order_by(_A.id)
OPEN_INTENTS = (
    select(*_A)
    .where(_A.wf == _WF, _A.status == literal_column("'intended'"),
           ~exists().where(_F.id == _A.action_run_id, _F.run_id == _b("run_"),
                           _F.state.in_([literal_column("'triggered'"), literal_column("'claimed'")])))
    .order_by(_A.id)
)  # fmt: skip
OF_KEY = select(*_A).where(_A.wf == _WF, _A.submission_key == _b("key_")).order_by(_A.id)
OF_NUMBER = select(*_A).where(_A.wf == _WF, _A.scheduler_id == _b("number_")).order_by(_A.id)
OPEN_NODES_OF = (
    select(*NODE_COLUMNS)
    .where(_N.allocation_id == _b("id_"), _N.state != literal_column("'ended'"))
    .order_by(_N.id)
)
COMPLETE_ALLOCATION = (
    update(t.allocation)
    .where(_A.id == _b("id_"), _A.status == literal_column("'active'"),
           ~exists().where(_N.allocation_id == _A.id, _N.state != literal_column("'ended'")))
    .values(status=literal_column("'complete'"))
)  # fmt: skip
SCHEDULERS_OF = select(*t.scheduler.c).where(t.scheduler.c.wf == _WF).order_by(t.scheduler.c.id)
BIND = update(t.job).where(_J.id == _b("job_")).values(scheduler_id=_b("scheduler_"))
SCHEDULER = select(*t.scheduler.c).where(t.scheduler.c.id == _b("id_"), t.scheduler.c.wf == _WF)
WRITE_ALLOCATION = (
    update(t.allocation)
    .where(_A.id == _b("id_"))
    .values(scheduler_id=_b("number_"), status=_b("status_"), reason=_b("reason_"), walltime=_b("walltime_"),
            submitted_at=_b("at_"), submitted_by=_b("by_"))
)  # fmt: skip
NEWEST_ALLOCATION = select(func.max(_A.id)).where(_A.wf == _WF)
ALLOCATION_COUNTS = select(_A.status, func.count()).where(_A.wf == _WF).group_by(_A.status)

# Records of where jobs run.
NODE_OF_PROCESS = select(*NODE_COLUMNS).where(
    _N.wf == _WF, _N.hostname == _b("hostname_"), _N.pid == _b("pid_"), _N.start_time == _b("start_"),
    _N.beats == _ZERO,
).order_by(_N.id)  # fmt: skip
WORKERS = select(*t.remote_worker.c).where(t.remote_worker.c.wf == _WF).order_by(t.remote_worker.c.id)
_S = t.slurm_stats.c
STATS_OF = select(_S.id).where(
    _S.job_id == _b("job_"), _S.run_id == _b("run_"), _S.attempt_id == _b("attempt_")
)
REPLACE_STATS = delete(t.slurm_stats).where(_S.id == _b("id_"))
FORGET_ALLOCATION = update(t.node).where(_N.allocation_id == _b("id_")).values(allocation_id=null())
RUNNING_JOBS = (
    select(_J.id, _J.name, _J.start_time, _N.hostname, _N.type, _N.scheduler, _A.scheduler_id)
    .select_from(t.job)
    .outerjoin(t.node, _N.id == _J.node_id)
    .outerjoin(t.allocation, _A.id == _N.allocation_id)
    .where(_J.wf == _WF, _J.status == literal_column("4"))
    .order_by(_J.id)
)
NODE_NUMBERS = (
    select(_N.id, _N.scheduler, _A.scheduler_id)
    .select_from(t.node)
    .outerjoin(t.allocation, _A.id == _N.allocation_id)
    .where(_N.wf == _WF, or_(_N.scheduler.is_not(null()), _N.allocation_id.is_not(null())))
)
NODES_OF_RESULTS = (
    select(_R.job_id, _R.node_id, _J.name).distinct().join(t.job, _J.id == _R.job_id).where(_R.wf == _WF)
)
NODES_OF_JOBS = select(_J.id, _J.node_id, _J.name).where(_J.wf == _WF, _J.status == literal_column("4"))
