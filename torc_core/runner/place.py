"""Where a runner is: its host, its process, and which life of both."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A process on a host; `start` in clock ticks since boot, `boot_id` a UUID of the kernel's."""

    hostname: str
    pid: int
    boot_id: str
    start: int

    @classmethod
    def here(cls) -> Place:
        """This process."""
        pid = os.getpid()
        return cls(hostname=os.uname().nodename, pid=pid, boot_id=boot_id(), start=process_start(pid) or 0)

    @property
    def gone(self) -> bool:
        """Whether it is proven dead: it was on this host, and the host was booted since or the process has ended."""
        if self.hostname != os.uname().nodename:
            return False
        return self.boot_id != boot_id() or process_start(self.pid) != self.start


def boot_id() -> str:
    """Which life of this host it is; empty where the kernel does not tell."""
    return _text("/proc/sys/kernel/random/boot_id").strip()


def process_start(pid: int) -> int | None:
    """When a process started, clock ticks since boot (proc(5), field 22 of `stat`); None: it has ended.

    0 where the kernel has no /proc but the process lives.
    """
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) > 19:
        return None if fields[0] in ("Z", "X") else int(fields[19])
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
