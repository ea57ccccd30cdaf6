"""The executor: hands tasks to a guardian process, and tells what that says of their ends."""

from __future__ import annotations

import errno
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from torc_core.errors import TorcError
from torc_core.model import JobId, JobStatus, JobUsage
from torc_core.protocols import Exit, Task, Will
from torc_core.store import codec
from torc_local import cgroups, trees
from torc_local.channel import KILL, RECALLED, SIGNAL, Channel, Closed
from torc_local.command import encoded

log = logging.getLogger(__name__)

# The guardian is started without site-packages and without `torc_local/__init__`, which would make it four times
# as large: the package is put into place as an empty shell around its folder.
BOOT = (
    "import sys, types; package = types.ModuleType('torc_local'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['torc_local'] = package; from torc_local.guardian import main; main(int(sys.argv[2]))"
)
STRAY_GRACE, STRAY_GIVE_UP = 2.0, 4.0
"""Seconds until what a dead runner left is killed, and until it is left to the kernel."""
CLOSE_WITHIN = 6.0
SIGNALLED = -signal.SIGKILL


class Subprocesses:
    """A process per job, each in a session of its own; see `Executor`.

    Parameters
    ----------
    groups
        Keep jobs within their memory by control groups, where this system lets us make some.
    """

    def __init__(self, *, groups: bool = True) -> None:
        self._wants_groups = groups
        self._groups: tuple[int, str] | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._running: dict[JobId, str] = {}
        self._outer = os.environ.get("TORC_MARK", "")
        self._children: list[int] | None = None
        self._found: dict[str, int] = {}
        self._exits: list[Exit] = []
        self._will: tuple[object, ...] | None = None
        self._fence: tuple[float, float] | None = None
        self._base: Mapping[str, str] | None = None
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._launch()

    @property
    def guardian(self) -> int:
        """The process that jobs are children of."""
        return self._pid

    @property
    def limits_memory(self) -> bool:
        """Whether jobs are kept within their memory; see `Limiting`."""
        if self._wants_groups:
            self._wants_groups = False
            self._groups = cgroups.find((os.getpid(), self._pid))
            if self._groups:
                cgroups.tidy(self._groups[1])
                self._put(("groups", *self._groups))
        return self._groups is not None

    def start(self, tasks: Sequence[Task]) -> None:
        """Start processes."""
        if tasks:
            self._put(("start", self._works(tasks)))

    def queue(self, line: int, busy: int, tasks: Sequence[Task]) -> None:
        """Keep tasks at hand; see `Queueing`."""
        if tasks:
            self._put(("queue", line, busy, self._works(tasks)))

    def recall(self, jobs: Sequence[JobId]) -> None:
        """Take tasks out of the lines."""
        self._put(("recall", list(jobs)))

    def entrust(self, will: Will) -> None:
        """Have this done when this process dies; see `Guarding`."""
        terminated = json.loads(codec.dumps(JobStatus.TERMINATED))
        self._will = "will", [will.path, will.second], dict(will.about), list(will.deliver), terminated
        self._put(self._will)

    def bequeath(self) -> None:
        """Do what is to be done when this process dies; see `Guarding`."""
        self._put(("bequeath",))

    def known(self, jobs: Sequence[JobId]) -> None:
        """The store knows how these have ended."""
        if self._will is not None and jobs:
            self._put(("known", list(jobs)))

    def fence(self, at: float, lead: float) -> None:
        """End all jobs at this time, unless a later call names a later one."""
        self._fence = at, lead
        self._put(("fence", at, lead))

    def wait(self, timeout: float | None) -> Sequence[Exit]:
        """Sleep until processes ended, `wake` was called or the time is over; those that ended."""
        milliseconds = None if timeout is None else timeout * 1000
        if self._exits:
            milliseconds = 0.0
        for fd, events in self._poll.poll(milliseconds):
            if fd == self._wake:
                os.eventfd_read(self._wake)
            else:
                if events & select.POLLOUT:
                    self._flush()
                self._read()
        exits, self._exits = self._exits, []
        return exits

    def wake(self) -> None:
        """End a `wait`, now or next."""
        os.eventfd_write(self._wake, 1)

    def signal(self, job: JobId, signal: int) -> None:
        """Send a signal to the job's process group."""
        self._put(("signal", job, int(signal)))

    def kill(self, jobs: Sequence[JobId]) -> None:
        """Kill whole trees."""
        self._put(("kill", list(jobs)))

    def processes(self) -> Mapping[str, int]:
        """The main process of each job that runs, by its mark; see `Locating`."""
        children = trees.children(self._pid)
        if children == self._children:
            return self._found
        marks, ours = {pid: mark for mark, pid in self._found.items()}, set(self._running.values())
        found: dict[str, int] = {}
        unknown = False
        for pid in children:
            mark = marks.get(pid) or os.fsdecode(trees.variable(pid, trees.MARK))
            # The main process of a job is an older child than what the job has left to the guardian.
            if mark in ours and mark not in found:
                found[mark] = pid
            unknown = unknown or mark in ("", self._outer)
        # Between fork and exec a child has the guardian's environment: it is looked at again.
        self._found, self._children = found, None if unknown else children
        return found

    def sweep(self, prefix: str) -> int:
        """Kill what dead runners left on this node; SIGTERM first, and SIGKILL two seconds later."""
        begin = time.monotonic()
        left = found = trees.strays(os.fsencode(prefix))
        gap = 0.001
        while left and time.monotonic() < begin + STRAY_GIVE_UP:
            for pid in left:
                late = time.monotonic() >= begin + STRAY_GRACE
                _kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            select.select([], [], [], gap)
            gap = min(gap * 2, 0.1)
            left = trees.strays(os.fsencode(prefix))
        return len(found)

    def close(self) -> None:
        """Kill what still runs, and let go of the guardian."""
        if self._channel.fd < 0:
            return
        try:
            self._channel.put(("close",))
            deadline = time.monotonic() + CLOSE_WITHIN
            while (left := deadline - time.monotonic()) > 0:
                if select.select([self._channel.fd], [], [], left)[0]:
                    self._channel.take()
        except Closed:
            pass
        self._bury()
        # Where the guardian stood still, its jobs live.
        self._end_marked()
        os.close(self._wake)

    def _launch(self) -> None:
        """Start the guardian, in a session of its own so that a terminal's signals do not reach it."""
        ours, theirs = _socketpair()
        argv = [sys.executable, "-I", "-S", "-c", BOOT, os.path.dirname(os.path.abspath(__file__)), "3"]
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                argv,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs, 3),
                ],
                setsid=True,
            )
        except OSError as error:
            os.close(ours)
            raise TorcError(f"cannot start the guardian of the jobs: {error.strerror}") from error
        finally:
            os.close(theirs)
        self._channel = Channel(ours)
        self._poll.register(ours, select.POLLIN)
        if self._base is not None:
            self._tell_base()
        if self._groups:
            cgroups.tidy(self._groups[1])
            self._put(("groups", *self._groups))
        if self._will is not None:
            self._put(self._will)
        if self._fence is not None:
            self._put(("fence", *self._fence))

    def _works(self, tasks: Sequence[Task]) -> list[tuple[object, ...]]:
        if tasks[0].base is not self._base:
            self._base = tasks[0].base
            self._tell_base()
        for one in tasks:
            self._running[one.job] = one.mark
        return [_work(one) for one in tasks]

    def _tell_base(self) -> None:
        base = {encoded(name): encoded(value) for name, value in (self._base or {}).items()}
        self._put(("base", base, _umask()))

    def _put(self, message: object) -> None:
        try:
            self._channel.put(message)
            self._watch()
        except Closed:
            self._lost()

    def _flush(self) -> None:
        try:
            self._channel.flush()
            self._watch()
        except Closed:
            self._lost()

    def _watch(self) -> None:
        self._poll.modify(self._channel.fd, select.POLLIN | (select.POLLOUT if self._channel.behind else 0))

    def _read(self) -> None:
        try:
            messages = self._channel.take()
        except Closed:
            self._lost()
        else:
            self._told(messages)

    def _told(self, messages: Sequence[Any]) -> None:
        for exits, strays in messages:
            if strays:
                log.warning("leftover_processes processes=%d", strays)
            for job, code, seconds, peak, cpu, leftovers, error, oom, heard, successor in exits:
                if self._running.pop(job, None) is None:
                    continue
                if error == RECALLED:
                    self._exits.append(Exit(job=job, return_code=0, recalled=True))
                    continue
                usage = _usage(peak, oom, cpu, seconds) if error is None else JobUsage()
                self._exits.append(
                    Exit(
                        job=job,
                        return_code=code,
                        seconds=seconds,
                        usage=usage,
                        leftovers=leftovers,
                        error=error,
                        successor=successor,
                        oom=oom > 0,
                        signalled=heard >= SIGNAL,
                        killed=heard >= KILL,
                    )
                )

    def _lost(self) -> None:
        """The guardian has died: nobody will tell the ends of its jobs, so they are ended here."""
        with suppress(Closed):
            while messages := self._channel.take():
                self._told(messages)
        log.error("guardian_died pid=%d jobs=%d", self._pid, len(self._running))
        self._bury()
        self._end_marked()
        self._exits += [Exit(job=job, return_code=SIGNALLED, lost=True) for job in self._running]
        self._running.clear()
        self._launch()

    def _end_marked(self) -> None:
        """Kill what runs of the jobs whose ends were not told."""
        marks = {os.fsencode(mark) for mark in self._running.values()}
        begin, gap = time.monotonic(), 0.001
        while (left := trees.marked(marks)) and time.monotonic() < begin + STRAY_GIVE_UP:
            for pid in left:
                _kill(pid, signal.SIGKILL)
            select.select([], [], [], gap)
            gap = min(gap * 2, 0.1)

    def _bury(self) -> None:
        self._poll.unregister(self._channel.fd)
        os.close(self._channel.fd)
        self._channel.fd = -1
        _kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _work(task: Task) -> tuple[object, ...]:
    """A task as a plain tuple, in the order of `Work`."""
    return (
        task.job,
        task.command,
        task.script,
        dict(task.env),
        task.cwd,
        task.stdout,
        task.stderr,
        task.files,
        task.mark,
        task.daemons,
        task.line,
        task.memory,
        task.lease,
    )


def _umask() -> int:
    """The umask of this process, without changing it even for a moment."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def _usage(peak: int, oom: int, cpu: float, seconds: float) -> JobUsage:
    """Peak RSS of the largest process (the kernel's KiB become bytes), and CPU time per elapsed time in percent.

    `oom`: bytes that all had together when the job was killed for memory.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return JobUsage(
        peak_memory_bytes=max(peak * unit, oom), avg_cpu_percent=100 * cpu / seconds if seconds > 0 else None
    )


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def _socketpair() -> tuple[int, int]:
    import socket

    one, other = socket.socketpair()
    return one.detach(), other.detach()
