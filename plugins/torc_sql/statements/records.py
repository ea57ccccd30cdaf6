"""Statements about records without verbs: lists, to which `finding` adds conditions, and changes."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
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
from torc_sql.statements.attempts import AT_STATUS, JOB_COLUMNS, NODE_COLUMNS, STATE_COLUMNS
from torc_sql.statements.whole import WORKFLOW_COLUMNS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _R, _N, _C = t.job.c, t.result.c, t.node.c, t.job_class.c
_SET, _MEMBER, _USE, _IN = t.dep_set.c, t.dep_member.c, t.dep_use.c, t.input_set.c
_F, _D = t.file.c, t.user_data.c

# Lists; the conditions are put behind by `finding`.
ALL_WORKFLOW = select(*WORKFLOW_COLUMNS)
ALL_JOB = select(*JOB_COLUMNS)
ALL_FILE = select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size, _F.content_hash)
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
ALL_SCHEDULED_COMPUTE_NODE = select(*t.allocation.c)
ALL_REMOTE_WORKER = select(*t.remote_worker.c)
ALL_SLURM_STATS = select(*t.slurm_stats.c)
ALL_ACTION_RUN = select(*t.action_run.c)
ALL_TASK = select(*t.operation.c)
ALL_LOCAL_SCHEDULER = select(*t.local_scheduler.c)
ALL_RO_CRATE_ENTITY = select(*t.entity.c)
ALL_ACCESS_GROUP = select(*t.group.c)
ALL_USER_GROUP_MEMBERSHIP = select(*t.membership.c)
ALL_WORKFLOW_ACCESS_GROUP = select(*t.group_link.c)
ALL_TOKEN = select(*t.token.c)
ALL_AUDIT = select(*t.audit.c)
ACTION_JOBS = (
    select(t.action_job.c.job_id)
    .where(t.action_job.c.action_id == _b("action_"))
    .order_by(t.action_job.c.job_id)
)

# Changes of records.
REQUIREMENT = select(*t.requirement.c).where(t.requirement.c.id == _b("id_"))
DEFAULT_REQUIREMENT = (
    select(t.requirement.c.id)
    .where(t.requirement.c.wf == _WF, t.requirement.c.name == literal_column("'default'"))
    .order_by(t.requirement.c.id)
    .limit(literal_column("1"))
)
_NAMES = select(func.json_each(_b("names_")).table_valued("value").c.value).scalar_subquery()
TAKEN_JOB = select(_J.name, _J.id).where(_J.wf == _WF, _J.name.in_(_NAMES)).order_by(_J.id)
TAKEN_FILE = select(_F.name, _F.id).where(_F.wf == _WF, _F.name.in_(_NAMES)).order_by(_F.id)
TAKEN_USER_DATA = select(_D.name, _D.id).where(_D.wf == _WF, _D.name.in_(_NAMES)).order_by(_D.id)
TAKEN_FAILURE_HANDLER = (
    select(t.handler.c.name, t.handler.c.id)
    .where(t.handler.c.wf == _WF, t.handler.c.name.in_(_NAMES))
    .order_by(t.handler.c.id)
)
TAKEN_RESOURCE_REQUIREMENTS = (
    select(t.requirement.c.name, t.requirement.c.id)
    .where(t.requirement.c.wf == _WF, t.requirement.c.name.in_(_NAMES))
    .order_by(t.requirement.c.id)
)
JOBS_BETWEEN = select(*JOB_COLUMNS).where(_J.id.between(_b("first_"), _b("last_"))).order_by(_J.id)
GIVE_REQUIREMENT = (
    update(t.job).where(_J.requirement_id == _b("id_"), _J.wf == _WF).values(requirement_id=_b("other_"))
)
FORGET_NODE_SCHEDULER = update(t.node).where(_N.scheduler_id == _b("id_")).values(scheduler_id=null())
FORGET_ALLOCATION_SCHEDULER = (
    update(t.allocation)
    .where(t.allocation.c.scheduler_config_id == _b("id_"))
    .values(scheduler_config_id=null())
)
DROP_SCHEDULER_CLASSES = delete(t.job_class).where(_C.scheduler_id == _b("id_"))
FORGET_ENTITY_FILE = update(t.entity).where(t.entity.c.file_id == _b("id_")).values(file_id=null())
FILE_USED = select(_F.id).where(
    _F.id == _b("id_"),
    or_(
        exists().where(t.output_file.c.item_id == _F.id),
        exists().where(t.input_member.c.item_id == _F.id, t.input_member.c.set_id == _IN.id,
                       _IN.kind == literal_column("'file'"), t.input_use.c.set_id == _IN.id),
    ),
)  # fmt: skip
GROUP_NAMED = select(t.group.c.id).where(t.group.c.name == _b("name_"))
DROP_MEMBERS = delete(t.membership).where(t.membership.c.group_id == _b("id_"))
DROP_LINKS = delete(t.group_link).where(t.group_link.c.group_id == _b("id_"))
SWITCH = update(t.job).where(AT_STATUS).values(status=_b("status_"), ready_since=null(), not_before=null())
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
OF_SCHEDULER_JOBS = select(*STATE_COLUMNS).where(_J.wf == _WF, _J.scheduler_id == _b("id_"))
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
