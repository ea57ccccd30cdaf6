"""Statements about the database and workflows as a whole: ids, the lease, counts, runs, totals."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
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
    update,
)

from torc_sql import tables as t
from torc_sql.statements.attempts import CLAIMABLE, STATE_COLUMNS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _R, _N, _C = t.job.c, t.result.c, t.node.c, t.job_class.c
_SET, _MEMBER, _USE, _IN = t.dep_set.c, t.dep_member.c, t.dep_use.c, t.input_set.c
_F, _D = t.file.c, t.user_data.c

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
# PERF: one row: names by line, statuses as letters from A on. Making a hundred thousand rows took longer than all the
# rest of a summary by stages.
_STAGED = (
    select(_J.name, _J.status, _R.exec_minutes)
    .select_from(t.job.outerjoin(t.result, _R.id == _J.result_id))
    .where(_J.wf == _WF)
    .order_by(_J.id)
    .subquery("staged")
)
STAGED = select(
    func.group_concat(_STAGED.c.name, literal_column("char(10)")),
    func.group_concat(func.char(_STAGED.c.status + literal_column("65")), literal_column("''")),
    func.json_group_array(_STAGED.c.exec_minutes),
)
SAMPLED = (
    select(_J.id, _J.name, _J.status, _J.requirement_id, _R.exec_minutes)
    .select_from(t.job.outerjoin(t.result, _R.id == _J.result_id))
    .where(_J.wf == _WF, _J.id % _b("stride_") == literal_column("0"))
    .order_by(_J.id)
)
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
    t.workflow.c.compute_node_wait_for_healthy_database_minutes, t.workflow.c.has_job_triggers,
    t.workflow.c.use_pending_failed, t.workflow.c.retry_on_node_loss,
    select(func.min(_J.not_before)).where(_J.not_before.is_not(null())).scalar_subquery(),
    exists().where(t.action_run.c.wf == t.workflow.c.id, t.action_run.c.state == literal_column("'triggered'")),
    exists().where(t.operation.c.wf == t.workflow.c.id,
                   t.operation.c.status.in_([literal_column("'queued'"), literal_column("'running'")])),
    t.workflow.c.api_access, t.workflow.c.capability_generation, t.workflow.c.first_start, t.workflow.c.summed,
).where(t.workflow.c.id == _b("wf_"), t.workflow.c.deleting == literal_column("0"))  # fmt: skip

# Runs. `FRESH` are the statuses that an initialisation sets anew as long as nothing has ended.
_FRESH = _J.status.in_([literal_column("0"), literal_column("1"), literal_column("2"), literal_column("10")])
_UNMET = _J.unmet == literal_column("0")
FRESH = select(_J.status, _UNMET, func.count()).where(_J.wf == _WF, _FRESH).group_by(_J.status, _UNMET)
# What a run has come to: minutes of the current results (`summed`: the stored sum holds), first start, last end.
SUMS = select(
    t.workflow.c.exec_minutes, t.workflow.c.first_start, t.workflow.c.last_end, t.workflow.c.summed
).where(t.workflow.c.id == _WF)
ADD_SUMS = (
    update(t.workflow)
    .where(t.workflow.c.id == _WF)
    .values(
        exec_minutes=t.workflow.c.exec_minutes + _b("minutes_"),
        first_start=func.coalesce(t.workflow.c.first_start, _b("start_")),
        last_end=case(
            (t.workflow.c.last_end > func.coalesce(_b("end_"), literal_column("0")), t.workflow.c.last_end),
            else_=func.coalesce(_b("end_"), t.workflow.c.last_end),
        ),
    )
)
WRITE_SUM = (
    update(t.workflow)
    .where(t.workflow.c.id == _WF)
    .values(exec_minutes=_b("minutes_"), summed=literal_column("1"))
)
UNSUM = update(t.workflow).where(t.workflow.c.id == _WF).values(summed=literal_column("0"))
UNSUMMED = select(t.workflow.c.id).where(
    t.workflow.c.summed == literal_column("0"), t.workflow.c.deleting == literal_column("0")
)
BEGIN_RUN = (
    update(t.workflow)
    .where(t.workflow.c.id == _WF)
    .values(
        run_id=_b("run_"),
        initialized_run=_b("run_"),
        first_start=null(),
        last_end=null(),
        uses_gpus=exists().where(_C.wf == _WF, _C.num_gpus > literal_column("0"), _J.class_id == _C.id),
    )
)
_ANEW = {
    "run_id": _b("run_"), "attempt_id": literal_column("1"), "result_id": null(), "claimed_at": null(),
    "start_time": null(), "not_before": null(), "losses": literal_column("0"),
    "origin": func.nullif(_J.origin, literal_column("'retry'")),
}  # fmt: skip
"""NOTE: a node that has yet to stop an older attempt keeps the job, so that it cannot be claimed before."""
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
            .where(_J.wf == _WF, _J.class_id == _C.id, CLAIMABLE).scalar_subquery())
)  # fmt: skip
ALL_JOBS = (
    select(_J.id, _J.status, _J.cancel_on_blocking_job_failure, _J.name, _J.unmet)
    .where(_J.wf == _WF)
    .order_by(_J.id)
)
STATES = select(*STATE_COLUMNS).where(_J.wf == _WF).order_by(_J.id)
OF_STATUS = select(*STATE_COLUMNS).where(_J.wf == _WF, _J.status == _b("code_")).order_by(_J.id)
FIRST_DATA = (
    update(t.user_data)
    .where(_D.wf == _WF, _D.is_ephemeral == literal_column("1"),
           func.substr(_D.name, literal_column("1"), literal_column("16")) != literal_column("'__torc_lineage__'"))
    .values(data=t.user_data.c.initial_data)
)  # fmt: skip
_WRITTEN = exists().where(t.output_file.c.item_id == _F.id)
_READ = exists().where(t.input_member.c.item_id == _F.id, t.input_member.c.set_id == _IN.id,
                       _IN.kind == literal_column("'file'"), t.input_use.c.set_id == _IN.id)  # fmt: skip
_DONE = exists().where(
    t.output_file.c.item_id == _F.id, _J.id == t.output_file.c.job_id, _J.status == literal_column("5")
)
REQUIRED_FILES = (
    select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size, _F.content_hash)
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
UNWRITTEN_OUTPUT_DATA = (
    select(_D.id, _D.wf, _D.name, _D.data, _D.is_ephemeral)
    .distinct()
    .join(t.output_user_data, t.output_user_data.c.item_id == _D.id)
    .join(t.job, _J.id == t.output_user_data.c.job_id)
    .where(_D.wf == _WF, _D.data.is_(null()), _J.status == literal_column("5"))
)
OF_NODE_JOBS = select(*STATE_COLUMNS).where(_J.node_id == _b("node_"), _J.wf == _WF).order_by(_J.id)
INTERRUPTED = select(*STATE_COLUMNS).where(
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
    t.workflow.c.source_path, t.workflow.c.source_digest, t.workflow.c.uses_gpus, t.workflow.c.initialized_run,
    t.workflow.c.slurm_config, t.workflow.c.submit_options, t.workflow.c.capability_generation,
)  # fmt: skip
WORKFLOW = select(*WORKFLOW_COLUMNS).where(
    t.workflow.c.id == _WF, t.workflow.c.deleting == literal_column("0")
)
CURRENT_MINUTES = (
    select(func.coalesce(func.sum(_R.exec_minutes), literal_column("0.0")))
    .join(t.job, and_(_J.id == _R.job_id, _J.result_id == _R.id))
    .where(_R.wf == _WF)
)
_KIND = func.coalesce(_J.reason, literal_column("'exit_code'"))
FAILURES = select(_KIND, func.count()).where(_J.wf == _WF, _J.status == literal_column("6")).group_by(_KIND)
