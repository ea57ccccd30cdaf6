"""How a job becomes a step of an allocation, and what srun's own words say about its end. Pure."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from torc_core.model import JobUsage
from torc_core.model.resources import MIB
from torc_core.protocols import Exit, Task
from torc_core.record import record
from torc_slurm.running.nodes import HIDDEN, nodes_told

LONGEST = 100 * 1024
"""Bytes of a command that go into one word; a longer one is read from a file."""

# A step's process is no child of the runner, and on another node its number means nothing: the step itself is named as
# what it belongs to, so that what a step leaves is found, and what runs in one is left alone.
INNER = 'read -r s </proc/$PPID/stat; s=(${s##*) }); export TORC_RUNNER="$PPID.${s[19]}"; unset s; exec bash -c "$0"'
INNER_FILE = INNER.removesuffix('-c "$0"') + '"$0"'

_LAUNCHED = re.compile(r"launching StepId=(\d+\.\d+)")
_ENDED = re.compile(r"task 0: Exited with exit code (\d+)")
_TIME = re.compile(r"DUE TO TIME LIMIT|time limit exhausted", re.IGNORECASE)
_MEMORY = re.compile(r"task \d+: Out Of Memory|oom[-_ ]kill|exceeded .*memory limit", re.IGNORECASE)
_ABORTED = re.compile(r"Job step aborted|Force Terminated")
_OWN = re.compile(r"^srun: (?:error|fatal): (.*)", re.MULTILINE)


@record(frozen=True, slots=True, kw_only=True)
class Layout:
    """The allocation in which steps are made.

    Parameters
    ----------
    names
        Of its nodes, by position; empty: they do not matter.
    binds
        Steps are bound to CPUs, as Slurm does by default.
    signal
        What Slurm is to send before the end of a step, `TERM@120`; None: nothing.
    """

    number: str
    names: Sequence[str] = ()
    binds: bool = False
    signal: str | None = None


def name_of(task: Task) -> str:
    """The name of a step: `wf3_j17_r1_a1`."""
    return os.path.basename(task.files).removeprefix("job_")


def words(task: Task, layout: Layout, minutes: int | None) -> list[str]:
    """The srun that runs a job (EX4); the job itself comes after it.

    A job of several nodes has these to itself: its step is on the first, overlaps, and what it launches stays on them.
    """
    shape = task.shape
    assert shape is not None
    alone = shape.nodes == 1
    found = [
        "srun",
        f"--jobid={layout.number}",
        "--nodes=1",
        "--ntasks=1",
        "--exact" if alone else "--overlap",
    ]
    found += [
        f"--cpus-per-task={shape.cpus}",
        f"--mem={-(-task.memory // MIB)}M" if task.memory else "--mem=0",
    ]
    if shape.gpus:
        found.append(f"--gpus-per-node={shape.gpus}")
    if minutes is not None:
        found.append(f"--time={max(1, minutes)}")
    if layout.signal:
        found.append(f"--signal={layout.signal}")
    if not layout.binds:
        found.append("--cpu-bind=none")
    if len(layout.names) > 1:
        found.append(f"--nodelist={layout.names[task.nodes[0] if task.nodes else 0]}")
    out, err = task.stdout or os.devnull, task.stderr or os.devnull
    found += [
        f"--job-name={name_of(task)}",
        "--mpi=none",
        "--export=ALL",
        "--input=none",
        "--open-mode=append",
    ]
    return [*found, f"--output={plain(out)}", f"--error={plain(err)}", "--verbose"]


def task_of(task: Task, text: str, layout: Layout, minutes: int | None) -> Task:
    """The srun of a job as a process of this node; what it says itself goes to `<files>.srun`.

    Parameters
    ----------
    text
        What bash runs in the step, or the path of the file that holds it.
    """
    inner = INNER_FILE if text == script_of(task) else INNER
    # Slurm tells a process in a step of that step: what is said of the job's nodes has to be said in it.
    told_inside = "".join(
        f"export {name}={shlex.quote(value)}; " for name, value in narrowed(task, layout).items()
    )
    line = shlex.join([*words(task, layout, minutes), "bash", "-c", told_inside + inner, text])
    told = shlex.quote(said_of(task))
    return replace(
        task,
        command=f"unset {' '.join(HIDDEN)}; exec {line} </dev/null >{told} 2>&1",
        script=None,
        memory=0,
        line=0,
    )


def said_of(task: Task) -> str:
    """The file for what srun says itself."""
    return f"{task.files}.srun"


def script_of(task: Task) -> str:
    """The file for a command that is too long for one word."""
    return f"{task.files}.step.sh"


def narrowed(task: Task, layout: Layout) -> dict[str, str]:
    """What a job of several nodes is told of them, so that its own launcher stays on them."""
    if len(task.nodes) < 2 or not layout.names:
        return {}
    return nodes_told([layout.names[one] for one in task.nodes])


def step_of(said: str) -> str | None:
    """The number of the step, `5.3`; None: it was not launched yet."""
    found = _LAUNCHED.search(said)
    return None if found is None else found[1]


def aborted(said: str) -> bool:
    """Whether Slurm has ended the step, and not its job itself."""
    return _ABORTED.search(said) is not None


def judged(end: Exit, said: str, limit: int, usage: JobUsage) -> Exit:
    """What the end of an srun means for its job.

    Parameters
    ----------
    said
        What srun has said itself.
    limit
        Bytes of memory that the step had; 0: as much as there was.
    usage
        What was seen of the step, since what the process of srun used says nothing.
    """
    if end.error is not None or end.lost or end.recalled:
        return end
    code = end.return_code
    ours = [line for line in _OWN.findall(said) if not line.startswith(("Timed out", "task "))]
    if code != 0 and step_of(said) is None and "task 0" not in said:
        why = ours[-1] if ours else f"srun ended with {code}"
        return replace(end, error=f"spawn_failed: srun: {why}"[:500], usage=JobUsage())
    if _MEMORY.search(said) and code != 0:
        peak = max(usage.peak_memory_bytes or 0, limit) or None
        return replace(end, oom=True, usage=replace(usage, peak_memory_bytes=peak))
    if _TIME.search(said) and code != 0:
        return replace(end, timeout=True, usage=usage)
    if code > 128 and _ENDED.search(said) is None:
        code = 128 - code
    return replace(end, return_code=code, usage=usage)


def plain(path: str) -> str:
    """A path in which srun replaces nothing."""
    return path.replace("\\", "\\\\").replace("%", "%%")
