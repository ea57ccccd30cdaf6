"""Every statement, built once, named after what it does. Executed as text: see `compiling`.

Parameters end in an underscore where a column of that name exists, as SQLAlchemy wants them to differ.
"""

from __future__ import annotations

from sqlalchemy import (
    Integer,
    and_,
    bindparam,
    case,
    cast,
    delete,
    distinct,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)

from torc_sql import tables as t

_b = bindparam

NEXT_IDS = (
    update(t.counter)
    .where(t.counter.c.kind == _b("kind_"))
    .values(value=t.counter.c.value + _b("count_"))
    .returning(t.counter.c.value)
)
META = select(t.meta.c.value).where(t.meta.c.name == _b("name_"))

# The lease of the database.
LEASE = select(
    t.server_lease.c.epoch, t.server_lease.c.host, t.server_lease.c.boot_id, t.server_lease.c.pid,
    t.server_lease.c.process_start, t.server_lease.c.beat,
)  # fmt: skip
LEASE_EPOCH = select(t.server_lease.c.epoch)
TAKE_LEASE = (
    update(t.server_lease)
    .values(epoch=t.server_lease.c.epoch + 1, host=_b("host_"), boot_id=_b("boot_"), pid=_b("pid_"),
            process_start=_b("start_"), beat=_b("beat_"))
    .returning(t.server_lease.c.epoch)
)  # fmt: skip
BEAT_LEASE = update(t.server_lease).values(beat=_b("beat_"))
FREE_LEASE = update(t.server_lease).where(t.server_lease.c.epoch == _b("epoch_")).values(pid=literal_column("0"))

# Counts that are kept beside the jobs.
COUNT_JOBS = (
    update(t.status_count)
    .where(t.status_count.c.wf == _b("wf_"), t.status_count.c.status == _b("status_"))
    .values(jobs=t.status_count.c.jobs + _b("delta"))
)
COUNT_READY = (
    update(t.job_class).where(t.job_class.c.id == _b("class_")).values(num_ready=t.job_class.c.num_ready + _b("delta"))
)
COUNTS = select(t.status_count.c.status, t.status_count.c.jobs).where(
    t.status_count.c.wf == _b("wf_"), t.status_count.c.jobs > 0
)

# A workflow as a whole.
REVEAL = update(t.workflow).where(t.workflow.c.id == _b("wf_")).values(deleting=literal_column("0"))
HIDE = update(t.workflow).where(t.workflow.c.id == _b("wf_")).values(deleting=literal_column("1"))
HIDDEN = select(t.workflow.c.id).where(t.workflow.c.deleting == literal_column("1"))
DROP = delete(t.workflow).where(t.workflow.c.id == _b("wf_"))
DROP_COUNTS = delete(t.status_count).where(t.status_count.c.wf == _b("wf_"))
DROP_EVENTS = delete(t.event).where(
    t.event.c.id.in_(
        select(t.event.c.id)
        .where(t.event.c.wf == _b("wf_"), t.event.c.category != literal_column("'workflow_deleted'"))
        .limit(_b("limit_"))
    )
)
WORKFLOW_STATE = select(
    t.workflow.c.id, t.workflow.c.name, t.workflow.c.run_id, t.workflow.c.initialized_run, t.workflow.c.is_canceled,
    t.workflow.c.is_archived, t.workflow.c.derived,
    t.workflow.c.compute_node_wait_for_healthy_database_minutes,
).where(t.workflow.c.id == _b("wf_"), t.workflow.c.deleting == literal_column("0"))  # fmt: skip

# Jobs, one at a time.
_J = t.job.c
JOB_COLUMNS = (
    _J.id, _J.wf, _J.name, _J.command, _J.invocation_script, _J.env, _J.status, _J.priority,
    _J.cancel_on_blocking_job_failure, _J.supports_termination, _J.requirement_id, _J.scheduler_id,
    _J.failure_handler_id, _J.label, _J.unmet, _J.num_blockers, _J.run_id, _J.attempt_id, _J.node_id, _J.lease,
    _J.prefetched, _J.claimed_at, _J.start_time, _J.ready_since, _J.stop, _J.reason, _J.result_id,
)  # fmt: skip
_STATE = (
    _J.id, _J.status, _J.run_id, _J.attempt_id, _J.node_id, _J.lease, _J.stop, _J.reason, _J.claimed_at, _J.wf,
    _J.name, _J.class_id, _J.forked, _J.missed, _J.prefetched, _J.priority, _J.result_id,
)  # fmt: skip
JOB_STATE = select(*_STATE).where(_J.id == _b("job_"))
MOVE = (
    update(t.job)
    .where(_J.id == _b("job_"), _J.status == _b("was_"))
    .values(status=_b("status_"), reason=_b("reason_"), result_id=_b("result_"))
)
SETTLE = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(node_id=null(), lease=null(), prefetched=literal_column("0"), forked=literal_column("0"),
            missed=literal_column("0"), stop=literal_column("0"))
)  # fmt: skip
END = (
    update(t.job)
    .where(_J.id == _b("job_"), _J.status == _b("was_"))
    .values(status=_b("status_"), reason=_b("reason_"), result_id=_b("result_"), node_id=null(), lease=null(),
            prefetched=literal_column("0"), forked=literal_column("0"), missed=literal_column("0"),
            stop=literal_column("0"))
)  # fmt: skip

