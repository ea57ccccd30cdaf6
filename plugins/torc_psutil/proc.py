"""Accounts of process trees as the kernel keeps them in /proc, in one pass for all jobs.

A process costs one read, of a file that is kept open: through psutil it is fifteen times as much, which at 500
processes and a sample each second would be 4 % of a core.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from torc_core.model import JobId

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MARK = b"TORC_MARK="
LARGEST = 2048
"""Bytes of a `stat` or `io` file, at most."""
MOST_OPEN = 512
"""Files kept open, which costs half of opening them each time; above 1,023 is no room for `select` in other modules."""
ALL_ANEW = 100
"""Passes after which those that were found to be nobody's are looked at again: their numbers may have changed hands."""


@dataclass(slots=True)
class Account:
    """What the living processes of a job have used so far, and have now; seconds and bytes."""

    spent: float = 0.0
    memory: int = 0
    read: int = 0
    written: int = 0
    pids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """A process of a job, as it was at the last look.

    Parameters
    ----------
    start
        When it started, as the kernel writes it: another process of the same number has another.
    stat
        The open file, -1 where it is opened each time.
    text
        What was in it.
    moved
        Whether the bytes it has moved are of the same look.
    """

    job: JobId
    start: bytes
    stat: int = -1
    text: bytes = b""
    spent: float = 0.0
    memory: int = 0
    zombie: bool = False
    moved: bool = False
    read: int = 0
    written: int = 0

    def learn(self, text: bytes) -> bool:
        """Take the text of `stat`; whether it is that of this process."""
        fields = _fields(text)
        if fields is None or fields[19] != self.start:
            return False
        # CPU time of children that have ended and were waited for is in their parents' account.
        self.spent = (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / TICK
        self.zombie = fields[0] == b"Z"
        self.memory = 0 if self.zombie else int(fields[21]) * PAGE
        self.text, self.moved = text, False
        return True


class Table:
    """Knows which process belongs to which job, and reads their accounts. Used by one thread."""

    def __init__(self) -> None:
        self._roots: dict[int, JobId] = {}
        self._marks: dict[bytes, JobId] = {}
        self._members: dict[int, Member] = {}
        self._strangers: dict[int, tuple[int, bytes]] = {}
        self._passes = 0
        self._spare = min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    def add(self, job: JobId, pid: int, mark: str) -> float | None:
        """A job and its main process, which leads a session; its age in seconds, None: it is gone."""
        fields = _stat(pid)
        if fields is None:
            return None
        self._roots[pid] = job
        name = os.fsencode(mark)
        if mark:
            self._marks[name] = job
        for other, (session, its) in list(self._strangers.items()):
            if session == pid or other == pid or (mark and its == name):
                del self._strangers[other]
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / TICK)

    def drop(self, job: JobId) -> None:
        """Forget a job."""
        self._roots = {pid: one for pid, one in self._roots.items() if one != job}
        self._marks = {mark: one for mark, one in self._marks.items() if one != job}
        for pid in [pid for pid, one in self._members.items() if one.job == job]:
            self._forget(pid)

    def look(self, jobs: Collection[JobId], *, io: bool) -> Mapping[JobId, Account]:
        """The accounts of these jobs; none of one that has no process."""
        self._find()
        wanted = set(jobs)
        accounts: dict[JobId, Account] = {}
        gone = []
        for pid, member in self._members.items():
            if member.job not in wanted:
                continue
            text = self._text(pid, member)
            # PERF: the text of a process that sleeps is the same as before, so nothing else has to be asked.
            if not text or (text != member.text and not member.learn(text)):
                gone.append(pid)
                continue
            account = accounts.get(member.job)
            if account is None:
                account = accounts[member.job] = Account()
            account.spent += member.spent
            if not member.zombie:
                account.memory += member.memory
                account.pids.append(pid)
            if io:
                if not member.moved and not member.zombie:
                    _learn_io(pid, member)
                account.read += member.read
                account.written += member.written
        for pid in gone:
            self._forget(pid)
        return accounts

    def shared(self, job: JobId) -> int:
        """Bytes that a job has, where what processes share is divided among them; resident memory where hidden."""
        return sum(
            proportion if (proportion := _proportion(pid)) is not None else member.memory
            for pid, member in list(self._members.items())
            if member.job == job and not member.zombie
        )

    def close(self) -> None:
        """Let go of the open files."""
        for pid in list(self._members):
            self._forget(pid)

    def _find(self) -> None:
        """Judge the processes that were not there before: by session, parent and mark."""
        self._passes += 1
        if self._passes % ALL_ANEW == 0:
            self._strangers.clear()
        there = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        for pid in self._strangers.keys() - there:
            del self._strangers[pid]
        for pid in sorted(there - self._strangers.keys() - self._members.keys()):
            fields = _stat(pid)
            if fields is None:
                continue
            parent, session, mark = int(fields[1]), int(fields[3]), b""
            job = self._roots.get(pid, self._roots.get(session))
            if job is None and parent in self._members:
                job = self._members[parent].job
            if job is None:
                mark = _mark(pid)
                job = self._marks.get(mark) if mark else None
            if job is None:
                self._strangers[pid] = session, mark
            else:
                self._members[pid] = Member(job, fields[19])

    def _text(self, pid: int, member: Member) -> bytes:
        """What `stat` says now; empty: the process is gone."""
        try:
            if member.stat < 0:
                path = f"/proc/{pid}/stat"
                if self._spare <= 0:
                    return _contents(path)
                member.stat = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._spare -= 1
            return os.pread(member.stat, LARGEST, 0)
        except OSError:
            return b""

    def _forget(self, pid: int) -> None:
        member = self._members.pop(pid)
        if member.stat >= 0:
            os.close(member.stat)
            self._spare += 1


def _learn_io(pid: int, member: Member) -> None:
    """Take the bytes that a process has moved to and from storage; where they may not be read they stay as they were."""
    member.moved = True
    try:
        words = _contents(f"/proc/{pid}/io").split()
        member.read, member.written = int(words[9]), int(words[11])
    except (OSError, IndexError, ValueError):
        return


def _proportion(pid: int) -> int | None:
    """Bytes of a process, of shared pages only its part (proc(5), `Pss` of `smaps_rollup`); None: not ours to read."""
    try:
        for line in _contents(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        return 0 if not os.path.exists(f"/proc/{pid}") else None
    except (OSError, IndexError, ValueError):
        return None
    return None


def _stat(pid: int) -> list[bytes] | None:
    try:
        return _fields(_contents(f"/proc/{pid}/stat"))
    except OSError:
        return None


def _fields(text: bytes) -> list[bytes] | None:
    """The fields of proc(5)'s `stat` from the third on, which is the state; None: it is cut short."""
    fields = text[text.rfind(b")") + 2 :].split(b" ", 22)
    return fields if len(fields) == 23 else None


def _mark(pid: int) -> bytes:
    """The mark that a process began with; empty: none, or not ours to read."""
    try:
        text = b"\0" + _contents(f"/proc/{pid}/environ")
    except OSError:
        return b""
    return text.partition(b"\0" + MARK)[2].partition(b"\0")[0]


def _contents(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
            if len(part) < 1 << 16:
                break
        return b"".join(parts)
    finally:
        os.close(fd)
