"""Control groups that keep jobs within their memory. Only the standard library is imported here.

Sources: the kernel's cgroup-v1 guide for `memory` (`memory.limit_in_bytes`, `memory.oom_control`,
`cgroup.event_control`), its cgroup-v2 guide for `memory.max`, `memory.oom.group`, `memory.events` and the rule that
groups with children that are limited have no processes of their own.
"""

from __future__ import annotations

import os

from torc_local import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = "/sys/fs/cgroup"
PREFIX = "torc-"
SPARE = 16
"""Files that can still be opened when as many jobs as can be have alarms."""
LEAF = PREFIX + "runner"
"""Where a runner goes in version 2, so that its own group may have children that are limited."""


def find(family: Collection[int], own: str = "/proc/self/cgroup", root: str = ROOT) -> tuple[int, str] | None:
    """The version of control groups, and the folder below which jobs can have groups of their own; None: nowhere.

    Parameters
    ----------
    family
        The runner and its guardian; in version 2 they move into a group of their own, if nobody else is in theirs.
    """
    for line in _text(own).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        path = path.rstrip("/")
        if "memory" in controllers.split(","):
            folder = _first(f"{root}/memory{path}", f"{root}/memory")
            if folder and _tried(folder, "memory.limit_in_bytes"):
                return 1, folder
        elif number == "0" and not controllers:
            path = path.removesuffix(f"/{LEAF}")
            folder = _first(f"{root}{path}", f"{root}/unified{path}")
            if folder and _shares_memory(folder, family) and _tried(folder, "memory.max"):
                return 2, folder
    return None


def tidy(folder: str) -> None:
    """Remove groups of guardians that live no more and in which no process is left."""
    for name in _entries(folder):
        pid = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and trees.process_of(int(pid)) is None:
            _remove(f"{folder}/{name}")


class Group:
    """The group of one job; its processes have `limit` bytes together."""

    __slots__ = ("_limit", "_version", "alarm", "folder")

    def __init__(self, version: int, folder: str, name: str, limit: int) -> None:
        self._version = version
        self._limit = limit
        self.folder = f"{folder}/{PREFIX}{name}"
        self.alarm = -1
        """Version 1: readable when the kernel has killed in this group; in version 2 it kills all of it."""
        # An empty one may be left of a guardian that had the same number.
        _remove(self.folder)
        os.mkdir(self.folder, 0o700)
        try:
            if version == 1:
                _write(f"{self.folder}/memory.limit_in_bytes", limit)
                self._try("memory.memsw.limit_in_bytes", limit)
                self.alarm = self._alarm()
            else:
                _write(f"{self.folder}/memory.max", limit)
                self._try("memory.swap.max", 0)
                self._try("memory.oom.group", 1)
        except OSError:
            self.close()
            raise

    def enter(self, pid: int) -> bool:
        """Put a process that has just been started into the group, with all that it has started since.

        Returns
        -------
        Whether they had more than the limit by then: the kernel counts only what is taken in the group.
        """
        waiting, taken = [pid], 0
        # Opened only now and not kept: thousands of jobs may run, and their limits are those of the user.
        entry = os.open(f"{self.folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        while waiting:
            one = waiting.pop()
            try:
                os.write(entry, b"%d" % one)
            except OSError:
                continue  # it has ended
            # PERF: what it starts from now on is in the group; the list is nearly always empty.
            waiting += trees.children(one)
            taken += trees.memory(one)
        os.close(entry)
        return taken > self._limit

    @property
    def exceeded(self) -> bool:
        """Whether the kernel has killed a process here because the limit was reached."""
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        for line in _text(f"{self.folder}/{name}").splitlines():
            key, _, count = line.partition(" ")
            if key == "oom_kill" and count.strip().isdigit() and int(count) > 0:
                return True
        return False

    @property
    def peak(self) -> int:
        """Bytes that were used at most; with files that the kernel keeps in memory, up to the limit."""
        name = "memory.max_usage_in_bytes" if self._version == 1 else "memory.peak"
        text = _text(f"{self.folder}/{name}").strip()
        return int(text) if text.isdigit() else 0

    def close(self) -> bool:
        """Remove the group; whether it is gone. As long as a process is in it, it stays."""
        if self.alarm >= 0:
            os.close(self.alarm)
        self.alarm = -1
        return _remove(self.folder)

    def _alarm(self) -> int:
        """An event that the kernel raises when the limit is reached; -1: there are too many, it is seen in the end."""
        try:
            alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError:
            return -1
        if alarm >= os.sysconf("SC_OPEN_MAX") - SPARE:
            os.close(alarm)
            return -1
        try:
            control = os.open(f"{self.folder}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _write(f"{self.folder}/cgroup.event_control", f"{alarm} {control}")
            finally:
                os.close(control)
        except OSError:
            os.close(alarm)
            raise
        return alarm

    def _try(self, name: str, value: object) -> None:
        try:
            _write(f"{self.folder}/{name}", value)
        except OSError:
            return  # this kernel counts no swap, or kills one by one


def _shares_memory(folder: str, family: Collection[int]) -> bool:
    """See that children of this group can be limited; whether they can."""
    if "memory" not in _text(f"{folder}/cgroup.controllers").split():
        return False
    if "memory" in _text(f"{folder}/cgroup.subtree_control").split():
        return True
    if not {int(pid) for pid in _text(f"{folder}/cgroup.procs").split()} <= set(family):
        return False
    try:
        leaf = f"{folder}/{LEAF}"
        if not os.path.isdir(leaf):
            os.mkdir(leaf, 0o700)
        for pid in family:
            _write(f"{leaf}/cgroup.procs", pid)
        _write(f"{folder}/cgroup.subtree_control", "+memory")
    except OSError:
        return False
    return True


def _tried(folder: str, limit: str) -> bool:
    """Whether groups that can be limited can be made here."""
    trial = f"{folder}/{PREFIX}{os.getpid()}-trial"
    try:
        os.mkdir(trial, 0o700)
        return os.access(f"{trial}/{limit}", os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)
    except OSError:
        return False
    finally:
        _remove(trial)


def _first(*folders: str) -> str | None:
    """The first of these that exists."""
    return next((one for one in folders if os.path.isdir(one)), None)


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _remove(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _write(path: str, value: object) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def _text(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 1 << 16).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
