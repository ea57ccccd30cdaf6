"""Where a runner is: its host, its process, which life of both, and the directory for its files."""

from __future__ import annotations

import os
import resource

from torc_core.errors import UsageError
from torc_core.record import record

FEWEST_FILES = 64
"""Files that a runner has to be able to open at once."""
FEWEST_PROCESSES = 32
"""Processes and threads, of all that its user runs here, with which a runner can do anything."""


@record(frozen=True, slots=True, kw_only=True)
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


def room_to_work() -> None:
    """See that this process may open the files and start the processes that it needs.

    Raises
    ------
    UsageError
        If these may be hardly any.
    """
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= soft < FEWEST_FILES:
        raise UsageError(f"only {soft} files may be open at once; allow more with 'ulimit -n 1024'")
    soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    # Those of root are not counted (setrlimit(2)).
    if 0 <= soft < FEWEST_PROCESSES and os.geteuid():
        raise UsageError(f"only {soft} processes may run at once; allow more with 'ulimit -u 1024'")


def output_folder(output_dir: str) -> str:
    """Make the output directory absolute, create it and its parts, and prove that it can be written to.

    Raises
    ------
    UsageError
        If it cannot.
    """
    path = os.path.abspath(output_dir)
    try:
        for one in (path, f"{path}/job_stdio"):
            os.makedirs(one, mode=0o700, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        marker = os.open(f"{path}/.torc-output", flags, 0o600)
        try:
            os.write(marker, b'{"schema": "torc.output/1"}\n')
        finally:
            os.close(marker)
    except OSError as error:
        raise UsageError(
            f"cannot write to {path!r}: {os.strerror(error.errno or 0).lower()}; choose another output directory"
        ) from error
    return path


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
