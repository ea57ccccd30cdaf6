"""Every statement, built once, named after what it does. Executed as text: see `compiling`.

Parameters end in an underscore where a column of that name exists, as SQLAlchemy wants them to differ.
"""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
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
FREE_LEASE = (
    update(t.server_lease).where(t.server_lease.c.epoch == _b("epoch_")).values(pid=literal_column("0"))
)

# Counts that are kept beside the jobs.
COUNT_JOBS = (
    update(t.status_count)
    .where(t.status_count.c.wf == _b("wf_"), t.status_count.c.status == _b("status_"))
    .values(jobs=t.status_count.c.jobs + _b("delta"))
)
COUNT_READY = (
    update(t.job_class)
    .where(t.job_class.c.id == _b("class_"))
    .values(num_ready=t.job_class.c.num_ready + _b("delta"))
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
_FREED = {
    "node_id": null(), "lease": null(), "prefetched": literal_column("0"), "forked": literal_column("0"),
    "missed": literal_column("0"), "recalled": literal_column("0"), "stop": literal_column("0"),
}  # fmt: skip
_AT = and_(_J.id == _b("job_"), _J.status == _b("was_"))
END = (
    update(t.job)
    .where(_AT)
    .values(status=_b("status_"), reason=_b("reason_"), result_id=_b("result_"), **_FREED)
)
CONFIRM = update(t.job).where(_J.id == _b("job_")).values(result_id=_b("result_"), **_FREED)
POINT = update(t.job).where(_J.id == _b("job_")).values(result_id=_b("result_"))
AGAIN = (
    update(t.job)
    .where(_AT)
    .values(status=_b("status_"), attempt_id=_b("attempt_"), ready_since=_b("now_"), claimed_at=null(),
            start_time=null(), reason=null(), **_FREED)
)  # fmt: skip
EXPIRE = update(t.job).where(_AT).values(status=_b("status_"), ready_since=_b("now_"))
START = (
    update(t.job)
    .where(_AT)
    .values(status=_b("status_"), start_time=_b("now_"), node_id=_b("node_"), prefetched=_b("prefetched_"))
)
HALT = update(t.job).where(_AT).values(status=_b("status_"), reason=_b("reason_"), stop=_b("stop_"))
CALL_OFF = update(t.job).where(_AT).values(status=_b("status_"), reason=_b("reason_"), **_FREED)
ORDER = update(t.job).where(_J.id == _b("job_")).values(stop=_b("stop_"))

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
MEMBERSHIPS = (
    select(_MEMBER.set_id, _SET.remaining, _SET.bad)
    .join(t.dep_set, _SET.id == _MEMBER.set_id)
    .where(_MEMBER.job_id == _b("job_"))
    .order_by(_MEMBER.set_id)
)
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
    .returning(_J.class_id, _J.unmet)
)

# Claims.
_C = t.job_class.c
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
            start_time=_b("start_"), prefetched=_b("prefetched_"))
    .returning(*JOB_COLUMNS, _J.class_id)
)  # fmt: skip
LIVE_CLASSES = (
    select(_J.class_id, _J.prefetched, func.count())
    .where(_J.node_id == _b("node_"))
    .group_by(_J.class_id, _J.prefetched)
)
ANY_OUTPUT = select(t.output_file.c.item_id).where(t.output_file.c.wf == _b("wf_")).limit(literal_column("1"))
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
    .limit(literal_column("1"))
)  # fmt: skip
PLACE = update(t.job).where(_J.id == _b("job_")).values(prefetched=literal_column("0"))
FORGET_CLAIMS = delete(t.claim).where(t.claim.c.node_id == _b("node_"), t.claim.c.created_at < _b("before_"))
BY_HAND = select(*_STATE).where(
    _J.wf == _b("wf_"),
    _J.status == literal_column("3"),
    _J.node_id.is_(null()),
    _J.claimed_at <= _b("before_"),
)
HELD_AHEAD = (
    select(_J.id, _J.priority, _J.class_id)
    .where(_J.wf == _b("wf_"), _J.status == literal_column("3"), _J.prefetched == literal_column("1"),
           _J.recalled == literal_column("0"), _J.node_id != _b("node_"))
    .order_by(_J.priority, _J.id.desc())
)  # fmt: skip
RECALL = update(t.job).where(_J.id == _b("job_")).values(recalled=literal_column("1"))
LISTED = update(t.job).where(_J.id == _b("job_")).values(missed=literal_column("0"))

