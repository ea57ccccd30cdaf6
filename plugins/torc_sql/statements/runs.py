"""Statements about jobs that begin anew: set back, moved by hand, tried again, and what they were made of."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)

from torc_sql import tables as t
from torc_sql.statements.attempts import AT_STATUS, FREED, IDS, STATE_COLUMNS, summed

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _R, _N, _C = t.job.c, t.result.c, t.node.c, t.job_class.c
_SET, _MEMBER, _USE, _IN = t.dep_set.c, t.dep_member.c, t.dep_use.c, t.input_set.c
_F, _D = t.file.c, t.user_data.c
_ITEM, _READS = t.input_member.c, t.input_use.c

# What waits for jobs, directly or not: jobs and sets take turns, so that it is linear in rows and not in pairs.
DOWNSTREAM = text(
    "WITH RECURSIVE reached (kind, id) AS ("
    " SELECT 0, value FROM json_each(:jobs_)"
    " UNION"
    " SELECT 1 - reached.kind, coalesce(dep_member.set_id, dep_use.job_id) FROM reached"
    " LEFT JOIN dep_member ON reached.kind = 0 AND dep_member.job_id = reached.id"
    " LEFT JOIN dep_use ON reached.kind = 1 AND dep_use.set_id = reached.id"
    " WHERE coalesce(dep_member.set_id, dep_use.job_id) IS NOT NULL"
    ") SELECT id FROM reached WHERE kind = 0"
)
"""NOTE: text, because the two joins depend on which of the two kinds a row is."""

# Set back; `torc_core.engine.resets.set_back` for any number of jobs.
_USED = or_(_J.result_id.is_not(null()), _J.status == literal_column("4"), _J.stop != literal_column("0"))
_BACK = {
    "status": literal_column("0"), "attempt_id": _J.attempt_id + case((_USED, literal_column("1")), else_=literal_column("0")),
    "reason": null(), "result_id": null(), "claimed_at": null(), "start_time": null(), "ready_since": null(),
    "not_before": null(),
}  # fmt: skip
SET_BACK = update(t.job).where(_J.id.in_(IDS)).values(**{**_BACK, **FREED})
SET_BACK_HELD = update(t.job).where(_J.id.in_(IDS)).values(**_BACK, stop=literal_column("1"))

# Moved by hand, tried again: where nobody has the job any more, and where its node has to stop it first.
_ANEW = {
    "status": _b("status_"), "run_id": _b("run_"), "attempt_id": _b("attempt_"), "claimed_at": _b("claimed_"),
    "start_time": _b("start_"), "ready_since": _b("since_"), "reason": null(), "not_before": null(),
    "result_id": _b("result_"),
}  # fmt: skip
PUT = update(t.job).where(AT_STATUS).values(**{**_ANEW, **FREED})
PUT_HELD = update(t.job).where(AT_STATUS).values(**_ANEW, stop=_b("stop_"))
PUT_LIVE = update(t.job).where(AT_STATUS).values(status=_b("status_"), start_time=_b("start_"))
REVIVED = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(origin=func.coalesce(_J.origin, literal_column("'retry'")))
)

# Counters from nothing: linear in rows (`engine.md` §5.6).
_BLOCKER = t.job.alias("blocker")


def _members(statuses: str) -> ColumnElement[int]:
    """How many members of a set are in one of these statuses."""
    return (
        select(func.count())
        .select_from(t.dep_member.join(_BLOCKER, _BLOCKER.c.id == _MEMBER.job_id))
        .where(
            _MEMBER.set_id == _SET.id, _BLOCKER.c.status.in_([literal_column(s) for s in statuses.split()])
        )
        .scalar_subquery()
    )


RECOUNT_SETS = (
    update(t.dep_set).where(_SET.wf == _WF).values(remaining=_members("0 1 2 3 4 10"), bad=_members("6 7 8"))
)
RECOUNT_WAITERS = (
    update(t.job)
    .where(_J.id.in_(select(_USE.job_id).where(_USE.wf == _WF)))
    .values(
        unmet=select(func.count())
        .select_from(t.dep_use.join(t.dep_set, _SET.id == _USE.set_id))
        .where(_USE.job_id == _J.id, _SET.remaining > literal_column("0"))
        .scalar_subquery()
    )
)

# Input hashes, a range of jobs at a time.
DEFINITIONS = (
    select(_J.id, _J.command, _J.invocation_script, _J.env, _J.input_hash)
    .where(_J.wf == _WF, _J.id > _b("after_"))
    .order_by(_J.id)
    .limit(_b("limit_"))
)
DEFINITIONS_OF = select(_J.id, _J.command, _J.invocation_script, _J.env, _J.input_hash).where(
    _J.wf == _WF, _J.id.in_(IDS)
).order_by(_J.id)  # fmt: skip
READ_SETS_OF = (
    select(_READS.job_id, _READS.set_id).where(_READS.job_id.in_(IDS)).order_by(_READS.job_id, _READS.set_id)
)
_WRITES, _SAYS = t.output_file.c, t.output_user_data.c
# Files as they are, user data negative, so that one list has both.
WRITES_OF_JOBS = union_all(
    select(_WRITES.job_id, _WRITES.item_id).where(_WRITES.job_id.in_(IDS)),
    select(_SAYS.job_id, -_SAYS.item_id).where(_SAYS.job_id.in_(IDS)),
)
ANY_OUTPUT_DATA = select(_SAYS.item_id).where(_SAYS.wf == _WF).limit(literal_column("1"))
SET_DIGESTS = select(_SET.id, _SET.digest).where(_SET.wf == _WF)
DIGESTS_OF = select(_SET.id, _SET.digest).where(_SET.id.in_(IDS))
INPUT_ITEMS = (
    select(_IN.id, _IN.kind, _ITEM.item_id)
    .join(t.input_member, _ITEM.set_id == _IN.id)
    .where(_IN.wf == _WF)
    .order_by(_IN.id, _ITEM.item_id)
)
ITEMS_OF = (
    select(_IN.id, _IN.kind, _ITEM.item_id)
    .join(t.input_member, _ITEM.set_id == _IN.id)
    .where(_IN.id.in_(IDS))
    .order_by(_IN.id, _ITEM.item_id)
)
# An ephemeral value begins every run as it was at first.
_BEGINS = case((_D.is_ephemeral == literal_column("1"), _D.initial_data), else_=_D.data)
READ_DATA = select(_D.id, _BEGINS).where(
    _D.wf == _WF, _D.id.in_(select(_ITEM.item_id).join(t.input_set, _IN.id == _ITEM.set_id).where(
        _ITEM.wf == _WF, _IN.kind == literal_column("'user_data'"))))  # fmt: skip
DATA_OF = select(_D.id, _BEGINS).where(_D.id.in_(IDS))
ANY_DATA = select(_D.id).where(_D.wf == _WF).limit(literal_column("1"))
READERS_OF_DATA = (
    select(_READS.job_id)
    .join(t.input_set, _IN.id == _READS.set_id)
    .where(_READS.job_id.in_(IDS), _IN.kind == literal_column("'user_data'"))
    .order_by(_READS.job_id)
    .distinct()
)
UNHASHED = select(_J.id).where(
    _J.wf == _WF,
    _J.input_hash.is_(null()),
    _J.status.in_([literal_column("1"), literal_column("2"), literal_column("7")]),
)
KEEP_HASH = update(t.job).where(_J.id == _b("job_")).values(input_hash=_b("hash_"))

# What changed.
FILES_OF = select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size, _F.content_hash).where(
    _F.wf == _WF, _F.id.in_(IDS)
)
FILE_READERS = (
    select(_ITEM.item_id, _READS.job_id)
    .join(t.input_use, _READS.set_id == _ITEM.set_id)
    .join(t.input_set, _IN.id == _ITEM.set_id)
    .where(_ITEM.item_id.in_(IDS), _IN.wf == _WF, _IN.kind == literal_column("'file'"))
)
WRITERS_OF = select(t.output_file.c.item_id, t.output_file.c.job_id).where(t.output_file.c.item_id.in_(IDS))
OUTPUTS_TO_COME = (
    select(_F.id, _F.wf, _F.name, _F.path, _F.identifier, _F.st_mtime, _F.size, _F.content_hash)
    .distinct()
    .join(t.output_file, t.output_file.c.item_id == _F.id)
    .join(t.job, _J.id == t.output_file.c.job_id)
    .where(_F.wf == _WF, _F.id.in_(IDS), or_(_b("all_") == literal_column("1"),
               _J.status.in_([literal_column("0"), literal_column("1"), literal_column("2"), literal_column("10")])))
    .order_by(_F.id)
)  # fmt: skip
# Workflows.
REOPEN = update(t.workflow).where(t.workflow.c.id == _WF).values(is_canceled=literal_column("0"))
RAISE_RUN = update(t.workflow).where(t.workflow.c.id == _WF).values(run_id=_b("run_"))
ARCHIVE = update(t.workflow).where(t.workflow.c.id == _WF).values(is_archived=_b("archived_"))
ORDER_LIVE = (
    update(t.job)
    .where(_J.wf == _WF, _J.status.in_([literal_column("3"), literal_column("4")]), _J.node_id.is_not(null()))
    .values(stop=literal_column("1"))
)
READY_NEEDS = (
    select(
        summed(_C.num_ready),
        summed(_C.num_ready * _C.num_cpus),
        summed(_C.num_ready * _C.num_gpus),
        summed(_C.num_ready * _C.memory_bytes),
        func.coalesce(func.max(_C.num_nodes), literal_column("0")),
        func.coalesce(func.max(_C.runtime_s), literal_column("0")),
    )
    .where(_C.wf == _WF, _C.num_ready > literal_column("0"),
           or_(_b("scheduler_").is_(null()), _C.scheduler_id == _b("scheduler_")))
)  # fmt: skip

# Relations of jobs, many at once.
USES_OF = select(_USE.job_id, _USE.set_id).where(_USE.job_id.in_(IDS)).order_by(_USE.job_id, _USE.set_id)
MEMBERS_OF = (
    select(_MEMBER.set_id, _MEMBER.job_id)
    .where(_MEMBER.set_id.in_(IDS))
    .order_by(_MEMBER.set_id, _MEMBER.job_id)
)
READS_OF = (
    select(_READS.job_id, _IN.kind, _ITEM.item_id)
    .join(t.input_set, _IN.id == _READS.set_id)
    .join(t.input_member, _ITEM.set_id == _IN.id)
    .where(_READS.job_id.in_(IDS))
)
PRESENT = select(_J.id).join(t.workflow, t.workflow.c.id == _J.wf).where(
    _J.id.in_(IDS), t.workflow.c.deleting == literal_column("0")
)  # fmt: skip
STATES_OF = select(*STATE_COLUMNS).where(_J.wf == _WF, _J.id.in_(IDS)).order_by(_J.id)
