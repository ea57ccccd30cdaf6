"""The log files of a workflow's allocations, and what a line in them says about where and when it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from torc_core.model import WorkflowId
from torc_core.record import record

_FILE = re.compile(
    r"(?:slurm_output_wf(?P<w1>\d+)_sl(?P<s1>\d+)\.(?:o|e)"
    r"|(?:job_runner|dmesg)_slurm_wf(?P<w2>\d+)_sl(?P<s2>\d+)_n(?P<n>\d+)_pid(?P<p>\d+)\.log)"
)
_HOST = re.compile(
    r"\bON (?P<on>[A-Za-z0-9][\w.-]*)\b|\b(?:srun|slurmstepd)(?:: error)?: (?P<by>[A-Za-z][\w.-]*): "
)
_WHEN = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?(Z|[+-]\d\d:?\d\d)?")
_JOB = re.compile(r"\bwf(?P<w>\d+)_j(?P<j>\d+)_r\d+_a\d+\b")
NO_HOSTS = frozenset(
    {"error", "fatal", "task", "job", "Job", "step", "Step", "STEP", "JOB", "forcing", "launch"}
)
"""Words that follow the name of a program where a host might."""


@record(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A log file of an allocation.

    Parameters
    ----------
    slurm_job
        The number of the allocation.
    pid
        Of the runner whose log it is; None: it is of the whole allocation.
    """

    path: Path
    slurm_job: str
    pid: int | None = None


def log_files(folder: Path, workflow: WorkflowId) -> Iterator[LogFile]:
    """The log files of exactly this workflow, by name: workflow 1 does not get those of workflow 10."""
    for path in sorted(folder.glob(f"*_wf{workflow}_*")):
        found = _FILE.fullmatch(path.name)
        if found is None or not path.is_file():
            continue
        number = found["w1"] or found["w2"]
        if int(number) == workflow:
            pid = found["p"]
            yield LogFile(
                path=path, slurm_job=found["s1"] or found["s2"], pid=None if pid is None else int(pid)
            )


def host_of(line: str) -> str | None:
    """The host that a line speaks of; None: it names none."""
    for found in _HOST.finditer(line):
        name = found["on"] or found["by"]
        if name and name not in NO_HOSTS:
            return name
    return None


def instant_of(line: str) -> int | None:
    """When a line was written, milliseconds since 1970; a time without a zone is local. None: it does not say."""
    found = _WHEN.search(line)
    if found is None:
        return None
    day, clock, part, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}")
        if zone == "Z":
            moment = moment.replace(tzinfo=UTC)
        elif zone:
            moment = datetime.fromisoformat(f"{day}T{clock}{zone[:3]}:{zone[-2:]}")
        return int(moment.timestamp() * 1000) + (int(part[:3].ljust(3, "0")) if part else 0)
    except (ValueError, OverflowError):
        # What looks like a time is none, or lies at the end of all times.
        return None


def job_of(line: str, workflow: WorkflowId) -> int | None:
    """The job of this workflow whose step a line names; None: it names none."""
    found = _JOB.search(line)
    return int(found["j"]) if found is not None and int(found["w"]) == workflow else None
