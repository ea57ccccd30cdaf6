"""Long verbs that run by themselves: which there are, and what they are asked with (`engine.md` §12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torc_core.engine import telling
from torc_core.errors import Conflict, Invalid, did_you_mean
from torc_core.model import FileId, Fingerprint, Initialize, Json, Operation, OperationStatus

NAMES = ("initialize_jobs", "initialize", "reinitialize")
"""What can be begun."""

ACTIVE = (OperationStatus.QUEUED, OperationStatus.RUNNING)

KEPT_MS = 7 * 24 * 3_600_000
"""How long operations that have ended are kept."""

UNDER_WAY = "initialisation under way"
"""Why nothing is handed out while an operation waits or runs."""

_OPTIONS = {field.name for field in fields(Initialize)}


def check(name: str, options: Mapping[str, Json]) -> None:
    """Refuse an operation that does not exist, or options that it does not know.

    Raises
    ------
    Invalid
        Naming it.
    """
    if name not in NAMES:
        raise Invalid(f"no operation {name!r}{did_you_mean(name, NAMES)}; choose from {', '.join(NAMES)}")
    asked(options)


def asked(options: Mapping[str, Json]) -> Initialize:
    """How the workflow is to be initialised.

    Raises
    ------
    Invalid
        If an option is not known.
    """
    for option in options:
        if option not in _OPTIONS:
            raise Invalid(
                f"no option {option!r}{did_you_mean(option, _OPTIONS)}; choose from {', '.join(sorted(_OPTIONS))}"
            )
    given: dict[str, Any] = dict(options)
    prints: Any = given.pop("fingerprints", ())
    return Initialize(**given, fingerprints=[_print(one) for one in prints])


def same(active: Operation, name: str, options: Mapping[str, Json]) -> None:
    """Refuse a second operation while a different one is active; the same one is no harm.

    Raises
    ------
    Conflict
        `details` name the active one.
    """
    if (active.name, dict(active.options)) != (name, dict(options)):
        raise Conflict(
            f"workflow {active.workflow_id} is busy with task {active.id} ({active.name}); wait for it: "
            f"torc tasks wait {active.id}",
            details={"existing_task_id": active.id, "existing_operation": active.name},
        )


def told(operation: Operation) -> telling.Told:
    """The event of an operation that has ended."""
    return "task_completed", {
        "task_id": operation.id, "operation": operation.name, "status": operation.status.value,
    }  # fmt: skip


def _print(value: Any) -> Fingerprint:
    if not isinstance(value, Mapping) or not isinstance(value.get("file"), int):
        raise Invalid(f"a fingerprint has to name its file by id, got {value!r}")
    return Fingerprint(
        file=FileId(value["file"]), st_mtime=value.get("st_mtime"), size=value.get("size"),
        content_hash=value.get("content_hash"),
    )  # fmt: skip