# Nodes.
_N = t.node.c
NODE_COLUMNS = (
    _N.id, _N.wf, _N.epoch, _N.hostname, _N.pid, _N.boot_id, _N.process_start, _N.num_cpus, _N.memory_bytes,
    _N.num_gpus, _N.gpu_ids, _N.num_nodes, _N.type, _N.label, _N.scheduler_id, _N.output_dir, _N.time_limit,
    _N.is_active, _N.start_time, _N.last_beat, _N.end_time,
)  # fmt: skip
NODE = select(*NODE_COLUMNS).where(_N.id == _b("node_"))
ACTIVE_NODES = select(func.count()).where(_N.wf == _b("wf_"), _N.is_active == literal_column("1"))
END_NODE = (
    update(t.node)
    .where(_N.id == _b("node_"), _N.is_active == literal_column("1"))
    .values(is_active=literal_column("0"), end_time=_b("now_"))
    .returning(*NODE_COLUMNS)
)

# Relations.
_WF: BindParameter[int] = _b("wf_")
OF_JOB = select(_J.wf).where(_J.id == _b("id_"))
OF_FILE = select(t.file.c.wf).where(t.file.c.id == _b("id_"))
OF_USER_DATA = select(t.user_data.c.wf).where(t.user_data.c.id == _b("id_"))
OF_REQUIREMENT = select(t.requirement.c.wf).where(t.requirement.c.id == _b("id_"))
OF_SCHEDULER = select(t.scheduler.c.wf).where(t.scheduler.c.id == _b("id_"))
OF_HANDLER = select(t.handler.c.wf).where(t.handler.c.id == _b("id_"))
STATUS_OF = select(_J.status).where(_J.id == _b("job_"))
NAME_OF = select(_J.name).where(_J.id == _b("job_"))
DEP_SET_OF = select(_SET.id).where(_SET.wf == _WF, _SET.digest == _b("digest_"))
MEMBERS = select(_MEMBER.job_id).where(_MEMBER.set_id == _b("set_")).order_by(_MEMBER.job_id)
WRITE_COUNTERS = (
    update(t.job).where(_J.id == _b("job_")).values(unmet=_b("unmet_"), num_blockers=_b("blockers_"))
)
CLEAR_COUNTERS = (
    update(t.job).where(_J.wf == _WF).values(unmet=literal_column("0"), num_blockers=literal_column("0"))
)
ALL_MEMBERS = (
    select(_MEMBER.set_id, _MEMBER.job_id).where(_MEMBER.wf == _WF).order_by(_MEMBER.set_id, _MEMBER.job_id)
)
ALL_USES = select(_USE.job_id, _USE.set_id).where(_USE.wf == _WF).order_by(_USE.job_id, _USE.set_id)
OPEN_SETS = select(_SET.id).where(_SET.wf == _WF, _SET.remaining > 0)
ADD_USE = text(
    "INSERT INTO dep_use (job_id, set_id, wf, sources) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (job_id, set_id) DO UPDATE SET sources = dep_use.sources | excluded.sources"
)
"""NOTE: text, because the upsert of SQLAlchemy is another construct for every database."""
STRIP_USES = update(t.dep_use).where(_USE.wf == _WF).values(sources=_USE.sources.op("&")(_b("kept_")))
STRIP_JOB_USES = (
    update(t.dep_use).where(_USE.job_id == _b("job_")).values(sources=_USE.sources.op("&")(_b("kept_")))
)
DROP_EMPTY_USES = delete(t.dep_use).where(_USE.wf == _WF, _USE.sources == literal_column("0"))
UNDERIVE = update(t.workflow).where(t.workflow.c.id == _WF).values(derived=literal_column("0"))
DERIVED = update(t.workflow).where(t.workflow.c.id == _WF).values(derived=literal_column("1"))
_IN = t.input_set.c
INPUT_SET_OF = select(_IN.id).where(_IN.wf == _WF, _IN.kind == _b("kind_"), _IN.digest == _b("digest_"))
FORGET_SETS = update(t.input_set).where(_IN.wf == _WF).values(dep_set_id=null())
REMEMBER_SET = update(t.input_set).where(_IN.id == _b("input_")).values(dep_set_id=_b("set_"))
INPUT_USERS = select(t.input_use.c.job_id).where(t.input_use.c.set_id == _b("set_"))


