"""How trouble reads in the logs of Slurm, of kernels and of runners; of several patterns the most specific one counts."""

from __future__ import annotations

import re

from torc_core.record import record

ERROR, WARNING = "error", "warning"


@record(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One sort of trouble.

    Parameters
    ----------
    description
        For people.
    """

    family: str
    description: str
    expression: re.Pattern[str]
    severity: str = ERROR


def _one(family: str, description: str, text: str, severity: str = ERROR) -> Pattern:
    return Pattern(
        family=family, description=description, expression=re.compile(text, re.IGNORECASE), severity=severity
    )


PATTERNS: tuple[Pattern, ...] = (
    _one("gpu", "GPU out of memory", r"CUDA out of memory"),
    _one("gpu", "CUDA error", r"CUDA error"),
    _one("gpu", "GPU memory exceeded", r"GPU memory.*exceeded"),
    _one("gpu", "GPU fault reported by the driver", r"\bXid\b"),
    _one("gpu", "HIP error", r"\bHIP error"),
    _one("memory", "memory limit of the cgroup reached", r"memory cgroup out of memory"),
    _one("memory", "killed by the cgroup", r"task/cgroup: .*: killed"),
    _one("memory", "job memory limit exceeded", r"exceeded job memory limit"),
    _one("memory", "out-of-memory killer", r"\boom[-_ ]kill"),
    _one("memory", "out of memory", r"out[ -]of[ -]memory|OUT_OF_MEMORY"),
    _one("memory", "memory could not be allocated", r"cannot allocate memory"),
    _one("memory", "C++ allocation failed", r"std::bad_alloc"),
    _one("memory", "Python MemoryError", r"\bMemoryError\b"),
    _one("slurm", "time limit reached", r"due to time limit"),
    _one("slurm", "preempted", r"due to preemption", WARNING),
    _one("slurm", "node failed", r"\bNODE_FAIL|due to node failure"),
    _one("slurm", "limit of a step exceeded", r"exceeded .*step.* limit"),
    _one("slurm", "no further steps", r"step creation (?:temporarily )?disabled"),
    _one("slurm", "nodes are busy", r"requested nodes are busy"),
    _one("slurm", "Slurm did not answer", r"socket timed out"),
    _one("crash", "segmentation fault", r"segmentation fault|\bSIGSEGV\b|\bsegfault\b"),
    _one("crash", "bus error", r"\bbus error\b|\bSIGBUS\b"),
    _one("crash", "core dumped", r"core dumped"),
    _one("crash", "killed by a signal", r"killed by signal"),
    _one("python", "Python module missing", r"\bModuleNotFoundError\b"),
    _one("python", "Python import failed", r"\bImportError\b"),
    _one("python", "Python exception", r"Traceback \(most recent call last\)"),
    _one("file system", "disk full", r"no space left on device"),
    _one("file system", "disk quota exceeded", r"disk quota exceeded"),
    _one("file system", "read-only file system", r"read-only file system"),
    _one("file system", "permission denied", r"permission denied"),
    _one("file system", "stale file handle", r"stale (?:NFS )?file handle"),
    _one("network", "connection refused", r"connection refused"),
    _one("network", "connection timed out", r"connection timed out"),
    _one("network", "network unreachable", r"network is unreachable"),
    _one("network", "host name unknown", r"name or service not known"),
    # NOTE: as states of Slurm only: programs may say "failed" and "canceled" of whatever they like.
    _one(
        "slurm",
        "failed, says Slurm",
        r"(?-i:\b(?:JobState=|State=|state:? |JOB \d+ |STEP \S+ )\**\s*FAILED\b)",
    ),
    _one("slurm", "called off", r"(?-i:\bCANCELLED\b)", WARNING),
    _one("slurm", "error of slurmstepd", r"slurmstepd: error:"),
    _one("slurm", "error of srun", r"srun: error:"),
)
"""The most specific ones first."""

_ANY = re.compile("|".join(one.expression.pattern for one in PATTERNS), re.IGNORECASE)


def found(line: str) -> Pattern | None:
    """What a line tells; None: nothing of interest."""
    # PERF: one look decides about nearly all lines.
    if _ANY.search(line) is None:
        return None
    return next((one for one in PATTERNS if one.expression.search(line)), None)
