"""Processes on a node: what is started, how it ended, and who does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from torc_core.model import JobId, JobUsage, Shape
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Task:
    """A process to start.

    Parameters
    ----------
    command, script
        What the user wrote (`runner.md` §5.1); `script` is the invocation script.
    base, env
        The environment: `base` is the same object for all tasks of a runner, so that an executor can prepare it
        once; `env` comes on top and wins.
    stdout, stderr
        Absolute paths of files to create; None: nowhere. Equal paths: one file, appended.
    files
        Absolute path without suffix, for further files of the attempt.
    mark
        The value of `TORC_MARK`, by which its processes are found wherever they hide.
    daemons
        Leave alone what the job leaves running.
    line
        Tasks of one line are of one shape and may take each other's place; 0: none may.
    memory
        Bytes that all its processes may have together, where the executor can see to it (`Limiting`); 0: no limit.
    lease
        Under which the attempt is held; empty: it is no attempt at a job.
    nodes
        Positions of its nodes among those of the runner, of which the first runs it; empty: the runner's own.
    shape
        What it has of each of its nodes; None: it is no attempt at a job.
    """

    job: JobId
    attempt_id: int
    command: str
    script: str | None
    base: Mapping[str, str]
    env: Mapping[str, str]
    cwd: str
    stdout: str | None
    stderr: str | None
    files: str
    mark: str
    daemons: bool = False
    line: int = 0
    memory: int = 0
    lease: str = ""
    nodes: Sequence[int] = ()
    shape: Shape | None = None


@record(frozen=True, slots=True, kw_only=True)
class Exit:
    """A job's process has ended and its tree is gone, or it could not be started.

    Parameters
    ----------
    return_code
        The exit status, or minus the number of the signal that killed it.
    seconds
        From fork to reap of the main process.
    leftovers
        How many processes it left running, which have been ended since.
    error
        Why it could not be started: `spawn_failed: E2BIG`, `output_unwritable: EACCES`; None: it was.
    lost
        Nobody saw the end: what watched the process died, and the process was killed.
    successor
        The queued task that has taken its place (`Queueing`).
    recalled
        It was queued, and will not be started: no process of it ever was.
    oom
        It was killed because it went beyond its memory.
    timeout
        Somebody else, such as a batch system, ended it because its time was over.
    signalled, killed
        Whether a signal, or a kill, that was sent to it came before its end; an executor that cannot know says yes.
    """

    job: JobId
    return_code: int
    seconds: float = 0.0
    usage: JobUsage = JobUsage()
    leftovers: int = 0
    error: str | None = None
    lost: bool = False
    successor: JobId | None = None
    recalled: bool = False
    oom: bool = False
    timeout: bool = False
    signalled: bool = True
    killed: bool = True


class Executor(Protocol):
    """Turns claimed jobs into processes on this node.

    All but `wake` is called by one thread. A job is known by its id from `start` until `wait` has told its end;
    until then the id is not started again.
    """

    def start(self, tasks: Sequence[Task]) -> None:
        """Start processes; one that cannot be started is told by `wait`, never by an exception."""
        ...

    def wait(self, timeout: float | None) -> Sequence[Exit]:
        """Sleep until processes ended, `wake` was called or the time (seconds) is over; those that ended."""
        ...

    def wake(self) -> None:
        """End a `wait`, now or next; callable from any thread and from a signal handler."""
        ...

    def signal(self, job: JobId, signal: int) -> None:
        """Send a signal to the job's process group; no effect when it has ended."""
        ...

    def kill(self, jobs: Sequence[JobId]) -> None:
        """Kill whole trees: group, session, descendants and whatever carries the mark, until none is left.

        Returns at once; the ends are told by `wait`, at most some seconds later.
        """
        ...

    def sweep(self, prefix: str) -> int:
        """Kill what dead runners left on this node; returns, when they are gone, how many processes there were.

        These are the processes whose mark begins with `prefix` and whose `TORC_RUNNER` (`pid.start`) names no living
        process.
        """
        ...

    def close(self) -> None:
        """Kill what still runs, and let go of processes and descriptors."""
        ...


@runtime_checkable
class Queueing(Protocol):
    """An executor that can keep tasks at hand: the next starts where one of its line has ended, nobody is asked."""

    def queue(self, line: int, busy: int, tasks: Sequence[Task]) -> None:
        """Keep tasks in a line, first in, first out; tasks that were given to `start` name their line.

        Parameters
        ----------
        busy
            How many tasks of the line the caller believes to run. Where fewer do, because ends are on their way,
            so many tasks are started at once: the caller will find the first of its queue in the place of every
            end that names no successor.
        """
        ...

    def recall(self, jobs: Sequence[JobId]) -> None:
        """Take tasks out of the lines; those that were not started yet are told by `wait` as recalled."""
        ...


@runtime_checkable
class Locating(Protocol):
    """An executor that can say where its jobs are, so that a monitor can look at them."""

    def processes(self) -> Mapping[str, int]:
        """The main process of each job that runs, by the job's mark; called by one thread, whichever.

        The same object again means that nothing has changed.
        """
        ...


@runtime_checkable
class Limiting(Protocol):
    """An executor that may be able to keep jobs within their memory."""

    @property
    def limits_memory(self) -> bool:
        """Whether it does here: a task that goes beyond its `memory` is killed, and its exit says `oom`."""
        ...


@record(frozen=True, slots=True, kw_only=True)
class Will:
    """What a guardian does when its runner has died and its jobs are ended.

    Parameters
    ----------
    path
        The file that gets the ends of jobs which the store does not know of.
    second
        The same where that cannot be written.
    about
        What else the file says: whose results they are.
    deliver
        The command that tells the store.
    """

    path: str
    about: Mapping[str, str | int]
    deliver: Sequence[str]
    second: str = ""


@runtime_checkable
class Guarding(Protocol):
    """An executor whose jobs are looked after when its own process dies or stands still."""

    def entrust(self, will: Will) -> None:
        """Have this done when this process dies."""
        ...

    def bequeath(self) -> None:
        """End all jobs and do this now: this process fails, and tells nothing more."""
        ...

    def known(self, jobs: Sequence[JobId]) -> None:
        """The store knows how these have ended."""
        ...

    def fence(self, at: float, lead: float) -> None:
        """End all jobs at this time, boot-time seconds, unless a later call names a later time."""
        ...
