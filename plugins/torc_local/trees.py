"""Finds the processes of jobs: by group, session, descent and mark. Only the standard library is imported here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

MARK = b"TORC_MARK="
RUNNER = b"TORC_RUNNER="
PAGE = os.sysconf("SC_PAGE_SIZE")
LOOKS, LOOK_AGAIN = 100, 0.001
"""How often the environment of a process is looked for that is just becoming another program, and seconds in between."""


class Process:
    """A living process as /proc shows it; `start` in clock ticks since boot."""

    __slots__ = ("group", "parent", "pid", "session", "start")

    def __init__(self, pid: int, parent: int, group: int, session: int, start: int) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.start = start


def processes() -> list[Process]:
    """All processes of this machine but zombies; none where there is no /proc."""
    found = []
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit() and (process := process_of(int(name))):
            found.append(process)
    return found


def process_of(pid: int) -> Process | None:
    """One process; None: it has ended, or is a zombie."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def children(parent: int) -> list[int]:
    """The living children of a process, zombies among them."""
    path = f"/proc/{parent}/task/{parent}/children"
    if listed := _read(path):
        return list(map(int, listed.split()))
    if os.path.exists(path):
        return []
    # A kernel that was built without this file.
    return [one.pid for one in processes() if one.parent == parent]


def memory(pid: int) -> int:
    """Bytes that a process has in memory and shares with no file; 0: it has ended."""
    # statm: size, resident, and of these shared, in pages (proc_pid_statm(5)).
    pages = _read(f"/proc/{pid}/statm").split()
    return (int(pages[1]) - int(pages[2])) * PAGE if len(pages) > 2 else 0


def variable(pid: int, name: bytes) -> bytes:
    """The value that `name` (with its `=`) had when the process began; empty: none, or not ours to read."""
    path, looks = f"/proc/{pid}/environ", LOOKS
    # NOTE: in the middle of an exec the kernel shows none, for as long as the process does not get to run.
    while not (text := _read(path)) and looks and _becomes_another(pid):
        looks -= 1
        time.sleep(LOOK_AGAIN)
    text = b"\0" + text
    return text.partition(b"\0" + name)[2].partition(b"\0")[0]


def _becomes_another(pid: int) -> bool:
    """Whether a process that we may look at has memory, as kernel threads have not, and no environment yet."""
    try:
        os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    # vsize and env_start (proc_pid_stat(5), fields 23 and 50).
    return len(fields) > 47 and fields[20] != b"0" and fields[47] == b"0"


def members(roots: Mapping[int, bytes], gone: Callable[[int], bool]) -> dict[int, list[int]]:
    """The living processes of trees.

    Parameters
    ----------
    roots
        The mark of each tree by the pid of its main process, which leads its group and its session.
    gone
        Whether the main process with this pid was reaped; its number may then belong to somebody else.

    Returns
    -------
    Of each tree, by the pid of its main process; the main process among them.
    """
    if not roots:
        return {}
    everybody = [one for one in processes() if one.pid not in (os.getpid(), os.getppid())]
    marks = {mark: root for root, mark in roots.items()}
    # A number that is in use again cannot be the group of a tree: a group keeps its number from being used.
    known = {root for root in roots if not (gone(root) and any(one.pid == root for one in everybody))}
    owner: dict[int, int] = {}
    for one in everybody:
        if one.group in known:
            owner[one.pid] = one.group
        elif one.session in known:
            owner[one.pid] = one.session
        elif (root := marks.get(variable(one.pid, MARK))) is not None:
            owner[one.pid] = root
    children: dict[int, list[int]] = {}
    for one in everybody:
        children.setdefault(one.parent, []).append(one.pid)
    waiting = list(owner)
    while waiting:
        parent = waiting.pop()
        for child in children.get(parent, ()):
            if child not in owner:
                owner[child] = owner[parent]
                waiting.append(child)
    found: dict[int, list[int]] = {}
    for pid, root in owner.items():
        found.setdefault(root, []).append(pid)
    return found


def marked(marks: set[bytes]) -> dict[int, bytes]:
    """Living processes that carry one of these marks, and which."""
    if not marks:
        return {}
    return {one.pid: mark for one in processes() if (mark := variable(one.pid, MARK)) in marks}


def strays(prefix: bytes) -> list[int]:
    """Living processes whose mark begins so, and whose runner (`TORC_RUNNER`: `pid.start`) lives no more."""
    found, alive = [], {}
    for one in processes():
        if not variable(one.pid, MARK).startswith(prefix):
            continue
        runner = variable(one.pid, RUNNER)
        if runner not in alive:
            pid, _, start = runner.partition(b".")
            process = process_of(int(pid)) if pid.isdigit() else None
            alive[runner] = process is not None and str(process.start).encode() == start
        if not alive[runner] and one.pid != os.getpid():
            found.append(one.pid)
    return found


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while chunk := os.read(fd, 1 << 16):
            parts.append(chunk)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)