# Results.
_R = t.result.c
STANDING = select(_R.status, _R.return_code).where(
    _R.job_id == _b("job_"), _R.run_id == _b("run_"), _R.attempt_id == _b("attempt_")
)
FINGERPRINT = (
    update(t.file)
    .where(t.file.c.id == _b("file_"), t.file.c.wf == _b("wf_"))
    .values(st_mtime=_b("mtime_"), size=_b("size_"))
)

# What waits for whom (`torc_core.engine.release`).
_SET, _MEMBER, _USE = t.dep_set.c, t.dep_member.c, t.dep_use.c
MEMBERSHIPS = select(_MEMBER.set_id).where(_MEMBER.job_id == _b("job_"))
USES = select(_USE.set_id).where(_USE.job_id == _b("job_"))
USERS = (
    select(_J.id, _J.status, _J.unmet, _J.cancel_on_blocking_job_failure, _J.reason, _J.claimed_at, _J.attempt_id,
           _J.class_id, _J.name, _J.run_id)
    .join(t.dep_use, _USE.job_id == _J.id)
    .where(_USE.set_id == _b("set_"))
)  # fmt: skip
SET_COUNTS = select(_SET.remaining, _SET.bad).where(_SET.id == _b("set_"))
WRITE_SET = update(t.dep_set).where(_SET.id == _b("set_")).values(remaining=_b("remaining_"), bad=_b("bad_"))
WRITE_UNMET = update(t.job).where(_J.id == _b("job_")).values(unmet=_b("unmet_"))
CANCEL_WAITER = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(status=literal_column("7"), reason=_b("reason_"), result_id=null(), unmet=_b("unmet_"))
)
FREE_WAITER = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(status=_b("status_"), reason=null(), ready_since=_b("since_"), unmet=_b("unmet_"))
)
# The same for ends that are all good, set-wise: held equal to `release.settle` by the model-based test.
LESSEN = (
    update(t.dep_set)
    .where(_SET.id.in_(select(_MEMBER.set_id).where(_MEMBER.job_id == _b("job_"))))
    .values(remaining=_SET.remaining - 1)
    .returning(_SET.id, _SET.remaining)
)
_LAST = and_(_J.status == literal_column("1"), _J.unmet == literal_column("1"))
RELEASE = (
    update(t.job)
    .where(_J.id.in_(select(_USE.job_id).where(_USE.set_id == _b("set_"))))
    .values(unmet=_J.unmet - 1, status=case((_LAST, literal_column("2")), else_=_J.status),
            ready_since=case((_LAST, _b("now_")), else_=_J.ready_since))
    .returning(_J.class_id, _J.status, _J.unmet)
)  # fmt: skip

# Claims.
_C = t.job_class.c
SHAPE_COLUMNS = (_C.num_cpus, _C.memory_bytes, _C.num_gpus, _C.num_nodes, _C.runtime_s, _C.scheduler_id, _C.label)
READY_CLASSES = select(_C.id, _C.num_ready).where(_C.wf == _b("wf_"), _C.num_ready > literal_column("0"))
SHAPE = select(*SHAPE_COLUMNS).where(_C.id == _b("class_"))
_CLAIMABLE = and_(_J.status == literal_column("2"), _J.node_id.is_(null()))
HEADS = (
    select(_J.id, _J.priority, _J.ready_since)
    .where(_J.wf == _b("wf_"), _J.class_id == _b("class_"), _CLAIMABLE)
    .order_by(_J.priority.desc(), _J.id)
    .limit(_b("limit_"))
)
TAKE = (
    update(t.job)
    .where(_J.id == _b("job_"), _CLAIMABLE)
    .values(status=_b("status_"), node_id=_b("node_"), lease=_b("lease_"), claimed_at=_b("now_"),
            start_time=_b("start_"), prefetched=_b("prefetched_"), forked=literal_column("0"),
            missed=literal_column("0"), reason=null())
    .returning(*JOB_COLUMNS, _J.class_id)
)  # fmt: skip
LIVE_CLASSES = (
    select(_J.class_id, _J.prefetched, func.count())
    .where(_J.node_id == _b("node_"))
    .group_by(_J.class_id, _J.prefetched)
)
OUTPUTS = (
    select(t.file.c.id, t.file.c.name, t.file.c.path)
    .join(t.output_file, t.output_file.c.item_id == t.file.c.id)
    .where(t.output_file.c.job_id == _b("job_"))
    .order_by(t.file.c.id)
)
CLAIM = select(t.claim.c.created_at).where(t.claim.c.claim_id == _b("claim_"))
CLAIMED = (
    select(*JOB_COLUMNS, _J.class_id)
    .where(_J.node_id == _b("node_"), _J.lease == _b("lease_"))
    .order_by(_J.id)
)
FORGET_CLAIMS = delete(t.claim).where(t.claim.c.node_id == _b("node_"), t.claim.c.created_at < _b("before_"))
