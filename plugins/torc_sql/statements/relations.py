"""Statements about what jobs read, write and wait for."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    bindparam,
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
from torc_sql.statements.attempts import IDS

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _R, _N, _C = t.job.c, t.result.c, t.node.c, t.job_class.c
_SET, _MEMBER, _USE, _IN = t.dep_set.c, t.dep_member.c, t.dep_use.c, t.input_set.c
_F, _D = t.file.c, t.user_data.c

# Relations.
_NONE: ColumnElement[int] = literal_column("0")
KNOWN_JOB = select(_J.id, _J.status).where(_J.wf == _WF, _J.id.in_(IDS))
KNOWN_FILE = select(_F.id, _NONE).where(_F.wf == _WF, _F.id.in_(IDS))
KNOWN_USER_DATA = select(_D.id, _NONE).where(_D.wf == _WF, _D.id.in_(IDS))
KNOWN_RESOURCE_REQUIREMENTS = select(t.requirement.c.id, _NONE).where(
    t.requirement.c.wf == _WF, t.requirement.c.id.in_(IDS)
)
KNOWN_SLURM_SCHEDULER = select(t.scheduler.c.id, _NONE).where(
    t.scheduler.c.wf == _WF, t.scheduler.c.id.in_(IDS)
)
KNOWN_FAILURE_HANDLER = select(t.handler.c.id, _NONE).where(t.handler.c.wf == _WF, t.handler.c.id.in_(IDS))
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
ANY_INPUT = select(_IN.id).where(_IN.wf == _WF).limit(literal_column("1"))
BLOCKER_SOURCES = (
    select(_MEMBER.job_id, _USE.sources)
    .join(t.dep_use, _USE.set_id == _MEMBER.set_id)
    .where(_USE.job_id == _b("job_"))
)


def _inputs(kind: str) -> Select[tuple[int]]:
    return (
        select(t.input_member.c.item_id)
        .join(t.input_set, _IN.id == t.input_member.c.set_id)
        .join(t.input_use, t.input_use.c.set_id == _IN.id)
        .where(t.input_use.c.job_id == _b("job_"), _IN.kind == literal_column(f"'{kind}'"))
    )


INPUTS_FILE = _inputs("file")
INPUTS_USER_DATA = _inputs("user_data")
OUTPUTS_FILE = select(t.output_file.c.item_id).where(t.output_file.c.job_id == _b("job_"))
OUTPUTS_USER_DATA = select(t.output_user_data.c.item_id).where(t.output_user_data.c.job_id == _b("job_"))
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
DROP_STATS = delete(t.slurm_stats).where(t.slurm_stats.c.job_id == _b("job_"))
DROP_WATCHES = delete(t.action_job).where(t.action_job.c.job_id == _b("job_"))
CLASS_OF = select(_C.id).where(
    _C.wf == _WF, _C.num_cpus == _b("cpus_"), _C.memory_bytes == _b("memory_"), _C.num_gpus == _b("gpus_"),
    _C.num_nodes == _b("nodes_"), _C.runtime_s == _b("runtime_"),
    func.coalesce(_C.scheduler_id, literal_column("0")) == func.coalesce(_b("scheduler_"), literal_column("0")),
    func.coalesce(_C.label, literal_column("''")) == func.coalesce(_b("label_"), literal_column("''")),
)  # fmt: skip
# Sets that have lost members find their equals again.
ALONE_SETS = select(_SET.id).where(_SET.wf == _WF, _SET.digest.is_(null())).order_by(_SET.id)
USES_OF_SET = select(_USE.job_id, _USE.sources).where(_USE.set_id == _b("set_")).order_by(_USE.job_id)
DROP_USES_OF_SET = delete(t.dep_use).where(_USE.set_id == _b("set_"))
SHARE = update(t.dep_set).where(_SET.id == _b("set_")).values(digest=_b("digest_"))

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
