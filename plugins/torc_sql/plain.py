"""Records that are kept as they are: one table for each kind, one column for each field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from torc_core.model import (
    AccessGroup,
    AuditEntry,
    GroupLink,
    LocalScheduler,
    Membership,
    RemoteWorker,
    RoCrateEntity,
    SlurmStats,
    Token,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """How a kind lies in its table.

    Parameters
    ----------
    fields
        Of the record, in the order of the columns, which have the same names; `workflow_id` is the column `wf`.
    written
        Those that are stored as JSON.
    truths
        Those that are true or false, stored as 1 and 0.
    """

    table: str
    fields: tuple[str, ...]
    written: frozenset[str]
    truths: frozenset[str]


def _plain(table: str, fields: str, *, written: str = "", truths: str = "") -> Plain:
    return Plain(
        table=table, fields=tuple(fields.split()), written=frozenset(written.split()),
        truths=frozenset(truths.split()),
    )  # fmt: skip


PLAIN: Mapping[type[Any], Plain] = {
    LocalScheduler: _plain("local_scheduler", "id workflow_id name memory num_cpus"),
    RoCrateEntity: _plain(
        "ro_crate_entity", "id workflow_id entity_id entity_type file_id metadata", written="metadata"
    ),
    AccessGroup: _plain("access_group", "id name description is_system created_at", truths="is_system"),
    Membership: _plain("user_group_membership", "id group_id user_name role created_at"),
    GroupLink: _plain("workflow_access_group", "id workflow_id group_id level created_at"),
    Token: _plain(
        "token", "id key digest user access_class workflows created_at expires_at revoked_at", written="workflows"
    ),
    RemoteWorker: _plain("remote_worker", "id workflow_id worker label options", written="options"),
    SlurmStats: _plain(
        "slurm_stats",
        "id workflow_id job_id run_id attempt_id slurm_job_id node_list ave_cpu_seconds max_rss_bytes"
        " max_vm_size_bytes max_disk_read_bytes max_disk_write_bytes",
    ),
    AuditEntry: _plain(
        "audit", "id timestamp operation principal established peer object outcome detail request_id"
    ),
}  # fmt: skip


def stored(value: Any, *, written: bool = False) -> Any:
    """A value as a column holds it."""
    if written:
        return None if value is None else json.dumps(value, ensure_ascii=False)
    return value.value if isinstance(value, Enum) else value


def row(record: Any) -> tuple[Any, ...]:
    """A record in the order of its table."""
    how = PLAIN[type(record)]
    return tuple(stored(getattr(record, name), written=name in how.written) for name in how.fields)


def reader(kind: type[Any]) -> Callable[[Any], Any]:
    """What makes a record of a row."""
    return partial(_record, kind, PLAIN[kind])


def _record(kind: type[Any], how: Plain, row: Any) -> Any:
    values = dict(zip(how.fields, row, strict=True))
    for name in how.written:
        values[name] = None if values[name] is None else json.loads(values[name])
    for name in how.truths:
        values[name] = values[name] == 1
    return kind(**values)
