"""What attempts used against what their jobs asked for, and what to ask for instead (`observability.md` §4.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torc_core.model import JobStatus, Requirement, Result
from torc_core.model.resources import GIB, MIB
from torc_core.record import record

MINUTE = 60
WHOLE_GIB = 10 * GIB
"""From so many bytes on memory is rounded up to whole GiB, below to whole MiB."""

SPARE_CPU = 0.5
"""So much of a CPU more than asked for is still taken for the work of the sampler and of threads that wait."""

OOM = 137
"""What a process that was killed leaves with: 128 and SIGKILL."""

TOO_LONG = 152
"""128 and SIGXCPU."""


@record(frozen=True, slots=True, kw_only=True)
class Use:
    """One dimension of an attempt: bytes, percent of one core, or seconds."""

    dimension: str
    asked: float
    used: float

    @property
    def over(self) -> float:
        """By how many percent more was used than asked for; negative: less."""
        return (self.used / self.asked - 1) * 100


def uses(needs: Requirement, result: Result) -> Sequence[Use]:
    """What is known of an attempt: `memory`, `cpu` and `runtime`, as far as they were measured."""
    usage = result.usage
    known = (
        ("memory", needs.memory_bytes, usage.peak_memory_bytes),
        ("cpu", needs.num_cpus * 100, usage.peak_cpu_percent),
        ("runtime", needs.runtime_s, result.exec_minutes * MINUTE),
    )
    return [
        Use(dimension=name, asked=asked, used=used)
        for name, asked, used in known
        if asked and used is not None
    ]


def why_oom(needs: Requirement, result: Result) -> str | None:
    """How one can tell that an attempt ran out of memory; None: one cannot."""
    if _kind(result) == "oom":
        return "reported"
    peak = result.usage.peak_memory_bytes
    # What nobody has stated is bookkeeping for packing, and no limit (`workflow-spec.md` §4).
    if peak is not None and peak > needs.memory_bytes > MIB:
        return "memory_exceeded"
    return "sigkill_137" if result.return_code == OOM else None


def why_timeout(result: Result) -> str | None:
    """How one can tell that an attempt ran out of time; None: one cannot."""
    if _kind(result) in ("runtime", "walltime"):
        return "reported"
    return "sigxcpu_152" if result.return_code == TOO_LONG else None


@record(frozen=True, slots=True, kw_only=True)
class Factors:
    """How much more is asked for than was used, and whether ever less than before."""

    memory: float = 1.2
    cpu: float = 1.2
    runtime: float = 1.2
    downsize: bool = True


@record(frozen=True, slots=True, kw_only=True)
class Correction:
    """What to ask for instead: bytes, CPUs, seconds; None: that stays. The peaks are those that it follows from."""

    memory: int | None = None
    cpus: int | None = None
    runtime: int | None = None
    peak_memory: int | None = None
    peak_cpu: float | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.memory, self.cpus, self.runtime))


def correction(needs: Requirement, results: Sequence[Result | None], factors: Factors) -> Correction:
    """What the jobs of one requirement should ask for.

    More as soon as one of them used more, or ran into its limit. Less only when every one has completed and was
    measured. The same results give nothing more to correct once that has been done.

    Parameters
    ----------
    results
        The latest of each job; None: it has none.
    """
    known = [one for one in results if one is not None]
    sure = factors.downsize and len(known) == len(results) > 0
    sure = sure and all(one.status is JobStatus.COMPLETED for one in known)
    peaks = [one.usage.peak_memory_bytes for one in known if one.usage.peak_memory_bytes is not None]
    cpus = [one.usage.peak_cpu_percent for one in known if one.usage.peak_cpu_percent is not None]
    starved = any(why_oom(needs, one) == "reported" for one in known)
    late = any(why_timeout(one) == "reported" and _kind(one) == "runtime" for one in known)

    peak = max(peaks, default=0)
    wanted = rounded(max(peak, needs.memory_bytes if starved else 0) * factors.memory)
    memory = _moved(
        needs.memory_bytes,
        wanted,
        more=starved or peak > needs.memory_bytes,
        less=sure and len(peaks) == len(results),
    )
    busiest = max(cpus, default=0.0)
    cpu = _moved(
        needs.num_cpus,
        max(1, math.ceil(busiest / 100 * factors.cpu - 1e-9)),
        more=busiest / 100 >= needs.num_cpus + SPARE_CPU,
        less=sure and len(cpus) == len(results),
    )
    longest = max((one.exec_minutes * MINUTE for one in known), default=0.0)
    seconds = max(longest, needs.runtime_s if late else 0) * factors.runtime
    runtime = _moved(
        needs.runtime_s,
        max(1, math.ceil(seconds / MINUTE - 1e-9)) * MINUTE,
        more=late or longest > needs.runtime_s,
        less=sure,
    )
    return Correction(
        memory=memory,
        cpus=cpu,
        runtime=runtime,
        peak_memory=max(peaks, default=None),
        peak_cpu=max(cpus, default=None),
    )


def rounded(size: float) -> int:
    """Bytes rounded up to whole MiB, or GiB where there are many."""
    unit = GIB if size >= WHOLE_GIB else MIB
    return max(1, math.ceil(size / unit - 1e-9)) * unit


def size_text(size: int) -> str:
    """Whole MiB or GiB as a specification has them: `12g`, `512m`."""
    return f"{size // GIB}g" if size % GIB == 0 else f"{size // MIB}m"


def runtime_text(seconds: int) -> str:
    """Whole minutes as a specification has them: `PT90M`."""
    return f"PT{seconds // MINUTE}M"


def fields_of(found: Correction) -> Mapping[str, object]:
    """The fields of a requirement that a correction changes."""
    fields: dict[str, object] = {}
    if found.memory is not None:
        fields["memory"] = size_text(found.memory)
    if found.cpus is not None:
        fields["num_cpus"] = found.cpus
    if found.runtime is not None:
        fields["runtime"] = runtime_text(found.runtime)
    return fields


def _moved(old: int, new: int, *, more: bool, less: bool) -> int | None:
    """The new amount, if it is one in the direction that is allowed."""
    return new if (more and new > old) or (less and new < old) else None


def _kind(result: Result) -> str:
    return (result.reason or "").partition(":")[0]