def _producers(kind: str, outputs: Table) -> Select[tuple[int, int]]:
    """(input set, job that writes one of its items), in this order, each once."""
    return (
        select(_IN.id, outputs.c.job_id)
        .distinct()
        .join(t.input_member, t.input_member.c.set_id == _IN.id)
        .join(outputs, outputs.c.item_id == t.input_member.c.item_id)
        .where(_IN.wf == _WF, _IN.kind == literal_column(f"'{kind}'"))
        .order_by(_IN.id, outputs.c.job_id)
    )


PRODUCERS_FILE = _producers("file", t.output_file)
PRODUCERS_USER_DATA = _producers("user_data", t.output_user_data)
_UNUSED = select(_SET.id).where(_SET.wf == _WF, ~exists().where(_USE.set_id == _SET.id))
DROP_UNUSED_MEMBERS = delete(t.dep_member).where(_MEMBER.set_id.in_(_UNUSED))
DROP_UNUSED_SETS = delete(t.dep_set).where(_SET.id.in_(_UNUSED))
UNSHARE = update(t.dep_set).where(_SET.id == _b("set_")).values(digest=null(), size=_SET.size - 1)
DROP_MEMBERSHIPS = delete(t.dep_member).where(_MEMBER.job_id == _b("job_"))
DROP_USES = delete(t.dep_use).where(_USE.job_id == _b("job_"))
DROP_INPUT_USES = delete(t.input_use).where(t.input_use.c.job_id == _b("job_"))
DROP_INPUTS = delete(t.input_use).where(
    t.input_use.c.job_id == _b("job_"),
    t.input_use.c.set_id.in_(select(_IN.id).where(_IN.id == t.input_use.c.set_id, _IN.kind == _b("kind_"))),
)
DROP_JOB_OUTPUT_FILE = delete(t.output_file).where(t.output_file.c.job_id == _b("job_"))
DROP_JOB_OUTPUT_USER_DATA = delete(t.output_user_data).where(t.output_user_data.c.job_id == _b("job_"))
DROP_RESULTS = delete(t.result).where(_R.job_id == _b("job_"))
DROP_WATCHES = delete(t.action_job).where(t.action_job.c.job_id == _b("job_"))
CLASS_OF = select(_C.id).where(
    _C.wf == _WF, _C.num_cpus == _b("cpus_"), _C.memory_bytes == _b("memory_"), _C.num_gpus == _b("gpus_"),
    _C.num_nodes == _b("nodes_"), _C.runtime_s == _b("runtime_"),
    func.coalesce(_C.scheduler_id, literal_column("0")) == func.coalesce(_b("scheduler_"), literal_column("0")),
    func.coalesce(_C.label, literal_column("''")) == func.coalesce(_b("label_"), literal_column("''")),
)  # fmt: skip
NODE_OF_EPOCH = select(*NODE_COLUMNS).where(_N.epoch == _b("epoch_"), _N.wf == _WF)
BEAT = update(t.node).where(_N.id == _b("node_")).values(last_beat=_b("now_"))
MINE = select(*_STATE).where(_J.node_id == _b("node_")).order_by(_J.id)
FORKED = update(t.job).where(_J.id == _b("job_")).values(forked=literal_column("1"))
MISSED = update(t.job).where(_J.id == _b("job_")).values(missed=_J.missed + 1)
ORDERS = (
    select(_J.id, _J.status, _J.priority, _J.stop, _J.prefetched, _J.recalled)
    .where(_J.node_id == _b("node_"),
           or_(_J.stop != literal_column("0"), _J.prefetched == literal_column("1")))
    .order_by(_J.id)
)  # fmt: skip

