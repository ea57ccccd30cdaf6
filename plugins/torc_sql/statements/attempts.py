"""Statements about jobs on their way: results, waiters, claims, nodes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from torc_sql import tables as t

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _R, _N, _C = t.job.c, t.result.c, t.node.c, t.job_class.c
_SET, _MEMBER, _USE, _IN = t.dep_set.c, t.dep_member.c, t.dep_use.c, t.input_set.c
_F, _D = t.file.c, t.user_data.c

# Jobs, one at a time.
JOB_COLUMNS = (
    _J.id, _J.wf, _J.name, _J.command, _J.invocation_script, _J.env, _J.status, _J.priority,
    _J.cancel_on_blocking_job_failure, _J.supports_termination, _J.requirement_id, _J.scheduler_id,
    _J.failure_handler_id, _J.label, _J.unmet, _J.num_blockers, _J.run_id, _J.attempt_id, _J.node_id, _J.lease,
    _J.prefetched, _J.claimed_at, _J.start_time, _J.ready_since, _J.stop, _J.reason, _J.result_id,
    _J.not_before, _J.losses, _J.input_hash, _J.origin, _J.lineage, _J.spawned_by, _J.schedule_compute_nodes,
)  # fmt: skip
STATE_COLUMNS = (
    _J.id, _J.status, _J.run_id, _J.attempt_id, _J.node_id, _J.lease, _J.stop, _J.reason, _J.claimed_at, _J.wf,
    _J.name, _J.class_id, _J.forked, _J.missed, _J.prefetched, _J.priority, _J.result_id, _J.not_before,
    _J.failure_handler_id, _J.losses,
)  # fmt: skip
JOB_STATE = select(*STATE_COLUMNS).where(_J.id == _b("job_"))
# Ids as a JSON list, so that one statement serves any number of them.
IDS = select(func.json_each(_b("jobs_")).table_valued("value").c.value).scalar_subquery()
JOB_STATES = select(*STATE_COLUMNS).where(_J.id.in_(IDS))
FREED = {
    "node_id": null(), "lease": null(), "prefetched": literal_column("0"), "forked": literal_column("0"),
    "missed": literal_column("0"), "recalled": literal_column("0"), "stop": literal_column("0"),
    "not_before": null(),
}  # fmt: skip
AT_STATUS = and_(_J.id == _b("job_"), _J.status == _b("was_"))
END = (
    update(t.job)
    .where(AT_STATUS)
    .values(status=_b("status_"), reason=_b("reason_"), result_id=_b("result_"), **FREED)
)
END_HELD = (
    update(t.job).where(AT_STATUS).values(status=_b("status_"), reason=_b("reason_"), result_id=_b("result_"))
)
CONFIRM = update(t.job).where(_J.id == _b("job_")).values(result_id=_b("result_"), **FREED)
POINT = update(t.job).where(_J.id == _b("job_")).values(result_id=_b("result_"))
AGAIN = (
    update(t.job)
    .where(AT_STATUS)
    .values(status=_b("status_"), attempt_id=_b("attempt_"), ready_since=_b("now_"), claimed_at=null(),
            start_time=null(), reason=null(), **FREED)
)  # fmt: skip
EXPIRE = update(t.job).where(AT_STATUS).values(status=_b("status_"), ready_since=_b("now_"))
START = (
    update(t.job)
    .where(AT_STATUS)
    .values(status=_b("status_"), start_time=_b("now_"), node_id=_b("node_"), prefetched=_b("prefetched_"))
)
HALT = (
    update(t.job)
    .where(AT_STATUS)
    .values(status=_b("status_"), reason=_b("reason_"), stop=_b("stop_"), not_before=null())
)
CALL_OFF = update(t.job).where(AT_STATUS).values(status=_b("status_"), reason=_b("reason_"), **FREED)
ORDER = update(t.job).where(_J.id == _b("job_")).values(stop=_b("stop_"))

# Results.
STANDING = select(_R.status, _R.return_code, _R.id, _R.provisional, _R.lease).where(
    _R.job_id == _b("job_"), _R.run_id == _b("run_"), _R.attempt_id == _b("attempt_")
)
_SAME_CONTENT = and_(
    _b("hash_").is_(null()),
    _F.st_mtime == _b("mtime_"),
    func.coalesce(_F.size == _b("size_"), literal_column("1")),
)
FINGERPRINT = (
    update(t.file)
    .where(_F.id == _b("file_"), _F.wf == _b("wf_"))
    .values(st_mtime=_b("mtime_"), size=_b("size_"),
            content_hash=case((_SAME_CONTENT, _F.content_hash), else_=_b("hash_")))
)  # fmt: skip

# What waits for whom (`torc_core.engine.release`).
MEMBERSHIPS = (
    select(_MEMBER.set_id, _SET.remaining, _SET.bad)
    .join(t.dep_set, _SET.id == _MEMBER.set_id)
    .where(_MEMBER.job_id == _b("job_"))
    .order_by(_MEMBER.set_id)
)
USES = select(_USE.set_id).where(_USE.job_id == _b("job_"))
USERS = (
    select(_J.id, _J.status, _J.unmet, _J.cancel_on_blocking_job_failure, _J.reason, _J.claimed_at, _J.attempt_id,
           _J.class_id, _J.name, _J.run_id, _J.node_id)
    .join(t.dep_use, _USE.job_id == _J.id)
    .where(_USE.set_id == _b("set_"))
)  # fmt: skip
SET_COUNTS = select(_SET.remaining, _SET.bad).where(_SET.id == _b("set_"))
WRITE_SET = update(t.dep_set).where(_SET.id == _b("set_")).values(remaining=_b("remaining_"), bad=_b("bad_"))
WRITE_UNMET = update(t.job).where(_J.id == _b("job_")).values(unmet=_b("unmet_"))
CANCEL_WAITER = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(status=literal_column("7"), reason=_b("reason_"), unmet=_b("unmet_"))
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
_USERS = select(_USE.job_id).where(_USE.set_id == _b("set_"))
_BLOCKED = _J.status == literal_column("1")
_LAST = _J.unmet == literal_column("1")
# Before `RELEASE`, since those that it makes ready would be counted twice.
LESSEN_OTHERS = update(t.job).where(_J.id.in_(_USERS), ~_BLOCKED).values(unmet=_J.unmet - 1)
RELEASE = (
    update(t.job)
    .where(_J.id.in_(_USERS), _BLOCKED)
    .values(
        unmet=_J.unmet - 1,
        status=case((_LAST, literal_column("2")), else_=_J.status),
        ready_since=case((_LAST, _b("now_")), else_=_J.ready_since),
    )
    .returning(_J.class_id, _J.unmet, _J.id, _J.node_id)
)

# Claims.
SHAPE_COLUMNS = (
    _C.num_cpus,
    _C.memory_bytes,
    _C.num_gpus,
    _C.num_nodes,
    _C.runtime_s,
    _C.scheduler_id,
    _C.label,
)
READY_CLASSES = select(_C.id, _C.num_ready).where(_C.wf == _b("wf_"), _C.num_ready > literal_column("0"))
SHAPE = select(*SHAPE_COLUMNS).where(_C.id == _b("class_"))
CLAIMABLE = and_(_J.status == literal_column("2"), _J.node_id.is_(null()), _J.not_before.is_(null()))
HEADS = (
    select(_J.id, _J.priority, _J.ready_since)
    .where(_J.wf == _b("wf_"), _J.class_id == _b("class_"), CLAIMABLE)
    .order_by(_J.priority.desc(), _J.id)
    .limit(_b("limit_"))
)
TAKE = (
    update(t.job)
    .where(_J.id.in_(IDS), CLAIMABLE)
    .values(status=_b("status_"), node_id=_b("node_"), lease=_b("lease_"), claimed_at=_b("now_"),
            start_time=_b("start_"), prefetched=_b("prefetched_"))
    .returning(*JOB_COLUMNS, _J.class_id)
)  # fmt: skip
LIVE_CLASSES = (
    select(_J.class_id, _J.prefetched, func.count())
    .where(_J.node_id == _b("node_"))
    .group_by(_J.class_id, _J.prefetched)
)
_WHOLE = _C.num_nodes > literal_column("1")


def summed(amount: ColumnElement[int]) -> ColumnElement[int]:
    """A sum of amounts that ends at 2^63 - 1: one of integers fails beyond it, and two jobs may ask for more."""
    return cast(func.total(amount), BigInteger)


USED = (
    select(
        _J.node_id,
        summed(case((_WHOLE, _C.num_nodes * _N.num_cpus), else_=_C.num_cpus)),
        summed(case((_WHOLE, _C.num_nodes * _N.memory_bytes), else_=_C.memory_bytes)),
        summed(case((_WHOLE, _C.num_nodes * _N.num_gpus), else_=_C.num_gpus)),
    )
    .join(t.job_class, _C.id == _J.class_id)
    .join(t.node, _N.id == _J.node_id)
    .where(_N.wf == _b("wf_"), _N.is_active == literal_column("1"), _J.prefetched == literal_column("0"))
    .group_by(_J.node_id)
)
ANY_OUTPUT = select(t.output_file.c.item_id).where(t.output_file.c.wf == _b("wf_")).limit(literal_column("1"))
ANY_SET = select(_SET.id).where(_SET.wf == _b("wf_")).limit(literal_column("1"))
ANY_AHEAD = (
    select(_J.id)
    .where(_J.node_id == _b("node_"), _J.prefetched == literal_column("1"))
    .limit(literal_column("1"))
)
OUTPUTS = (
    select(t.file.c.id, t.file.c.name, t.file.c.path)
    .join(t.output_file, t.output_file.c.item_id == t.file.c.id)
    .where(t.output_file.c.job_id == _b("job_"))
    .order_by(t.file.c.id)
)
CLAIM = select(t.claim.c.node_id, t.claim.c.job_ids).where(t.claim.c.claim_id == _b("claim_"))
JOB = select(*JOB_COLUMNS, _J.class_id).where(_J.id == _b("job_"))
STARTED_AHEAD = (
    select(_J.id)
    .where(_J.node_id == _b("node_"), _J.class_id == _b("class_"), _J.prefetched == literal_column("1"),
           _J.status == literal_column("4"))
    .order_by(_J.start_time, _J.id)
)  # fmt: skip
PLACE = update(t.job).where(_J.id == _b("job_")).values(prefetched=literal_column("0"))
FORGET_CLAIMS = delete(t.claim).where(t.claim.c.node_id == _b("node_"), t.claim.c.created_at < _b("before_"))
BY_HAND = select(*STATE_COLUMNS).where(
    _J.wf == _b("wf_"),
    _J.status == literal_column("3"),
    _J.node_id.is_(null()),
    _J.claimed_at <= _b("before_"),
)
_EACH = func.json_each(t.claim.c.job_ids).table_valued("value")
# What was claimed in the name of a node of a published client, and is not started: the job itself names no node.
CLAIMED_FOR = (
    select(*STATE_COLUMNS)
    .select_from(t.claim.join(_EACH, true()).join(t.job, _J.id == _EACH.c.value))
    .where(t.claim.c.node_id == _b("node_"), _J.status == literal_column("3"), _J.node_id.is_(null()),
           _J.claimed_at == t.claim.c.created_at)
)  # fmt: skip
HELD_AHEAD = (
    select(_J.id, _J.priority, _J.class_id)
    .where(_J.wf == _b("wf_"), _J.status == literal_column("3"), _J.prefetched == literal_column("1"),
           _J.recalled == literal_column("0"), _J.node_id != _b("node_"))
    .order_by(_J.priority, _J.id.desc())
)  # fmt: skip
RECALL = update(t.job).where(_J.id == _b("job_")).values(recalled=literal_column("1"))
LISTED = update(t.job).where(_J.id == _b("job_")).values(missed=literal_column("0"))

# Nodes.
NODE_COLUMNS = (
    _N.id, _N.wf, _N.epoch, _N.hostname, _N.pid, _N.boot_id, _N.process_start, _N.num_cpus, _N.memory_bytes,
    _N.num_gpus, _N.gpu_ids, _N.num_nodes, _N.type, _N.label, _N.scheduler_id, _N.output_dir, _N.time_limit,
    _N.is_active, _N.start_time, _N.last_beat, _N.end_time, _N.state, _N.on_lost, _N.lease_seconds, _N.beats,
    _N.draining, _N.scheduler, _N.allocation_id, _N.restart_count, _N.duration_seconds, _N.avg_cpu_percent,
    _N.peak_cpu_percent, _N.avg_memory_bytes, _N.peak_memory_bytes, _N.sample_count,
)  # fmt: skip
NODE = select(*NODE_COLUMNS).where(_N.id == _b("node_"))
ACTIVE_NODES = select(func.count()).where(_N.wf == _b("wf_"), _N.is_active == literal_column("1"))
END_NODE = (
    update(t.node)
    .where(_N.id == _b("node_"), _N.state != literal_column("'ended'"))
    .values(
        is_active=literal_column("0"),
        state=literal_column("'ended'"),
        end_time=_b("now_"),
        duration_seconds=func.coalesce(
            _N.duration_seconds, (_b("now_") - _N.start_time) / literal_column("1000.0")
        ),
        avg_cpu_percent=func.coalesce(_b("avg_cpu_percent_"), _N.avg_cpu_percent),
        peak_cpu_percent=func.coalesce(_b("peak_cpu_percent_"), _N.peak_cpu_percent),
        avg_memory_bytes=func.coalesce(_b("avg_memory_bytes_"), _N.avg_memory_bytes),
        peak_memory_bytes=func.coalesce(_b("peak_memory_bytes_"), _N.peak_memory_bytes),
        sample_count=func.coalesce(_b("sample_count_"), _N.sample_count),
    )
    .returning(*NODE_COLUMNS)
)
NODE_OF_EPOCH = select(*NODE_COLUMNS).where(_N.epoch == _b("epoch_"), _N.wf == _WF)
BEAT = update(t.node).where(_N.id == _b("node_")).values(last_beat=_b("now_"))
NEWER_BEAT = (
    update(t.node)
    .where(_N.id == _b("node_"), _N.beat_number < _b("number_"))
    .values(beat_number=_b("number_"))
)
MINE = select(*STATE_COLUMNS).where(_J.node_id == _b("node_")).order_by(_J.id)
FORKED = update(t.job).where(_J.id == _b("job_")).values(forked=literal_column("1"))
MISSED = update(t.job).where(_J.id == _b("job_")).values(missed=_J.missed + 1)
ORDERS = (
    select(_J.id, _J.status, _J.priority, _J.stop, _J.prefetched, _J.recalled)
    .where(_J.node_id == _b("node_"),
           or_(_J.stop != literal_column("0"), _J.prefetched == literal_column("1")))
    .order_by(_J.id)
)  # fmt: skip
