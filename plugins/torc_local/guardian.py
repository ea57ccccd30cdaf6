"""A small process between a runner and its jobs: starts them, waits for them, and ends what they leave behind.

It is single-threaded, holds nothing but this module and its few siblings, and is the parent of every job. So the
kernel's account of a job's peak memory is not clouded by the size of the runner (a process counts at least what its
parent had in memory when it was started), starts do not wait for the runner's interpreter, and a runner that dies
without goodbye leaves no process behind. Only the standard library is imported here.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque

from torc_local import trees
from torc_local.channel import KILL, RECALLED, SIGNAL, Channel, Closed
from torc_local.groups import Groups
from torc_local.orphans import Orphans
from torc_local.spawn import Busy, NotStarted, Spawner, Work, make
from torc_local.will import Will

TYPE_CHECKING = False
if TYPE_CHECKING:
    # `typing` alone is a megabyte, which every job would be charged with.
    from typing import Any

    from torc_local.cgroups import Group

LEFTOVER_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL for what an ended job has left running."""
ORPHAN_GRACE = 10.0
"""The same for the jobs of a runner that has died."""
GIVE_UP = 2.0
"""Seconds after SIGKILL after which a process that still exists is left to the kernel; a main process only if nobody
else can tell of the others."""
RETRIES, RETRY_AFTER = 3, 0.7
"""Starts that are tried while the system has no room for a process, and the seconds in between."""
SWEEP_AFTER = 1.0
"""Seconds after the end of a job until its mark is looked for outside its session."""
CHEAP = 100
"""A sweep may cost one part in so many of a core."""
HOLD_BACK = 0.02
"""Seconds that ends are held back while their places are taken again, so that they travel together."""
ALARM = 5.0
"""Seconds after which a fence is looked at again: a wait does not count the time for which the system slept."""
NEVER = -1
"""The line of tasks that came from a runner which has died since."""
BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
FIRST_LOOK, LAST_LOOK = 0.001, 0.1
"""Seconds between two looks at processes that were signalled; doubling."""


class Tree:
    """A job's processes; `ended` is what is reported once all of them are gone.

    `heard`: what was sent to it before its main process ended, SIGNAL or KILL; 0: nothing.
    """

    __slots__ = (
        "daemons",
        "ended",
        "group",
        "heard",
        "job",
        "kill_at",
        "killed_at",
        "leftovers",
        "line",
        "mark",
        "oom",
        "pid",
        "start",
    )

    def __init__(
        self,
        job: int,
        pid: int,
        mark: bytes,
        start: float,
        *,
        daemons: bool,
        line: int = 0,
        group: Group | None = None,
    ) -> None:
        self.job = job
        self.line = line
        self.pid = pid
        self.mark = mark
        self.start = start
        self.daemons = daemons
        self.ended: tuple[Any, ...] | None = None
        self.leftovers = 0
        self.kill_at: float | None = None
        self.killed_at: float | None = None
        self.group = group
        self.oom = False
        self.heard = 0

    def hears(self, what: int) -> None:
        """A signal is sent to it, or it is killed."""
        if self.ended is None:
            self.heard = max(self.heard, what)


