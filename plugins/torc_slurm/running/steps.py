"""The executor of mode `slurm`: each job is a step of the allocation (`slurm.md` §6, EX4-EX6)."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

from torc_core.detection import Detected
from torc_core.model import JobId, JobUsage, Workflow
from torc_core.protocols import Clock, Executor, Exit, Guarding, Store, Task, Will
from torc_core.runner.log import log
from torc_core.runner.options import Execution
from torc_slurm.running.accounts import Accounts
from torc_slurm.running.allocation import Place
from torc_slurm.running.stepping import (
    LONGEST,
    Layout,
    aborted,
    judged,
    name_of,
    said_of,
    script_of,
    step_of,
    task_of,
)
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from torc_core.session import Session

DOUBT = 2.0
"""Seconds after the end of a step by Slurm within which Slurm tells this process to end, if it does."""
NEAR = 5.0
"""Seconds before its limit from which on Slurm may have ended a step for its time."""
SHORTLY, GIVE_UP = 1.0, 20.0
"""Seconds after which an srun is killed that does not end although its step is to be killed: where Slurm ends the step
of itself, and else."""


class Steps:
    """Each job is a step, by an srun that is a process of this node.

    Parameters
    ----------
    end, headroom
        Until when a step may run: the end of the allocation, monotonic seconds, less so many.
    """

    def __init__(
        self,
        local: Executor,
        clock: Clock,
        slurm: Slurm,
        layout: Layout,
        accounts: Accounts | None,
        *,
        end: float | None,
        headroom: float,
    ) -> None:
        self._local = local
        self._clock = clock
        self._slurm = slurm
        self._layout = layout
        self._accounts = accounts
        self._end = end
        self._headroom = headroom
        self._tasks: dict[JobId, Task] = {}
        self._dying: dict[JobId, float] = {}
        self._signals: dict[int, list[str]] = {}
        self._limits: dict[JobId, float] = {}
        self._doubtful: dict[JobId, tuple[float, Exit]] = {}
        self._unwritable: list[Exit] = []
        self.limits_memory = True
        """Slurm does, as `--mem` of each step says."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Start a step for each job; what is no job, such as a command of an action, is a process of this node."""
        minutes = None
        if self._end is not None:
            minutes = int((self._end - self._headroom - self._clock.monotonic()) // 60)
        started = []
        for task in tasks:
            if task.shape is None:
                started.append(task)
                continue
            try:
                text = self._written(task)
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, str(error.errno))
                self._unwritable.append(Exit(job=task.job, return_code=0, error=f"output_unwritable: {name}"))
                self._local.wake()
                continue
            self._tasks[task.job] = task
            if minutes is not None:
                self._limits[task.job] = self._clock.monotonic() + 60.0 * max(1, minutes)
            started.append(task_of(task, text, self._layout, minutes))
            if self._accounts is not None:
                self._accounts.began(name_of(task))
        self._local.start(started)

    def wait(self, timeout: float | None) -> Sequence[Exit]:
        """Sleep until steps ended; what was to be signalled is, by one call."""
        self._send_signals()
        now = self._clock.monotonic()
        if late := [job for job, at in self._dying.items() if at <= now]:
            for job in late:
                del self._dying[job]
            self._local.kill(late)
        times = [*self._dying.values(), *(at for at, _ in self._doubtful.values())]
        if times:
            pause = max(0.0, min(times) - now)
            timeout = pause if timeout is None else min(timeout, pause)
        found = [self._ended(one) for one in self._local.wait(timeout)]
        unwritable, self._unwritable = self._unwritable, []
        return [*unwritable, *(one for one in found if one is not None), *self._cleared()]

    def wake(self) -> None:
        """End a `wait`."""
        self._local.wake()

    def signal(self, job: JobId, signal: int) -> None:
        """Send a signal to all processes of the step; srun itself would take it for an order to end."""
        task = self._tasks.get(job)
        if job in self._doubtful:
            self._doubtful[job] = (0.0, self._doubtful[job][1])
        elif task is None:
            self._local.signal(job, signal)
        elif (step := step_of(self._said(task))) is not None:
            self._signals.setdefault(int(signal), []).append(step)
        else:
            self.kill([job])

    def kill(self, jobs: Sequence[JobId]) -> None:
        """Have the steps killed: srun does when it is told to end."""
        now = self._clock.monotonic()
        for job in jobs:
            if (task := self._tasks.get(job)) is not None:
                self._local.signal(job, signal.SIGTERM)
                # What Slurm is ending already, its srun has no more power over.
                self._dying.setdefault(job, now + (SHORTLY if aborted(self._said(task)) else GIVE_UP))
        self._local.kill([job for job in jobs if job not in self._tasks])

    def sweep(self, prefix: str) -> int:
        """Kill what dead runners left on this node."""
        return self._local.sweep(prefix)

    def entrust(self, will: Will) -> None:
        """Have this done when this process dies."""
        if isinstance(self._local, Guarding):
            self._local.entrust(will)

    def bequeath(self) -> None:
        """See `Guarding`."""
        if isinstance(self._local, Guarding):
            self._local.bequeath()

    def known(self, jobs: Sequence[JobId]) -> None:
        """The store knows how these have ended."""
        if isinstance(self._local, Guarding):
            self._local.known(jobs)

    def fence(self, at: float, lead: float) -> None:
        """End all jobs at this time."""
        if isinstance(self._local, Guarding):
            self._local.fence(at, lead)

    def close(self) -> None:
        """End what still runs, and wait a little for the accounting."""
        self._send_signals()
        for job in self._tasks:
            self._local.signal(job, signal.SIGTERM)
        self._local.close()
        if self._accounts is not None:
            self._accounts.close()

    def _send_signals(self) -> None:
        signals, self._signals = self._signals, {}
        for number, steps in signals.items():
            # One call for all of them, beside the loop: the controller may be slow.
            Thread(target=self._scancel, args=(number, steps), daemon=True).start()

    def _scancel(self, number: int, steps: Sequence[str]) -> None:
        done = self._slurm.ran("scancel", f"--signal={signal.Signals(number).name}", *steps, bucket=None)
        if done.code != 0:
            log.warning("steps_not_signalled steps=%d why=%s", len(steps), done.said)

    def _ended(self, end: Exit) -> Exit | None:
        """What the end of an srun means; None: that is not clear yet."""
        task, limit = self._tasks.pop(end.job, None), self._limits.pop(end.job, None)
        killed = self._dying.pop(end.job, None) is not None
        if task is None:
            return end
        said, usage = self._said(task), JobUsage()
        if self._accounts is not None:
            usage = self._accounts.ended(task, step_of(said), end.seconds)
        # What was sent to the step did not go to its srun.
        found = replace(judged(end, said, task.memory, usage), signalled=True, killed=True)
        if found.error is not None:
            log.warning("step_not_started job_id=%d why=%s", end.job, found.error)
        for path in (said_of(task), script_of(task)):
            with suppress(OSError):
                os.unlink(path)
        if killed or found.return_code == 0 or found.oom or not aborted(said):
            return found
        now = self._clock.monotonic()
        if limit is not None and now >= limit - NEAR:
            return replace(found, timeout=True)
        # Slurm may be about to end all of the allocation, and us: then it was no end of the job's own.
        self._doubtful[end.job] = (now + DOUBT, found)
        return None

    def _cleared(self) -> list[Exit]:
        """Ends whose cause is known by now, or has to be taken as their own."""
        now = self._clock.monotonic()
        over = [job for job, (at, _) in self._doubtful.items() if at <= now]
        return [self._doubtful.pop(job)[1] for job in over]

    def _said(self, task: Task) -> str:
        try:
            with open(said_of(task), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def _written(self, task: Task) -> str:
        """What bash runs in the step; a long one is put into a file, whose path it is then.

        Raises
        ------
        OSError
            If that, or what srun says, cannot be written.
        """
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(said_of(task), flags, 0o600))
        text = joined(task.command, task.script)
        if len(text.encode(errors="surrogateescape")) <= LONGEST:
            return text
        path = script_of(task)
        with os.fdopen(os.open(path, flags, 0o700), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path


def joined(command: str, script: str | None) -> str:
    """The text that bash runs: the invocation script is a wrapper, or a prologue if it has several lines."""
    if not script:
        return command
    return f"{script}\n{command}" if "\n" in script.strip("\n") else f"{script.strip()} {command}"


def open_steps(
    session: Session,
    local: Executor,
    store: Store,
    workflow: Workflow,
    place: Place,
    detected: Detected,
    end: float | None,
) -> Steps:
    """An executor that makes a step of each job."""
    config: Mapping[str, object] = workflow.execution_config or {}
    told = config.get("srun_termination_signal")
    names = place.names if detected.num_nodes > 1 and len(place.names) >= detected.num_nodes else ()
    layout = Layout(
        number=place.number,
        names=names,
        binds=bool(config.get("enable_cpu_bind", False)),
        signal=str(told) if told else None,
    )
    slurm = Slurm.of(session.config, session.clock)
    settings: SlurmSettings = session.config.settings("launchers", "slurm", SlurmSettings)
    accounts = Accounts(store, slurm, session.clock, workflow, place.number, every=settings.sample_seconds)
    headroom = Execution.of(workflow.execution_config).headroom
    return Steps(local, session.clock, slurm, layout, accounts, end=end, headroom=headroom)
