"""Who submits: names by which another process of the same host can tell that the one who used it is dead."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress

from torc_core.protocols import Clock


def name_of_us(clock: Clock) -> str:
    """A name for one submission by this process: host, process, its start, something unique; 64 characters at most."""
    return f"{_host()}:{os.getpid()}:{_start(os.getpid())}:{clock.uuid().replace('-', '')[-12:]}"


def dead(holder: str | None) -> bool:
    """Whether it was a process of this host that is no more; False: it lives, or nobody here can tell."""
    parts = (holder or "").split(":")
    if len(parts) != 4 or parts[0] != _host() or not parts[1].isdigit():
        return False
    return _start(int(parts[1])) != parts[2]


def end_leftover(file: str) -> int:
    """End commands that dead processes of ours left while they submitted the script of this name; how many there were.

    NOTE: a submission of one that was killed may still be under way; what it does after we have looked into the queue
    would be missed.
    """
    ended = 0
    for entry in _processes():
        with suppress(OSError, ValueError):
            if os.stat(f"/proc/{entry}").st_uid != os.getuid() or int(entry) == os.getpid():
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as text:
                words = text.read().decode(errors="replace").split("\0")
            # NOTE: not who reads the script, in whatever folder it is.
            others = [word for word in words if not word.endswith(f"/{file}")]
            if len(others) < len(words) and any(
                "sbatch" in os.path.basename(word).lower() for word in others
            ):
                os.kill(int(entry), signal.SIGKILL)
                ended += 1
    return ended


def _processes() -> list[str]:
    try:
        return [entry for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return []


def _host() -> str:
    name = socket.gethostname().partition(".")[0]
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[:20]


def _start(pid: int) -> str:
    """When a process began, in ticks since boot; nothing: it is no more, or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
            fields = text.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
