"""Processes of this host: which life of which, and what they carry in their environment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from torc_core.runner.place import boot_id, process_start

MARK = "TORC_WORKER"
"""Names the worker in the environment of it and of everything that it starts: `store.workflow.number`."""

MODULE = "torc_ssh.agent.worker"
"""On the command line of a worker."""

LOOK = 0.05
GIVE_UP = 5.0
"""Seconds to wait for processes that were killed."""

__all__ = ["MARK", "Mark", "boot_id", "process_start"]


class Mark:
    """What one worker and all that comes from it carry.

    Parameters
    ----------
    text
        As it is in the environment.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._wanted = f"{MARK}={text}".encode()

    def on(self, pid: int) -> bool:
        """Whether a process carries it."""
        return self._wanted in environment(pid)

    def carried(self) -> list[int]:
        """The processes that carry it, but for this one."""
        return [pid for pid in living() if pid != os.getpid() and self.on(pid)]

    def kill(self) -> int:
        """Kill them all, those too that appear meanwhile; how many there were."""
        seen: set[int] = set()
        deadline = time.monotonic() + GIVE_UP
        while (found := self.carried()) and time.monotonic() < deadline:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            seen.update(found)
            time.sleep(LOOK)
        return len(seen)


def marks(prefix: str) -> list[Mark]:
    """What workers and all that comes from them carry here, if it begins so."""
    wanted = f"{MARK}={prefix}".encode()
    found = {one for pid in living() for one in environment(pid) if one.startswith(wanted)}
    return [Mark(os.fsdecode(one.partition(b"=")[2])) for one in sorted(found)]


def workers(prefix: str) -> list[int]:
    """Workers that live, by the beginning of their mark; not what they have started."""
    wanted = f"{MARK}={prefix}".encode()
    return [
        pid
        for pid in living()
        if any(one.startswith(wanted) for one in environment(pid)) and MODULE.encode() in _words(pid)
    ]


def living() -> list[int]:
    """All processes but zombies."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [pid for pid in map(int, filter(str.isdigit, names)) if process_start(pid) is not None]


def environment(pid: int) -> list[bytes]:
    """With what environment a process began; empty for those of others."""
    return _read(pid, "environ")


def _words(pid: int) -> list[bytes]:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def signaled(pid: int, start: int, mark: Mark, number: int) -> bool:
    """Signal a process if it is the very one, with the mark; whether it was.

    NOTE: a descriptor of the process is taken first and the process looked at afterwards, so that a number that is
    given to somebody else in between is never signaled.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):
        descriptor = -1  # a kernel without them
    try:
        if process_start(pid) != start or not mark.on(pid):
            return False
        if descriptor >= 0:
            signal.pidfd_send_signal(descriptor, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True
