"""Statements for workflows that leave and come as documents."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, select, update

from torc_sql import tables as t

_b = bindparam
_WF: BindParameter[int] = _b("wf_")
_J, _USE, _D, _F, _IN = t.job.c, t.dep_use.c, t.user_data.c, t.file.c, t.input_set.c

FIRST_USER_DATA = select(_D.id, _D.wf, _D.name, _D.initial_data, _D.is_ephemeral).where(_D.wf == _WF)
ALL_SOURCES = (
    select(_USE.job_id, _USE.set_id, _USE.sources).where(_USE.wf == _WF).order_by(_USE.job_id, _USE.set_id)
)
ALL_INPUTS = (
    select(_IN.id, _IN.kind, t.input_member.c.item_id)
    .join(t.input_member, t.input_member.c.set_id == _IN.id)
    .where(_IN.wf == _WF)
    .order_by(_IN.id, t.input_member.c.item_id)
)
ALL_READERS = (
    select(t.input_use.c.job_id, t.input_use.c.set_id)
    .where(t.input_use.c.wf == _WF)
    .order_by(t.input_use.c.job_id, t.input_use.c.set_id)
)
IMPORT_FILE = (
    update(t.file)
    .where(_F.id == _b("file_"))
    .values(st_mtime=_b("mtime_"), size=_b("size_"), content_hash=_b("hash_"))
)
IMPORT_USER_DATA = update(t.user_data).where(_D.id == _b("datum_")).values(data=_b("data_"))
IMPORT_ACTION = (
    update(t.action)
    .where(t.action.c.id == _b("action_"))
    .values(is_recovery=_b("recovery_"), trigger_count=_b("count_"))
)
IMPORT_JOB = (
    update(t.job)
    .where(_J.id == _b("job_"))
    .values(status=_b("status_"), reason=_b("reason_"), run_id=_b("run_"), attempt_id=_b("attempt_"),
            losses=_b("losses_"), input_hash=_b("hash_"), origin=_b("origin_"), lineage=_b("lineage_"),
            spawned_by=_b("caller_"), schedule_compute_nodes=_b("schedule_"), result_id=_b("result_"))
)  # fmt: skip
