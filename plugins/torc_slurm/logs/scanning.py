"""Reads the log files of allocations line by line; what is said again and again is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torc_core.model import Json, WorkflowId
from torc_core.record import record
from torc_slurm.logs.patterns import Pattern, found
from torc_slurm.logs.places import LogFile, log_files
from torc_slurm.logs.whom import Homes

LONGEST = 2_000
"""Characters of a line that are shown."""


@record(frozen=True, slots=True, kw_only=True)
class Issue:
    """Trouble in a log.

    Parameters
    ----------
    count
        How often the same line stands there; `line_number` is that of the first.
    context
        The lines around the first one.
    """

    file: LogFile
    line_number: int
    line: str
    pattern: Pattern
    node: str | None
    jobs: Sequence[tuple[int, str]]
    count: int = 1
    context: Sequence[str] = ()

    def item(self) -> Mapping[str, Json]:
        """As JSON has it."""
        return {
            "file": str(self.file.path),
            "slurm_job_id": self.file.slurm_job,
            "line_number": self.line_number,
            "line": self.line,
            "count": self.count,
            "family": self.pattern.family,
            "pattern_description": self.pattern.description,
            "severity": self.pattern.severity,
            "node": self.node,
            "affected_jobs": [{"job_id": id, "job_name": name} for id, name in self.jobs],
            "context": list(self.context),
        }


@record(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found in which files; `unread`: a sentence for each that could not be read."""

    files: Sequence[LogFile]
    issues: Sequence[Issue]
    unread: Sequence[str] = ()


def scan(folder: Path, workflow: WorkflowId, homes: Homes, *, context: int = 0) -> Scan:
    """Read all logs of a workflow's allocations in a folder."""
    files = list(log_files(folder, workflow))
    issues: list[Issue] = []
    unread: list[str] = []
    for file in files:
        try:
            issues += _of(file, homes, context)
        except OSError as error:
            unread.append(f"cannot read '{file.path}': {(error.strerror or 'error').lower()}")
    return Scan(files=files, issues=issues, unread=unread)


def _of(file: LogFile, homes: Homes, context: int) -> list[Issue]:
    known: dict[tuple[str, str | None], Issue] = {}
    after: list[tuple[tuple[str, str | None], int]] = []
    before: deque[str] = deque(maxlen=context)
    with file.path.open(encoding="utf-8", errors="replace") as text:
        for number, raw in enumerate(text, 1):
            line = raw.rstrip("\r\n")[:LONGEST]
            for key, left in after:
                if number <= left:
                    known[key] = replace(known[key], context=[*known[key].context, line])
            after = [(key, left) for key, left in after if number < left]
            pattern = found(line)
            if pattern is not None:
                node, jobs = homes.hit(file, line)
                key = (line, node)
                if key in known:
                    known[key] = replace(known[key], count=known[key].count + 1)
                else:
                    known[key] = Issue(
                        file=file, line_number=number, line=line, pattern=pattern, node=node, jobs=jobs,
                        context=[*before, line] if context else (),
                    )  # fmt: skip
                    after += [(key, number + context)] if context else []
            before.append(line)
    return list(known.values())