# Runs. `FRESH` are the statuses that an initialisation sets anew as long as nothing has ended.
_FRESH = _J.status.in_([literal_column("0"), literal_column("1"), literal_column("2"), literal_column("10")])
_UNMET = _J.unmet == literal_column("0")
FRESH = select(_J.status, _UNMET, func.count()).where(_J.wf == _WF, _FRESH).group_by(_J.status, _UNMET)
BEGIN_RUN = (
    update(t.workflow).where(t.workflow.c.id == _WF).values(run_id=_b("run_"), initialized_run=_b("run_"))
)
_ANEW = {
    "run_id": _b("run_"), "attempt_id": literal_column("1"), "result_id": null(), "claimed_at": null(),
    "start_time": null(), **_FREED,
}  # fmt: skip
SET_ALL_ANEW = (
    update(t.job)
    .where(_J.wf == _WF, _FRESH)
    .values(status=case((_UNMET, literal_column("2")), else_=literal_column("1")), reason=null(),
            ready_since=case((_UNMET, _b("now_")), else_=null()), **_ANEW)
)  # fmt: skip
SET_ANEW = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(status=_b("status_"), reason=_b("reason_"), ready_since=_b("since_"), unmet=_b("unmet_"), **_ANEW)
)
NEXT_RUN = update(t.job).where(_J.wf == _WF, _J.status == literal_column("2"), _J.run_id != _b("run_")).values(
    run_id=_b("run_"), attempt_id=literal_column("1")
)  # fmt: skip
COUNT_ALL_READY = (
    update(t.job_class)
    .where(_C.wf == _WF)
    .values(num_ready=select(func.count())
            .where(_J.wf == _WF, _J.class_id == _C.id, _CLAIMABLE).scalar_subquery())
)  # fmt: skip
ALL_JOBS = (
    select(_J.id, _J.status, _J.cancel_on_blocking_job_failure, _J.name, _J.unmet)
    .where(_J.wf == _WF)
    .order_by(_J.id)
)
OF_STATUS = select(*_STATE).where(_J.wf == _WF, _J.status == _b("code_")).order_by(_J.id)
FIRST_DATA = (
    update(t.user_data)
    .where(t.user_data.c.wf == _WF, t.user_data.c.is_ephemeral == literal_column("1"))
    .values(data=t.user_data.c.initial_data)
)
_F, _D = t.file.c, t.user_data.c
_WRITTEN = exists().where(t.output_file.c.item_id == _F.id)
_READ = exists().where(t.input_member.c.item_id == _F.id, t.input_member.c.set_id == _IN.id,
                       _IN.kind == literal_column("'file'"), t.input_use.c.set_id == _IN.id)  # fmt: skip
_DONE = exists().where(
    t.output_file.c.item_id == _F.id, _J.id == t.output_file.c.job_id, _J.status == literal_column("5")
)
REQUIRED_FILES = (
    select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size)
    .where(_F.wf == _WF, or_(and_(_READ, ~_WRITTEN), _DONE))
    .order_by(_F.id)
)
MISSING_USER_DATA = (
    select(_D.id, _D.wf, _D.name, _D.data, _D.is_ephemeral)
    .where(
        _D.wf == _WF, _D.data.is_(null()), ~exists().where(t.output_user_data.c.item_id == _D.id),
        exists().where(t.input_member.c.item_id == _D.id, t.input_member.c.set_id == _IN.id,
                       _IN.kind == literal_column("'user_data'"), t.input_use.c.set_id == _IN.id),
    )
    .order_by(_D.id)
)  # fmt: skip
OF_NODE_JOBS = select(*_STATE).where(_J.node_id == _b("node_"), _J.wf == _WF).order_by(_J.id)
INTERRUPTED = select(*_STATE).where(
    _J.wf == _WF, _J.status.in_([literal_column("6"), literal_column("8")]), _J.reason.is_not(null())
).order_by(_J.id)  # fmt: skip
CALL_OFF_ALL = update(t.workflow).where(t.workflow.c.id == _WF).values(is_canceled=literal_column("1"))

