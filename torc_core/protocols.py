"""What a plugin must be able to do, one protocol per role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

from torc_core.model import (
    Assignment,
    Ending,
    Event,
    File,
    Initialize,
    Job,
    JobId,
    JobUsage,
    NewJob,
    NewNode,
    Node,
    NodeId,
    Offer,
    Orders,
    Page,
    Plan,
    Progress,
    Query,
    Totals,
    Turn,
    Usage,
    UserData,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.record import record

R = TypeVar("R")


class Clock(Protocol):
    """Time and chance, so that tests and the simulator own both."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC: for display and records, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward, also while the host sleeps."""
        ...

    def uuid(self) -> str:
        """A fresh random UUID."""
        ...


class Queue(Protocol):
    """The part of a store that a runner needs."""

    @property
    def server_id(self) -> str:
        """Which store this is: a UUID made when it was created."""
        ...

    def join(self, node: NewNode) -> Node:
        """Register a runner; the same epoch again gives the same node."""
        ...

    def turn(self, turn: Turn) -> Orders:
        """Endings, starts, give-back, beat, claim: one transaction, in this order.

        A turn that carries nothing but an offer is held up to `wait_ms` while there is nothing to give and
        nothing to order; the next turn of the same node, a cancel or the end of the workflow ends the wait.

        Raises
        ------
        Fenced
            If a newer epoch has replaced the turn's.
        """
        ...

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """The runner goes: what it still holds unstarted is ready again."""
        ...


class Catalog(Protocol):
    """Records, without verbs."""

    def get(self, kind: type[R], id: int) -> R:
        """One record.

        Raises
        ------
        NotFound
            If there is none.
        """
        ...

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a kind, a page of them.

        Raises
        ------
        Invalid
            If a field cannot be filtered or sorted by; the message lists those that can.
        """
        ...

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add files, user data, requirements or events; the answer carries their ids."""
        ...

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record (`engine.md` §8.7)."""
        ...

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records; the number that were there."""
        ...


class Control(Protocol):
    """What people do to workflows."""

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create all of a plan, or nothing."""
        ...

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs, uninitialized, to one workflow; refused while jobs are pending or running."""
        ...

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are; in the order asked for."""
        ...

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist: read by a job and produced by none, and outputs of completed jobs."""
        ...

    def missing_user_data(self, workflow: WorkflowId) -> Sequence[UserData]:
        """User data that a job reads, nobody produces, and that has no value."""
        ...

    def initialize(self, workflow: WorkflowId, how: Initialize) -> Progress:
        """Start a new run: jobs become ready or blocked (`engine.md` §6.2)."""
        ...

    def claim(self, workflow: WorkflowId, offer: Offer) -> Sequence[Assignment]:
        """Take ready jobs without being a node (unfenced, `engine.md` §7)."""
        ...

    def start(self, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
        """An unfenced start (`engine.md` §8.1)."""
        ...

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings and release, or cancel, the jobs that waited (`engine.md` §5.4, §8.2).

        Raises
        ------
        Invalid, Conflict
            Only for a batch of one: why it was refused. In larger batches a refused ending is `stale`.
        """
        ...

    def resume(self, workflow: WorkflowId, dead: Sequence[NodeId]) -> Progress:
        """Make ready again what runners that are known to be dead left behind (`engine.md` §8.4)."""
        ...

    def cancel(self, workflow: WorkflowId, reason: str | None = None) -> Progress:
        """Cancel a workflow (`engine.md` §8.6). Idempotent."""
        ...

    def stop(self, jobs: Sequence[JobId], *, terminate: bool = False, reason: str | None = None) -> Progress:
        """Cancel or terminate single jobs (`engine.md` §8.6)."""
        ...

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow and all that belongs to it (`engine.md` §17).

        Raises
        ------
        Conflict
            If jobs are pending or running and `force` is not given.
        """
        ...


class Store(Catalog, Control, Queue, Protocol):
    """Where workflows live."""

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A store in this process that other processes can only reach through us."""

    def publish(self, address: Mapping[str, str]) -> None:
        """Tell other processes on this host where the store is served."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A store in this process that tells what it has committed."""

    def listen(self, callback: Callable[[Sequence[Event]], None]) -> None:
        """Call `callback` after each commit that stored events, with all of them, outside of any lock or transaction.

        Called at most once per store and only when somebody listens; `callback` never raises.
        """
        ...


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


class AllocationState(StrEnum):
    """Where something that a launcher submitted is."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@record(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """Run `command` on `nodes` machines; the command is a torc runner, never a job."""

    command: Sequence[str]
    nodes: int = 1
    name: str = "torc"


class Launcher(Protocol):
    """Starts runners somewhere: here, under a batch system, on other hosts."""

    def submit(self, request: LaunchRequest) -> Sequence[str]:
        """Start it; the ids by which to ask for it."""
        ...

    def status(self, ids: Sequence[str]) -> Mapping[str, AllocationState]:
        """Where they are; an unknown id has ended."""
        ...

    def cancel(self, ids: Sequence[str]) -> None:
        """End them; an unknown id is ignored."""
        ...


class Monitor(Protocol):
    """Measures what jobs use while they run."""

    def watch(self, job: JobId, pid: int) -> None:
        """Measure this job from now on."""
        ...

    def sample(self) -> None:
        """Look at every watched job once."""
        ...

    def unwatch(self, job: JobId) -> JobUsage:
        """Stop, and say what was seen."""
        ...


class Server(Protocol):
    """Serves a store to other processes."""

    def start(self) -> Mapping[str, str]:
        """Serve in the background; the addresses by kind, such as `{"socket": "/run/…"}`."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...
