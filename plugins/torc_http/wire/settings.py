"""Settings of workflows, read by the same tables as spec documents; what newer clients add is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torc_core.errors import Invalid
from torc_core.spec.complaint import Complaint, Report, path_text
from torc_core.spec.document import Position
from torc_core.spec.shape import Reading, Table, list_of, map_of
from torc_core.spec.tables import DYNAMIC, EXECUTION, MONITOR, NOTIFY, slurm_default

_TABLES: Mapping[str, Table] = {
    "execution_config": EXECUTION, "resource_monitor_config": MONITOR, "dynamic_jobs": DYNAMIC,
}  # fmt: skip
_KINDS: Mapping[str, type[Any]] = {
    **dict.fromkeys((*_TABLES, "slurm_defaults"), dict), "submission_directory": str, "notify": list,
}  # fmt: skip


def read_as(kind: Callable[[Reading, Any, Any], Any], name: str, value: Any) -> Any:
    """A value as a spec document would read it.

    Raises
    ------
    Invalid
        With the first complaint and its place.
    """
    report = Report()
    found = kind(Reading(report), value, (name,))
    for complaint in report.sorted("-", lambda path: Position(line=0, column=0)):
        if complaint.severity == "error":
            raise _refusal(complaint, value)
    return found


def _refusal(complaint: Complaint, value: Any) -> Invalid:
    field = path_text(complaint.path)
    return Invalid(f"{field}: {complaint.message}", details={"field": field, "value": value})


def check_settings(body: Mapping[str, Any]) -> None:
    """Refuse settings of a workflow that no spec document could have.

    Raises
    ------
    Invalid
        Naming the field.
    """
    for name, table in _TABLES.items():
        if body.get(name):
            read_as(table, name, _known(table, body[name]))
    if body.get("slurm_defaults"):
        read_as(map_of(slurm_default), "slurm_defaults", body["slurm_defaults"])
    if body.get("notify"):
        read_as(list_of(NOTIFY), "notify", body["notify"])
    directory = body.get("submission_directory")
    if directory and not directory.startswith("/"):
        raise Invalid(
            f"submission_directory '{directory}' is not absolute",
            details={"field": "submission_directory", "value": directory},
        )


def check_document(document: Mapping[str, Any]) -> None:
    """Refuse settings of a workflow from elsewhere that published clients cannot read; wrong types its reader refuses.

    Raises
    ------
    Invalid
        Naming the field.
    """
    workflow = document.get("workflow")
    if isinstance(workflow, Mapping):
        check_settings(
            {name: workflow[name] for name, kind in _KINDS.items() if isinstance(workflow.get(name), kind)}
        )


def _known(table: Table, value: Mapping[str, Any]) -> dict[str, Any]:
    """Only the keys that the table knows, at every level that is a table."""
    found = {}
    for name, item in value.items():
        field = table.fields.get(name)
        if field is not None:
            inner = field.kind
            found[name] = (
                _known(inner, item) if isinstance(inner, Table) and isinstance(item, Mapping) else item
            )
    return found