# Totals.
WORKFLOW_COLUMNS = (
    t.workflow.c.id, t.workflow.c.name, t.workflow.c.user, t.workflow.c.description, t.workflow.c.project,
    t.workflow.c.metadata, t.workflow.c.created_at, t.workflow.c.run_id, t.workflow.c.is_canceled,
    t.workflow.c.is_archived, t.workflow.c.env, t.workflow.c.execution_config,
    t.workflow.c.resource_monitor_config, t.workflow.c.slurm_defaults, t.workflow.c.dynamic_jobs,
    t.workflow.c.notify, t.workflow.c.report, t.workflow.c.api_access, t.workflow.c.use_pending_failed,
    t.workflow.c.enable_ro_crate, t.workflow.c.retry_on_node_loss,
    t.workflow.c.compute_node_wait_for_new_jobs_seconds,
    t.workflow.c.compute_node_ignore_workflow_completion,
    t.workflow.c.compute_node_wait_for_healthy_database_minutes,
    t.workflow.c.compute_node_min_time_for_new_jobs_seconds,
    t.workflow.c.compute_node_expiration_buffer_seconds, t.workflow.c.submission_directory,
    t.workflow.c.source_path, t.workflow.c.source_digest, t.workflow.c.uses_gpus,
)  # fmt: skip
WORKFLOW = select(*WORKFLOW_COLUMNS).where(
    t.workflow.c.id == _WF, t.workflow.c.deleting == literal_column("0")
)
CURRENT_RESULTS = (
    select(func.coalesce(func.sum(_R.exec_minutes), literal_column("0.0")),
           func.max(case((_R.run_id == _b("run_"), _R.completed_at))))
    .join(t.job, and_(_J.id == _R.job_id, _J.result_id == _R.id))
    .where(_R.wf == _WF)
)  # fmt: skip
FIRST_START = select(func.min(_J.start_time)).where(_J.wf == _WF, _J.run_id == _b("run_"))
_KIND = func.coalesce(_J.reason, literal_column("'exit_code'"))
FAILURES = select(_KIND, func.count()).where(_J.wf == _WF, _J.status == literal_column("6")).group_by(_KIND)

# Lists; the conditions are put behind by `finding`.
ALL_WORKFLOW = select(*WORKFLOW_COLUMNS)
ALL_JOB = select(*JOB_COLUMNS)
ALL_FILE = select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size)
ALL_USER_DATA = select(_D.id, _D.wf, _D.name, _D.data, _D.is_ephemeral)
ALL_RESOURCE_REQUIREMENTS = select(*t.requirement.c)
ALL_FAILURE_HANDLER = select(*t.handler.c)
ALL_SLURM_SCHEDULER = select(*t.scheduler.c)
ALL_WORKFLOW_ACTION = select(*t.action.c)
ALL_RESULT = select(*t.result.c, _J.name, func.coalesce(_J.result_id == _R.id, literal_column("0"))).join(
    t.job, _J.id == _R.job_id
)
ALL_EVENT = select(*t.event.c)
ALL_COMPUTE_NODE = select(*NODE_COLUMNS)
ACTION_JOBS = (
    select(t.action_job.c.job_id)
    .where(t.action_job.c.action_id == _b("action_"))
    .order_by(t.action_job.c.job_id)
)

# Pairs.
WAITERS = (
    select(_J.id, _J.name, _J.num_blockers)
    .where(_J.wf == _WF, _J.num_blockers > literal_column("0"))
    .order_by(_J.id)
)
WAITING_FOR = (
    select(_USE.job_id).join(t.dep_member, _MEMBER.set_id == _USE.set_id).where(_MEMBER.job_id == _b("job_"))
)
_BLOCKER = t.job.alias("blocker")
BLOCKERS = (
    select(_MEMBER.job_id, _BLOCKER.c.name)
    .distinct()
    .join(t.dep_use, _USE.set_id == _MEMBER.set_id)
    .join(_BLOCKER, _BLOCKER.c.id == _MEMBER.job_id)
    .where(_USE.job_id == _b("job_"))
    .order_by(_MEMBER.job_id)
)


def _job_names(kind: str, outputs: Table) -> Select[tuple[int, str]]:
    """The jobs that read or write files, or user data, with their names."""
    reading = exists().where(
        t.input_use.c.job_id == _J.id, _IN.id == t.input_use.c.set_id, _IN.kind == literal_column(f"'{kind}'")
    )
    return select(_J.id, _J.name).where(_J.wf == _WF, or_(exists().where(outputs.c.job_id == _J.id), reading))


def _sets(kind: str) -> Select[tuple[int, int]]:
    """(item, input set that has it) in this order."""
    return (
        select(t.input_member.c.item_id, _IN.id)
        .join(t.input_set, _IN.id == t.input_member.c.set_id)
        .where(_IN.wf == _WF, _IN.kind == literal_column(f"'{kind}'"))
        .order_by(t.input_member.c.item_id, _IN.id)
    )