class Guardian:
    """Serves one runner until it says goodbye or dies."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._spawner: Spawner | None = None
        self._trees: dict[int, Tree] = {}
        self._pids: dict[int, int] = {}
        self._dying: dict[int, Tree] = {}
        self._retries: list[tuple[float, int, Work]] = []
        self._exits: list[tuple[Any, ...]] = []
        self._lines: dict[int, deque[Work]] = {}
        self._busy: dict[int, int] = {}
        self._following: deque[Work] = deque()
        self._urgent = False
        self._oldest_exit = 0.0
        self._look_at = self._look_gap = 0.0
        self._marks: set[bytes] = set()
        self._sweep_at = 0.0
        self._strays = 0
        self._closing = False
        self._will: Will | None = None
        self._died = False
        self._alone = False
        self._fence: tuple[float, float] | None = None
        self._poll = select.poll()
        self._groups = Groups(self._poll, self._exceeded)
        self._orphans = Orphans()
        self._daemons = False

    def serve(self) -> None:
        """The loop; returns when the runner is gone and so are its jobs."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = self._poll
        poll.register(woken, select.POLLIN)
        poll.register(self._channel.fd, select.POLLIN)
        hung_up = select.poll()
        hung_up.register(self._channel.fd, 0)
        listening = True
        while not (self._closing and not self._trees and not self._dying):
            told = False
            for fd, _ in poll.poll(self._pause()):
                if fd == woken:
                    os.read(woken, 1 << 16)
                    self._reap()
                elif fd == self._channel.fd:
                    told = True
                else:
                    self._groups.alarm(fd)
            if told and not self._closing:
                try:
                    messages = self._channel.take()
                    self._alone = bool(hung_up.poll(0))
                    for message in messages:
                        self._obey(*message)
                except Closed:
                    self._abandoned()
            self._tend()
            if self._spawner is not None:
                self._spawner.expendable(yes=False)
            if not self._closing:
                self._answer()
            if not self._closing:
                poll.modify(self._channel.fd, select.POLLIN | (select.POLLOUT if self._channel.behind else 0))
            elif listening:
                # The runner, if it lives, waits until this end is closed by our own end.
                poll.unregister(self._channel.fd)
                listening = False
        if not self._daemons:
            self._end_hidden()
        self._groups.close()
        if self._will is not None and self._died:
            self._will.carry_out()

    def _obey(self, order: str, *what: Any) -> None:
        match order:
            case "base":
                os.umask(what[1])
                self._spawner = Spawner(what[0])
            case "groups":
                self._groups.place(*what)
            case "start" | "queue" if self._alone:
                # Nobody heard of them before the runner died: they stay what was never started.
                self._lines.setdefault(NEVER, deque()).extend(map(make, what[-1]))
            case "start":
                self._look_again()
                for work in map(make, what[0]):
                    self._busy[work.line] = self._busy.get(work.line, 0) + 1
                    self._start(work, 1)
            case "queue":
                self._look_again()
                line, busy, tasks = what
                queue = self._lines.setdefault(line, deque())
                queue.extend(map(make, tasks))
                while queue and self._busy.get(line, 0) < busy:
                    self._busy[line] = self._busy.get(line, 0) + 1
                    self._start(queue.popleft(), 1)
            case "recall":
                self._recall(set(what[0]))
            case "signal":
                if tree := self._trees.get(what[0]):
                    tree.hears(SIGNAL)
                    _signal(-tree.pid, what[1])
                else:
                    self._drop_retries({what[0]})
            case "kill":
                for job in what[0]:
                    if tree := self._trees.get(job):
                        tree.kill_at = 0.0
                        self._dying[tree.pid] = tree
                self._drop_retries(set(what[0]))
                self._look_soon()
            case "will":
                self._will = Will(*what)
            case "known":
                if self._will is not None:
                    self._will.known(what[0])
            case "fence":
                self._fence = what[0], what[1]
            case "bequeath":
                self._inherit()
                self._close(0.0)
            case "close":
                self._close(0.0)

    def _look_again(self) -> None:
        if self._spawner is not None:
            self._spawner.look_again()

    def _start(self, work: Work, tries: int) -> None:
        assert self._spawner is not None
        begin = time.monotonic()
        if self._will is not None and tries == 1:
            self._will.started(work)
        group = self._groups.group(work.job, work.memory) if work.memory else None
        try:
            pid = self._spawner.spawn(work)
        except (NotStarted, Busy) as error:
            if group is not None:
                self._groups.remove(group)
            self._not_started(work, tries, begin, error)
        else:
            greedy = group is not None and self._groups.enter(group, pid)
            mark = os.fsencode(work.mark)
            tree = Tree(work.job, pid, mark, begin, daemons=work.daemons, line=work.line, group=group)
            self._trees[work.job] = tree
            self._pids[pid] = work.job
            self._daemons = self._daemons or work.daemons
            if greedy:
                self._exceeded(work.job)

    def _not_started(self, work: Work, tries: int, begin: float, error: NotStarted | Busy) -> None:
        """Say that a job could not be started, or try again soon."""
        if isinstance(error, NotStarted):
            self._leave(work.job, work.line, (0, 0.0, 0, 0.0, 0, str(error)))
        elif tries == RETRIES:
            self._leave(work.job, work.line, (0, 0.0, 0, 0.0, 0, f"spawn_failed: {error}"))
        else:
            self._retries.append((begin + RETRY_AFTER, tries + 1, work))

    def _exceeded(self, job: int) -> None:
        """A job took more memory than it may, or the kernel has killed a process of it for that: all of it ends."""
        if tree := self._trees.get(job):
            tree.oom, tree.kill_at = True, 0.0
            self._dying[tree.pid] = tree
            self._look_soon()

    def _drop_retries(self, jobs: set[int]) -> None:
        """These were waiting for room to start, and need not try again."""
        dropped = [work for _, _, work in self._retries if work.job in jobs]
        self._retries = [entry for entry in self._retries if entry[2].job not in jobs]
        for work in dropped:
            self._leave(work.job, work.line, (-signal.SIGTERM, 0.0, 0, 0.0, 0, "spawn_failed: EAGAIN"))

    def _reap(self) -> None:
        """Every child that has ended: report it, unless something of it is left."""
        ended = []
        now = time.monotonic()
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            job = self._pids.pop(pid, None)
            if job is None:
                continue
            tree = self._trees[job]
            code = os.waitstatus_to_exitcode(status)
            tree.ended = (code, now - tree.start, used.ru_maxrss, used.ru_utime + used.ru_stime)
            if pid in self._dying:
                self._look_soon()
            elif tree.daemons:
                self._done(tree)
            else:
                ended.append(tree)
        if ended:
            self._main_processes_ended(ended, now)

    def _main_processes_ended(self, ended: list[Tree], now: float) -> None:
        """Jobs have ended, unless something of them is left."""
        orphans: set[bytes] = set()
        if self._orphans.adopted:
            # PERF: one look for all that ended at once, and nearly always at a list of nobody.
            orphans = set(self._orphans.marked({tree.mark for tree in ended}, self._pids).values())
        for tree in ended:
            if not _signal(-tree.pid, 0) and tree.mark not in orphans:
                self._done(tree)
                if not self._marks:
                    self._sweep_at = max(self._sweep_at, now + SWEEP_AFTER)
                self._marks.add(tree.mark)
                continue
            self._dying[tree.pid] = tree
            tree.kill_at = now + LEFTOVER_GRACE
            left = trees.members({tree.pid: tree.mark}, self._gone).get(tree.pid, [])
            tree.leftovers = len(left)
            for one in left:
                _signal(one, signal.SIGTERM)
            self._look_soon()

    def _done(self, tree: Tree) -> None:
        assert tree.ended is not None
        self._dying.pop(tree.pid, None)
        if self._trees.pop(tree.job, None):
            oom = 0
            if tree.group is not None:
                if tree.oom or tree.group.exceeded:
                    oom = max(1, tree.group.peak)
                self._groups.remove(tree.group)
            self._leave(tree.job, tree.line, (*tree.ended, tree.leftovers, None), oom, tree.heard)

    def _leave(self, job: int, line: int, end: tuple[Any, ...], oom: int = 0, heard: int = 0) -> None:
        """A job is gone: the next of its line takes its place.

        `oom`: bytes that it used when it was killed for memory; 0: it was not.
        """
        if self._will is not None:
            self._will.ended(job, *end[:4])
        queue = self._lines.get(line)
        if not self._exits:
            self._oldest_exit = time.monotonic()
        if queue and not self._closing:
            following = queue.popleft()
            self._exits.append((job, *end, oom, heard, following.job))
            self._following.append(following)
            # One by one: where none can be started, each start would stand inside the one before it.
            if len(self._following) == 1:
                while self._following:
                    self._start(self._following[0], 1)
                    self._following.popleft()
        else:
            self._busy[line] -= 1
            self._exits.append((job, *end, oom, heard, None))
            self._urgent = True

    def _recall(self, jobs: set[int]) -> None:
        """Take tasks out of their lines."""
        for line, queue in self._lines.items():
            kept = deque(work for work in queue if work.job not in jobs)
            self._exits += [
                (work.job, 0, 0.0, 0, 0.0, 0, RECALLED, 0, 0, None) for work in queue if work.job in jobs
            ]
            self._lines[line] = kept
        self._urgent = True

    def _tend(self) -> None:
        """What is due: starts to be tried again, processes to be killed, marks to be looked for."""
        now = time.monotonic()
        if self._retries and self._retries[0][0] <= now:
            due = [entry for entry in self._retries if entry[0] <= now]
            self._retries = [entry for entry in self._retries if entry[0] > now]
            for _, tries, work in due:
                self._start(work, tries)
        if self._fence is not None and time.clock_gettime(BOOT) >= self._fence[0]:
            self._shut_out(now)
        self._groups.tend(now)
        if self._marks and now >= self._sweep_at:
            self._sweep(now)
        if not self._dying or now < self._look_at:
            return
        self._look_gap = min(max(self._look_gap * 2, FIRST_LOOK), LAST_LOOK)
        self._look_at = now + self._look_gap
        alive = trees.members({pid: tree.mark for pid, tree in self._dying.items()}, self._gone)
        for pid, tree in list(self._dying.items()):
            left = alive.get(pid, [])
            if not left and (tree.ended is not None or pid < 0):
                self._done(tree) if pid > 0 else self._dying.pop(pid)
            elif tree.kill_at is None or now >= tree.kill_at:
                tree.killed_at = tree.killed_at or now
                tree.hears(KILL)
                for one in (-pid, *left) if pid in self._pids else left:
                    _signal(one, signal.SIGKILL)
                if now >= tree.killed_at + GIVE_UP and (tree.ended is not None or self._died):
                    tree.ended = tree.ended or (-signal.SIGKILL, now - tree.start, 0, 0.0)
                    self._done(tree)

    def _sweep(self, now: float) -> None:
        """Look for processes that left their session and outlived their job."""
        begin = time.thread_time()
        found = self._orphans.marked(self._marks, self._pids)
        self._marks.clear()
        self._sweep_at = now + CHEAP * (time.thread_time() - begin)
        for pid, mark in found.items():
            if any(tree.mark == mark for tree in self._dying.values()):
                _signal(pid, signal.SIGTERM)
                continue
            self._strays += 1
            # No main process is left of this tree, so it has no group: a number that no process can have.
            tree = Tree(-1, -pid, mark, now, daemons=False)
            tree.ended, tree.kill_at = (), now + LEFTOVER_GRACE
            self._dying[-pid] = tree
            _signal(pid, signal.SIGTERM)
            self._look_soon()

    def _gone(self, pid: int) -> bool:
        return pid not in self._pids

    def _look_soon(self) -> None:
        self._look_at = self._look_gap = 0.0

    def _abandoned(self) -> None:
        """The runner has died: its jobs end too (`runner.md` §1, I7)."""
        # Whoever reads what the runner wrote need not wait for us.
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 2)
        os.close(null)
        self._inherit()
        self._terminate()
        self._close(ORPHAN_GRACE)

    def _inherit(self) -> None:
        """Nobody but us tells of the jobs any more."""
        self._died = True
        if self._will is not None:
            lined = [work for queue in self._lines.values() for work in queue]
            self._will.never([*lined, *(work for _, _, work in self._retries)])

    def _shut_out(self, now: float) -> None:
        """The runner's lease is over and it does not see to it: it stands still, and its jobs may be run elsewhere."""
        assert self._fence is not None
        lead, self._fence = self._fence[1], None
        self._recall({work.job for queue in self._lines.values() for work in queue})
        self._drop_retries({work.job for _, _, work in self._retries})
        self._terminate()
        for tree in self._trees.values():
            if tree.kill_at is None or tree.kill_at > now + lead:
                tree.kill_at = now + lead
            self._dying[tree.pid] = tree
        self._look_soon()

    def _terminate(self) -> None:
        """Ask every process of every job to end."""
        roots = {tree.pid: tree.mark for tree in self._trees.values()}
        for tree in self._trees.values():
            tree.hears(SIGNAL)
        for left in trees.members(roots, self._gone).values():
            for one in left:
                _signal(one, signal.SIGTERM)

    def _close(self, grace: float) -> None:
        """End what still runs, also outside of its session, and then leave."""
        now = time.monotonic()
        self._closing = True
        self._retries = []
        self._lines.clear()
        if self._marks:
            self._sweep(now)
        for tree in self._trees.values():
            if tree.ended is None:
                tree.kill_at = now + grace
            self._dying[tree.pid] = tree
        self._look_soon()

    def _end_hidden(self) -> None:
        """Kill what has neither the group nor the session nor the mark of any job, and was left behind by one."""
        deadline = time.monotonic() + GIVE_UP
        while (left := self._orphans.alive(())) and time.monotonic() < deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
            time.sleep(FIRST_LOOK)
            self._reap()

    def _answer(self) -> None:
        if self._exits and not self._urgent and time.monotonic() < self._oldest_exit + HOLD_BACK:
            return
        if self._exits or self._strays or self._channel.behind:
            exits, strays = self._exits, self._strays
            self._exits, self._strays, self._urgent = [], 0, False
            try:
                if exits or strays:
                    self._channel.put((exits, strays))
                else:
                    self._channel.flush()
            except Closed:
                self._abandoned()

    def _pause(self) -> float | None:
        """Milliseconds until something is due; None: nothing is."""
        times = [entry[0] for entry in self._retries]
        if self._dying:
            times.append(self._look_at)
        if self._marks:
            times.append(self._sweep_at)
        if (look := self._groups.next_time()) is not None:
            times.append(look)
        if self._exits:
            times.append(self._oldest_exit + HOLD_BACK)
        if self._fence is not None:
            left = self._fence[0] - time.clock_gettime(BOOT)
            times.append(time.monotonic() + min(max(0.0, left), ALARM))
        return max(0.0, (min(times) - time.monotonic()) * 1000) if times else None


def _signal(pid: int, number: int) -> bool:
    """Signal a process, or a group (negative); whether there was one."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(fd: int) -> None:
    """Serve the runner at the other end of this descriptor."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The runner decides what these mean for its jobs; the guardian ends with the runner.
        signal.signal(one, lambda number, frame: None)
    Guardian(Channel(fd)).serve()
