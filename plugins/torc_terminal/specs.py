"""Reads a specification for `torc create` and `torc run`: complaints are told, a plan comes back."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from torc_core.errors import UsageError
from torc_core.model import Json, Plan
from torc_core.session import Session
from torc_terminal.creating import Creating
from torc_terminal.output.cells import plain
from torc_terminal.standing import amount

if TYPE_CHECKING:
    from torc_core.spec.complaint import Complaint
    from torc_core.spec.parse import Options
    from torc_core.spec.validate import Validated

SHOWN = 100


def read(session: Session, file: str, creating: Creating) -> Validated:
    """Read and validate a specification; whatever is wrong with it is in the answer, nothing is raised for it."""
    from torc_core.spec.load import load

    return load(file, session.host.formats, options_of(creating), format=creating.spec_format)


def options_of(creating: Creating) -> Options:
    """What the command line adds to a document, as the reader of specifications takes it.

    Raises
    ------
    UsageError
        If an option makes no sense.
    """
    from torc_core.spec.parse import Options
    from torc_terminal.given_text import json_object

    if creating.name == "":
        raise UsageError("a workflow needs a name; --name is empty")
    if creating.max_expanded < 1:
        raise UsageError(f"--max-expanded '{creating.max_expanded}' is out of range; give at least 1")
    metadata = None if creating.metadata is None else json_object(creating.metadata, "--metadata")
    return Options(
        skip_checks=creating.skip_checks,
        max_expanded=creating.max_expanded,
        no_resource_monitoring=creating.no_resource_monitoring,
        name=creating.name,
        description=creating.description,
        project=creating.project,
        metadata=None if metadata is None else json.dumps(metadata),
        access_groups=creating.access_group,
        submission_directory=os.getcwd(),
    )


def accepted(session: Session, found: Validated) -> Plan:
    """The plan of a valid specification; its warnings are told.

    Raises
    ------
    Complaints
        With everything that is wrong, if anything is.
    """
    from torc_core.spec.complaint import Complaints

    if found.plan is None or found.errors:
        raise Complaints(found.errors)
    for complaint in found.warnings[:SHOWN]:
        session.warn(str(complaint))
    if len(found.warnings) > SHOWN:
        session.warn(f"… and {len(found.warnings) - SHOWN} more")
    return found.plan


def looks_like_spec(session: Session, path: str) -> bool:
    """Whether one of the readers makes a mapping with `name` or `jobs` of a file (C18)."""
    from torc_core.spec.complaint import Complaints
    from torc_core.spec.read import decode, read_bytes, read_text

    try:
        tree = read_text(decode(read_bytes(path), path), session.host.formats, name=path).tree
    except Complaints:
        return False
    # NOTE: the reader of KDL takes any line of words for a node, and always makes a list of jobs.
    return "name" in tree or bool(tree.get("jobs"))


def problems(found: Validated) -> dict[str, Json]:
    """What a dry run prints (`workflow-spec.md` §17.4), without its schema."""
    return {
        "valid": not found.errors,
        "errors": [str(complaint) for complaint in found.errors],
        "warnings": [str(complaint) for complaint in found.warnings],
        "problems": [problem(complaint) for complaint in found.complaints],
        "summary": dict(found.summary),
    }


def problem(complaint: Complaint) -> dict[str, Json]:
    """A complaint as an object (`workflow-spec.md` §17.2)."""
    from torc_core.spec.complaint import path_text

    return {
        "severity": complaint.severity,
        "code": complaint.code,
        "file": complaint.file,
        "line": complaint.line,
        "column": complaint.column,
        "path": path_text(complaint.path) + (f" ({complaint.about})" if complaint.about else ""),
        "message": complaint.message,
        "hint": complaint.hint,
    }


def dry_text(found: Validated) -> str:
    """What people read of a dry run: the complaints and one line."""
    lines = [str(complaint) for complaint in found.complaints[:SHOWN]]
    if len(found.complaints) > SHOWN:
        lines.append(f"… and {len(found.complaints) - SHOWN} more")
    if found.errors:
        lines.append(
            f"not valid: {amount(len(found.errors), 'error')}, {amount(len(found.warnings), 'warning')}"
        )
    else:
        lines.append(
            f"valid: {size_of(found)}"
            + (f", {amount(len(found.warnings), 'warning')}" if found.warnings else "")
        )
    return "\n".join(lines)


def size_of(found: Validated) -> str:
    """How much a specification makes: `workflow 'sweep' with 100 jobs, 3 files, 12 dependencies in 4 levels`."""
    summary = found.summary
    return (
        f"workflow '{plain(str(summary.get('workflow_name')))}' with {amount(summary.get('job_count'), 'job')}, "
        f"{amount(summary.get('file_count'), 'file')}, "
        f"{amount(summary.get('dependency_count'), 'dependency', 'dependencies')} "
        f"in {amount(summary.get('levels'), 'level')}"
    )