FILE_JOBS = _job_names("file", t.output_file)
FILE_NAMES = select(_F.id, _F.name, _F.path).where(_F.wf == _WF)
FILE_SETS = _sets("file")
FILE_WRITERS = (
    select(t.output_file.c.item_id, t.output_file.c.job_id)
    .where(t.output_file.c.wf == _WF)
    .order_by(t.output_file.c.item_id, t.output_file.c.job_id)
)
USER_DATA_JOBS = _job_names("user_data", t.output_user_data)
USER_DATA_NAMES = select(_D.id, _D.name).where(_D.wf == _WF)
USER_DATA_SETS = _sets("user_data")
USER_DATA_WRITERS = (
    select(t.output_user_data.c.item_id, t.output_user_data.c.job_id)
    .where(t.output_user_data.c.wf == _WF)
    .order_by(t.output_user_data.c.item_id, t.output_user_data.c.job_id)
)

# Changes of records.
REQUIREMENT = select(*t.requirement.c).where(t.requirement.c.id == _b("id_"))
DEFAULT_REQUIREMENT = (
    select(t.requirement.c.id)
    .where(t.requirement.c.wf == _WF, t.requirement.c.name == literal_column("'default'"))
    .order_by(t.requirement.c.id)
    .limit(literal_column("1"))
)
REQUIREMENT_USERS = select(func.count()).where(_J.requirement_id == _b("id_"))
SAME_NAME = select(_J.id).where(_J.wf == _WF, _J.name == _b("name_")).order_by(_J.id)
SWITCH = update(t.job).where(_AT).values(status=_b("status_"), ready_since=null())
NEEDED = (
    select(t.requirement.c.num_cpus, t.requirement.c.memory_bytes, t.requirement.c.num_gpus,
           t.requirement.c.num_nodes, t.requirement.c.runtime_s, _J.scheduler_id, _J.label)
    .join(t.job, _J.requirement_id == t.requirement.c.id)
    .where(_J.id == _b("job_"))
)  # fmt: skip
RECLASS = update(t.job).where(_J.id == _b("job_")).values(class_id=_b("class_"))
CLASSES_OF = select(_J.class_id).distinct().where(_J.requirement_id == _b("id_"))
RECLASS_ALL = (
    update(t.job)
    .where(_J.requirement_id == _b("id_"), _J.class_id == _b("old_"))
    .values(class_id=_b("class_"))
)
FORGET_RESULT = (
    update(t.job).where(_J.id == _b("job_"), _J.result_id == _b("result_")).values(result_id=null())
)
FORGET_HANDLER = (
    update(t.job).where(_J.wf == _WF, _J.failure_handler_id == _b("id_")).values(failure_handler_id=null())
)
OF_SCHEDULER_JOBS = select(*_STATE).where(_J.wf == _WF, _J.scheduler_id == _b("id_"))
FORGET_NODE_CLAIMS = delete(t.claim).where(t.claim.c.node_id == _b("node_"))
SETS_OF_ITEM = (
    select(_IN.id)
    .join(t.input_member, t.input_member.c.set_id == _IN.id)
    .where(t.input_member.c.item_id == _b("id_"), _IN.kind == _b("kind_"))
)
DROP_ITEM = delete(t.input_member).where(
    t.input_member.c.set_id == _b("set_"), t.input_member.c.item_id == _b("id_")
)
UNSHARE_INPUT = (
    update(t.input_set).where(_IN.id == _b("set_")).values(digest=_b("digest_"), size=_IN.size - 1)
)
CLASS_OF_JOB = select(_J.class_id).where(_J.id == _b("job_"))
VISIBLE = (
    select(t.workflow.c.id).where(t.workflow.c.deleting == literal_column("0")).order_by(t.workflow.c.id)
)

# Sets that have lost members find their equals again.
ALONE_SETS = select(_SET.id).where(_SET.wf == _WF, _SET.digest.is_(null())).order_by(_SET.id)
USES_OF_SET = select(_USE.job_id, _USE.sources).where(_USE.set_id == _b("set_")).order_by(_USE.job_id)
DROP_USES_OF_SET = delete(t.dep_use).where(_USE.set_id == _b("set_"))
SHARE = update(t.dep_set).where(_SET.id == _b("set_")).values(digest=_b("digest_"))
