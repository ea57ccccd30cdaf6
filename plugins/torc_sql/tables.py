"""The tables of a SQL store and their indexes (`engine.md` §2, §3), for building and checking statements.

This module and `statements` are the only ones that need SQLAlchemy, and both are read when a plugin is built,
never when it runs: `compiling` turns them into the texts that a store executes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    literal_column,
    text,
)

METADATA = MetaData()

_READY = text("status = 2 AND node_id IS NULL AND not_before IS NULL")


def _table(name: str, *columns: Any, keyed: bool = False) -> Table:
    """A table; `keyed`: stored in the order of its primary key, for relations that have nothing else."""
    return Table(name, METADATA, *columns, sqlite_with_rowid=not keyed)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=False)


def _wf() -> Column[int]:
    return Column("wf", BigInteger, ForeignKey("workflow.id"), nullable=False)


def _int(name: str, default: int | None = None) -> Column[int]:
    """An integer that is never null; booleans are 0 and 1."""
    return Column(name, BigInteger, nullable=False, server_default=None if default is None else str(default))


def _refers(name: str, target: str, *, nullable: bool = False, key: bool = False) -> Column[int]:
    return Column(
        name,
        BigInteger,
        ForeignKey(f"{target}.id"),
        nullable=nullable,
        primary_key=key,
        autoincrement=False,
    )


def _text(name: str, *, nullable: bool = False, key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, primary_key=key)


def _word(name: str, default: str) -> Column[str]:
    """A text that is never null and has a first value."""
    return Column(name, Text, nullable=False, server_default=default)


def _maybe(name: str, kind: Any = BigInteger) -> Column[Any]:
    return Column(name, kind, nullable=True)


meta = _table("meta", _text("name", key=True), _text("value"))
counter = _table("counter", _text("kind", key=True), _int("value"))
server_lease = _table(
    "server_lease", _id(), _int("epoch"), _text("host"), _text("boot_id"), _int("pid"),
    _int("process_start"), _int("beat"),
)  # fmt: skip

workflow = _table(
    "workflow", _id(), _text("name"), _text("user"), _maybe("description", Text), _maybe("project", Text),
    _maybe("metadata", Text), _int("created_at"), _int("run_id", 0), _int("initialized_run", 0),
    _int("is_canceled", 0), _int("is_archived", 0), _int("deleting", 0), _int("derived", 1),
    _maybe("env", Text), _maybe("execution_config", Text), _maybe("resource_monitor_config", Text),
    _maybe("slurm_defaults", Text), _maybe("dynamic_jobs", Text), _maybe("notify", Text), _int("report", 0),
    _text("api_access"), _int("use_pending_failed", 0), _int("enable_ro_crate", 0),
    _int("retry_on_node_loss", 0), _int("compute_node_wait_for_new_jobs_seconds"),
    _int("compute_node_ignore_workflow_completion"), _int("compute_node_wait_for_healthy_database_minutes"),
    _int("compute_node_min_time_for_new_jobs_seconds"), _maybe("compute_node_expiration_buffer_seconds"),
    _maybe("submission_directory", Text), _maybe("source_path", Text), _maybe("source_digest", Text),
    _int("uses_gpus", 0), _maybe("slurm_config", Text), _maybe("submit_options", Text),
    _int("capability_generation", 0), _int("has_job_triggers", 0),
    Column("exec_minutes", Double, nullable=False, server_default="0"), _maybe("first_start"), _maybe("last_end"),
    _int("summed", 0),
)  # fmt: skip
status_count = _table(
    "status_count",
    Column("wf", BigInteger, ForeignKey("workflow.id"), primary_key=True, autoincrement=False),
    Column("status", BigInteger, primary_key=True, autoincrement=False),
    _int("jobs", 0),
    keyed=True,
)

requirement = _table(
    "resource_requirements", _id(), _wf(), _text("name"), _int("num_cpus"), _int("num_gpus"), _int("num_nodes"),
    _text("memory"), _text("runtime"), _int("memory_bytes"), _int("runtime_s"),
)  # fmt: skip
handler = _table("failure_handler", _id(), _wf(), _text("name"), _text("rules"))
scheduler = _table("slurm_scheduler", _id(), _wf(), _text("name"), _text("fields"))
job_class = _table(
    "job_class", _id(), _wf(), _int("num_cpus"), _int("memory_bytes"), _int("num_gpus"), _int("num_nodes"),
    _int("runtime_s"), _refers("scheduler_id", "slurm_scheduler", nullable=True), _maybe("label", Text),
    _int("num_ready", 0),
)  # fmt: skip
node = _table(
    "compute_node", _id(), _wf(), _text("epoch"), _text("hostname"), _int("pid"), _text("boot_id"),
    _int("process_start"), _int("num_cpus"), _int("memory_bytes"), _int("num_gpus"), _text("gpu_ids"),
    _int("num_nodes"), _text("type"), _maybe("label", Text),
    _refers("scheduler_id", "slurm_scheduler", nullable=True), _maybe("output_dir", Text), _maybe("time_limit"),
    _int("is_active", 1), _int("start_time"), _maybe("last_beat"), _maybe("end_time"),
    _maybe("avg_cpu_percent", Double), _maybe("peak_cpu_percent", Double), _maybe("avg_memory_bytes"),
    _maybe("peak_memory_bytes"), _maybe("sample_count"), _maybe("scheduler", Text), _word("state", "active"),
    _word("on_lost", "drain"), _int("lease_seconds", 1200), _int("beats", 1), _int("draining", 0),
    _refers("allocation_id", "scheduled_compute_node", nullable=True), _maybe("restart_count"),
    _maybe("duration_seconds", Double), _int("beat_number", 0),
)  # fmt: skip
job = _table(
    "job", _id(), _wf(), _text("name"), _text("command"), _maybe("invocation_script", Text), _maybe("env", Text),
    _int("status", 0), _int("priority", 0), _int("cancel_on_blocking_job_failure", 1),
    _int("supports_termination", 0), _refers("requirement_id", "resource_requirements"),
    _refers("class_id", "job_class"), _refers("scheduler_id", "slurm_scheduler", nullable=True),
    _refers("failure_handler_id", "failure_handler", nullable=True), _maybe("label", Text), _int("unmet", 0),
    _int("num_blockers", 0), _int("run_id", 0), _int("attempt_id", 1),
    _refers("node_id", "compute_node", nullable=True), _maybe("lease", Text), _int("prefetched", 0),
    _int("forked", 0), _int("missed", 0), _int("recalled", 0), _maybe("claimed_at"), _maybe("start_time"), _maybe("ready_since"),
    _int("stop", 0), _maybe("reason", Text), _maybe("result_id"), _maybe("not_before"), _int("losses", 0),
    _maybe("input_hash", Text), _maybe("origin", Text), _maybe("lineage", Text), _maybe("spawned_by"),
    _maybe("schedule_compute_nodes", Text),
)  # fmt: skip

dep_set = _table(
    "dep_set", _id(), _wf(), _maybe("digest", LargeBinary), _int("size"), _int("remaining"), _int("bad", 0)
)
dep_member = _table(
    "dep_member",
    _refers("set_id", "dep_set", key=True),
    _refers("job_id", "job", key=True),
    _wf(),
    keyed=True,
)
dep_use = _table(
    "dep_use", _refers("job_id", "job", key=True), _refers("set_id", "dep_set", key=True), _wf(), _int("sources"),
    keyed=True,
)  # fmt: skip
input_set = _table(
    "input_set", _id(), _wf(), _text("kind"), Column("digest", LargeBinary, nullable=False), _int("size"),
    _refers("dep_set_id", "dep_set", nullable=True),
)  # fmt: skip
input_member = _table(
    "input_member", _refers("set_id", "input_set", key=True),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False), _wf(), keyed=True,
)  # fmt: skip
input_use = _table(
    "input_use",
    _refers("job_id", "job", key=True),
    _refers("set_id", "input_set", key=True),
    _wf(),
    keyed=True,
)
file = _table(
    "file", _id(), _wf(), _text("name"), _text("path"), _maybe("identifier", Text), _maybe("st_mtime", Double),
    _maybe("size"), _maybe("content_hash", Text),
)  # fmt: skip
user_data = _table(
    "user_data", _id(), _wf(), _text("name"), _maybe("data", Text), _maybe("initial_data", Text),
    _int("is_ephemeral", 0),
)  # fmt: skip
output_file = _table(
    "job_output_file",
    _refers("job_id", "job", key=True),
    _refers("item_id", "file", key=True),
    _wf(),
    keyed=True,
)
output_user_data = _table(
    "job_output_user_data", _refers("job_id", "job", key=True), _refers("item_id", "user_data", key=True), _wf(),
    keyed=True,
)  # fmt: skip
claim = _table(
    "claim", _text("claim_id", key=True), _int("wf"), _refers("node_id", "compute_node", nullable=True),
    _text("job_ids"), _int("created_at"), keyed=True,
)  # fmt: skip
result = _table(
    "result", _id(), _wf(), _refers("job_id", "job"), _int("run_id"), _int("attempt_id"), _maybe("node_id"),
    _int("status"), _int("return_code"), _maybe("reason", Text), Column("exec_minutes", Double, nullable=False),
    _int("completed_at"), _maybe("peak_memory_bytes"), _maybe("avg_memory_bytes"),
    _maybe("peak_cpu_percent", Double), _maybe("avg_cpu_percent", Double), _int("provisional", 0),
    _maybe("lease", Text),
)  # fmt: skip
action = _table(
    "workflow_action", _id(), _wf(), _text("trigger_type"), _text("trigger_mode"), _text("action_type"),
    _text("action_config"), _int("persistent", 0), _int("is_recovery", 0), _int("required_triggers", 1),
    _int("trigger_count", 0),
)  # fmt: skip
action_job = _table(
    "action_job", _refers("action_id", "workflow_action", key=True), _refers("job_id", "job", key=True), _wf(),
    _maybe("hit_run"), keyed=True,
)  # fmt: skip
action_run = _table(
    "action_run", _id(), _wf(), _refers("action_id", "workflow_action"), _int("run_id"), _int("node_id", 0),
    _text("state"), _maybe("claim_id", Text), _maybe("claimed_by"), _maybe("claimed_at"), _int("progress", 0),
    _maybe("error", Text),
)  # fmt: skip
allocation = _table(
    "scheduled_compute_node", _id(), _wf(), _refers("scheduler_config_id", "slurm_scheduler", nullable=True),
    _text("scheduler_type"), _maybe("scheduler_id", Text), _text("status"), _text("submission_key"),
    _refers("action_run_id", "action_run", nullable=True), _int("ordinal", 0), _int("nodes", 1),
    _maybe("walltime", Text), _maybe("submitted_by", Text), _maybe("submitted_at"), _maybe("reason", Text),
    _maybe("request_id", Text),
)  # fmt: skip
local_scheduler = _table(
    "local_scheduler", _id(), _wf(), _maybe("name", Text), _maybe("memory", Text), _maybe("num_cpus")
)
slurm_stats = _table(
    "slurm_stats", _id(), _wf(), _refers("job_id", "job"), _int("run_id"), _int("attempt_id"),
    _maybe("slurm_job_id", Text), _maybe("node_list", Text), _maybe("ave_cpu_seconds", Double),
    _maybe("max_rss_bytes"), _maybe("max_vm_size_bytes"), _maybe("max_disk_read_bytes"),
    _maybe("max_disk_write_bytes"),
)  # fmt: skip
entity = _table(
    "ro_crate_entity", _id(), _wf(), _text("entity_id"), _text("entity_type"),
    _refers("file_id", "file", nullable=True), _text("metadata"),
)  # fmt: skip
remote_worker = _table(
    "remote_worker", _id(), _wf(), _text("worker"), _maybe("label", Text), _maybe("options", Text)
)
operation = _table(
    "task", _id(), _wf(), _text("name"), _text("options"), _text("status"), _int("created_at"),
    _maybe("started_at"), _maybe("finished_at"), _maybe("error", Text),
)  # fmt: skip
group = _table(
    "access_group",
    _id(),
    _text("name"),
    _maybe("description", Text),
    _int("is_system", 0),
    _int("created_at"),
)
membership = _table(
    "user_group_membership", _id(), _refers("group_id", "access_group"), _text("user_name"), _text("role"),
    _int("created_at"),
)  # fmt: skip
group_link = _table(
    "workflow_access_group",
    _id(),
    _wf(),
    _refers("group_id", "access_group"),
    _text("level"),
    _int("created_at"),
)
audit = _table(
    "audit", _id(), _int("timestamp"), _text("operation"), _text("principal"), _text("established"), _text("peer"),
    _text("object"), _text("outcome"), _text("detail"), _text("request_id"),
)  # fmt: skip
token = _table(
    "token", _id(), _text("key"), _text("digest"), _text("user"), _text("access_class"), _maybe("workflows", Text),
    _int("created_at"), _maybe("expires_at"), _maybe("revoked_at"),
)  # fmt: skip
kept = _table(
    "idempotency_key", _text("principal", key=True), _text("route", key=True), _text("key", key=True),
    _text("body_hash"), _int("status"), _text("answer"), _int("created_at"), keyed=True,
)  # fmt: skip
event = _table(
    "event", _id(), _int("wf"), _int("timestamp"), _text("category"), _text("severity"), _text("data")
)


def _index(name: str, table: Table, *columns: Any, where: Any = None, unique: bool = False) -> None:
    parts = [table.c[column] if isinstance(column, str) else column for column in columns]
    Index(name, *parts, unique=unique, sqlite_where=where, postgresql_where=where)


_index("job_class_shape", job_class, "wf", "num_cpus", "memory_bytes", "num_gpus", "num_nodes", "runtime_s",
       literal_column("coalesce(scheduler_id, 0)"), literal_column("coalesce(label, '')"), unique=True)  # fmt: skip
_index("job_class_ready", job_class, "wf", where=text("num_ready > 0"))
_index("job_class_scheduler", job_class, "scheduler_id", where=text("scheduler_id IS NOT NULL"))
_index("job_claim", job, "wf", "class_id", job.c.priority.desc(), "id", where=_READY)
_index("job_node", job, "node_id", "class_id", "prefetched", "stop", where=text("node_id IS NOT NULL"))
_index("job_status", job, "wf", "status")
_index("job_wf", job, "wf")
_index("job_name", job, "wf", "name")
_index("job_requirement", job, "requirement_id")
_index("job_of_class", job, "class_id")
_index("job_scheduler", job, "scheduler_id", where=text("scheduler_id IS NOT NULL"))
_index("job_handler", job, "failure_handler_id", where=text("failure_handler_id IS NOT NULL"))
_index("dep_set_digest", dep_set, "wf", "digest", unique=True)
_index("dep_member_job", dep_member, "job_id", "set_id")
_index("dep_member_wf", dep_member, "wf")
_index("dep_use_set", dep_use, "set_id", "job_id")
_index("dep_use_wf", dep_use, "wf")
_index("input_set_digest", input_set, "wf", "kind", "digest", unique=True)
_index("input_set_dep", input_set, "dep_set_id", where=text("dep_set_id IS NOT NULL"))
_index("input_member_item", input_member, "item_id", "set_id")
_index("input_member_wf", input_member, "wf")
_index("input_use_set", input_use, "set_id", "job_id")
_index("input_use_wf", input_use, "wf")
_index("output_file_item", output_file, "item_id")
_index("output_file_wf", output_file, "wf")
_index("output_user_data_item", output_user_data, "item_id")
_index("output_user_data_wf", output_user_data, "wf")
_index("file_name", file, "wf", "name")
_index("user_data_name", user_data, "wf", "name")
_index("requirement_name", requirement, "wf", "name")
_index("handler_wf", handler, "wf")
_index("scheduler_wf", scheduler, "wf")
_index("claim_node", claim, "node_id", "created_at")
_index("result_attempt", result, "job_id", "run_id", "attempt_id", unique=True)
_index("result_job", result, "wf", "job_id")
_index("result_node", result, "node_id")
_index("action_wf", action, "wf")
_index("action_job_job", action_job, "job_id")
_index("action_job_wf", action_job, "wf")
_index("node_wf", node, "wf")
_index("node_epoch", node, "epoch")
_index("node_scheduler", node, "scheduler_id", where=text("scheduler_id IS NOT NULL"))
_index("workflow_source", workflow, "source_path", where=text("source_path IS NOT NULL"))
_index("event_wf", event, "wf", "id")
_index("job_delayed", job, "not_before", where=text("not_before IS NOT NULL"))
_index("job_spawned", job, "spawned_by", where=text("spawned_by IS NOT NULL"))
_index("node_allocation", node, "allocation_id", where=text("allocation_id IS NOT NULL"))
_index("node_active", node, "is_active", "last_beat")
_index("action_run_once", action_run, "action_id", "run_id", "node_id", unique=True)
_index("action_run_wf", action_run, "wf", "state")
_index("allocation_wf", allocation, "wf", "status")
_index("allocation_key", allocation, "submission_key", unique=True, where=text("submission_key <> ''"))
_index(
    "allocation_scheduler", allocation, "scheduler_config_id", where=text("scheduler_config_id IS NOT NULL")
)
_index("allocation_action", allocation, "action_run_id", where=text("action_run_id IS NOT NULL"))
_index("local_scheduler_wf", local_scheduler, "wf")
_index("slurm_stats_attempt", slurm_stats, "job_id", "run_id", "attempt_id", unique=True)
_index("slurm_stats_wf", slurm_stats, "wf")
_index("entity_id", entity, "wf", "entity_id", unique=True)
_index("entity_file", entity, "file_id", where=text("file_id IS NOT NULL"))
_index("remote_worker_wf", remote_worker, "wf", "worker", unique=True)
_index("task_wf", operation, "wf", "status")
_index("group_name", group, "name", unique=True)
_index("membership_user", membership, "user_name", "group_id", unique=True)
_index("membership_group", membership, "group_id")
_index("group_link_wf", group_link, "wf", "group_id", unique=True)
_index("group_link_group", group_link, "group_id")
_index("token_key", token, "key", unique=True)
_index("kept_age", kept, "created_at")
