"""Statements about actions: what they watch, how often they were hit, who executes them."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from torc_sql import tables as t
from torc_sql.statements.attempts import IDS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _N = t.job.c, t.node.c
_A, _W, _RUN, _ALL = t.action.c, t.action_job.c, t.action_run.c, t.allocation.c

_ON_READY = select(_A.id).where(_A.wf == _WF, _A.trigger_type == literal_column("'on_jobs_ready'"))
_IS_READY = _W.action_id.in_(_ON_READY)

# Hits: positive, the job has been ready (or is complete); 0, it has been ready after it ended without; negative, it
# ended without and has not been ready since.
_UNHIT = or_(_W.hit_run.is_(null()), _W.hit_run < literal_column("0"))
_AS_READY = (
    update(t.action_job)
    .where(_W.job_id.in_(IDS), _UNHIT)
    .values(hit_run=case((_W.hit_run.is_(null()), _b("run_")), else_=literal_column("0")))
    .returning(_W.action_id, _W.hit_run)
)
HIT_READY = _AS_READY.where(_IS_READY)
HIT_BOTH = _AS_READY
HIT_ENDED = (
    update(t.action_job)
    .where(_W.job_id.in_(IDS), _W.hit_run.is_(null()))
    .values(hit_run=case((_IS_READY, -_b("run_", type_=_W.hit_run.type)), else_=_b("run_")))
    .returning(_W.action_id, _W.hit_run)
)
# `triggers.standing`, set-wise: held equal to it by a test.
STAND = (
    update(t.action_job)
    .where(_W.action_id == _b("action_"))
    .values(
        hit_run=select(
            case(
                (_b("trigger_", type_=Text()) == literal_column("'on_jobs_complete'"),
                 case((_J.status.in_([literal_column(str(code)) for code in (5, 6, 7, 8, 9)]), _b("run_")))),
                (_J.status.in_([literal_column(str(code)) for code in (2, 3, 4, 10)]), _b("run_")),
                (and_(_J.run_id == _b("run_"), _J.status.in_([literal_column(str(code)) for code in (5, 6, 8)])),
                 _b("run_")),
                (_J.status.in_([literal_column(str(code)) for code in (5, 6, 7, 8, 9)]),
                 -_b("run_", type_=_W.hit_run.type)),
            )
        )
        .where(_J.id == _W.job_id)
        .scalar_subquery()
    )
)  # fmt: skip
HITS = select(
    func.coalesce(func.sum(case((_W.hit_run >= literal_column("0"), literal_column("1")), else_=literal_column("0"))),
                  literal_column("0")),
    func.count(_W.hit_run), func.count(),
).where(_W.action_id == _b("action_"))  # fmt: skip

BUMP = (
    update(t.action)
    .where(_A.id == _b("action_"))
    .values(
        trigger_count=_A.trigger_count
        + case((_A.trigger_mode == literal_column("'any'"), _b("ready_")), else_=_b("all_"))
    )
    .returning(*t.action.c)
)
ANY_READY = (
    select(_W.job_id)
    .where(_W.action_id == _b("action_"), _W.hit_run >= literal_column("0"))
    .limit(literal_column("1"))
)
ACTION = select(*t.action.c).where(_A.id == _b("action_"))
ACTIONS = select(*t.action.c).where(_A.wf == _WF).order_by(_A.id)
ON_COMPLETE = (
    select(*t.action.c)
    .where(_A.wf == _WF, _A.trigger_type == literal_column("'on_workflow_complete'"))
    .order_by(_A.id)
)
WATCHED_BY = select(_W.action_id).where(_W.job_id == _b("job_")).order_by(_W.action_id)
WATCHES = select(_W.action_id).distinct().where(_W.wf == _WF).order_by(_W.action_id)
COUNT_ACTION = (
    update(t.action)
    .where(_A.id == _b("action_"))
    .values(trigger_count=_b("count_"), required_triggers=_b("required_"))
)
WATCHES_JOBS = update(t.workflow).where(t.workflow.c.id == _WF).values(has_job_triggers=literal_column("1"))

# Firings.
FIRING = select(*t.action_run.c).where(
    _RUN.action_id == _b("action_"), _RUN.run_id == _b("run_"), _RUN.node_id == _b("node_")
)
LAST_FIRING = (
    select(*t.action_run.c)
    .where(
        _RUN.action_id == _b("action_"),
        _RUN.run_id == _b("run_"),
        _RUN.state != literal_column("'triggered'"),
    )
    .order_by(_RUN.id.desc())
    .limit(literal_column("1"))
)
FIRINGS = (
    select(*t.action_run.c)
    .where(_RUN.action_id == _b("action_"), _RUN.run_id == _b("run_"))
    .order_by(_RUN.id.desc())
)
FIRING_OF_CLAIM = select(*t.action_run.c).where(
    _RUN.action_id == _b("action_"), _RUN.claim_id == _b("claim_")
)
WRITE_FIRING = (
    update(t.action_run)
    .where(_RUN.id == _b("id_"), _RUN.state == _b("was_"))
    .values(state=_b("state_"), claim_id=_b("claim_"), claimed_by=_b("by_"), claimed_at=_b("at_"),
            progress=_b("progress_"), error=_b("error_"))
)  # fmt: skip
CARRY_FIRINGS = (
    update(t.action_run)
    .where(_RUN.action_id == _b("action_"), _RUN.run_id == _b("before_"))
    .values(run_id=_b("run_"))
)
TRIGGERED = (
    select(_RUN.action_id)
    .distinct()
    .where(_RUN.wf == _WF, _RUN.state == literal_column("'triggered'"), _RUN.run_id == _b("run_"))
    .order_by(_RUN.action_id)
)
_GONE = or_(
    _N.is_active == literal_column("0"),
    and_(_RUN.claimed_by.is_not(null()), _N.id.is_(null())),
    and_(_RUN.claimed_by.is_(null()), _RUN.claimed_at <= _b("before_")),
)
_CLAIMED = _RUN.state == literal_column("'claimed'")
RUN_OUT = (
    select(*t.action_run.c, _A.action_type)
    .join(t.action, _A.id == _RUN.action_id)
    .join(t.node, _N.id == _RUN.claimed_by, isouter=True)
    .where(_RUN.wf == _WF, _CLAIMED, _GONE)
    .order_by(_RUN.id)
)
WITH_RUN_OUT = (
    select(_RUN.wf).distinct().join(t.node, _N.id == _RUN.claimed_by, isouter=True).where(_CLAIMED, _GONE)
)

# Removal.
UNLINK_INTENTS = (
    update(t.allocation)
    .where(_ALL.action_run_id.in_(select(_RUN.id).where(_RUN.action_id == _b("action_"))))
    .values(action_run_id=null())
)
DROP_FIRINGS = delete(t.action_run).where(_RUN.action_id == _b("action_"))
DROP_ACTION_JOBS = delete(t.action_job).where(_W.action_id == _b("action_"))
DROP_ACTION = delete(t.action).where(_A.id == _b("action_"))

# Intents.
INTENTS = select(*t.allocation.c).where(_ALL.action_run_id == _b("run_")).order_by(_ALL.ordinal)
SCHEDULER_FIELDS = select(t.scheduler.c.id, t.scheduler.c.fields).where(
    t.scheduler.c.wf == _WF,
    or_(t.scheduler.c.id == _b("id_"), and_(_b("id_").is_(null()), t.scheduler.c.name == _b("name_"))),
).order_by(t.scheduler.c.id)  # fmt: skip
SCHEDULERS = select(t.scheduler.c.id).where(t.scheduler.c.wf == _WF)
