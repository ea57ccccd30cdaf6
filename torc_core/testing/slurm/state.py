"""What the small Slurm remembers: a file for each job, one lock for all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUEUED = ("PENDING", "REQUEUED")
OVER = (
    "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
)  # fmt: skip
KNOWN_FOR = 300.0
"""Seconds for which the queue shows a job that is over."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else reads or changes anything meanwhile."""
    with open(folder / "lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(path: Path, default: Any) -> Any:
    """The content of a file, or the default."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return default


def write(path: Path, content: Any) -> None:
    """Replace the content of a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content))
    part.replace(path)


def config(folder: Path) -> dict[str, Any]:
    """How the cluster is made."""
    found: dict[str, Any] = read(folder / "config.json", {})
    return found


def jobs(folder: Path) -> list[dict[str, Any]]:
    """All jobs in the order of their numbers."""
    numbers = sorted(int(path.stem) for path in (folder / "jobs").glob("[0-9]*.json"))
    return [one for number in numbers if (one := job(folder, str(number))) is not None]


def job(folder: Path, number: str) -> dict[str, Any] | None:
    """A job; None: there is none of this number."""
    found: dict[str, Any] | None = read(folder / "jobs" / f"{number}.json", None)
    return found


def save(folder: Path, one: dict[str, Any]) -> None:
    """Write a job down."""
    write(folder / "jobs" / f"{one['id']}.json", one)


def number(folder: Path) -> int:
    """The next number."""
    last: int = read(folder / "last.json", 1000)
    write(folder / "last.json", last + 1)
    return last + 1


def over(folder: Path, one: dict[str, Any], word: str, code: str = "0:0") -> None:
    """A job has ended."""
    one.update(state=word, code=code, end=time.time())
    save(folder, one)


def schedule(folder: Path) -> None:
    """Start what can be started, in the order of submission; the caller has the lock."""
    settings = config(folder)
    every = jobs(folder)
    free = [
        name
        for name in settings["nodes"]
        if not any(name in one["hosts"] for one in every if one["state"] == "RUNNING")
    ]
    busy = {one["name"] for one in every if one["state"] == "RUNNING"}
    for one in every:
        if one["state"] not in QUEUED or settings.get("held"):
            continue
        single = one["dependency"] == "singleton"
        if one.get("held"):
            one["reason"] = "JobHeldUser"
        elif single and one["name"] in busy:
            one["reason"] = "Dependency"
        elif one["nodes"] > len(free):
            one["reason"] = "Resources"
        else:
            start(folder, one, free[: one["nodes"]])
            free = free[one["nodes"] :]
        if single:
            busy.add(one["name"])
        save(folder, one)


def start(folder: Path, one: dict[str, Any], hosts: list[str]) -> None:
    """Start a job on these nodes."""
    one.update(state="RUNNING", reason="None", hosts=hosts, start=time.time())
    save(folder, one)
    program = Path(__file__).with_name("program.py")
    stepd = subprocess.Popen(
        [sys.executable, "-S", "-E", str(program), str(folder), "stepd", one["id"]],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
    )  # fmt: skip
    one.update(stepd=stepd.pid, stepd_start=begun(stepd.pid))
    # NOTE: never waited for by its parent, which is gone soon; init does.
    stepd.returncode = 0


def kill(one: dict[str, Any], number: int = signal.SIGKILL) -> None:
    """Send a signal to all processes of a job."""
    if one.get("pid") and alive(one["pid"], one.get("pid_start")):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(one["pid"], number)


def begun(pid: int) -> str:
    """When a process began, in ticks since boot; nothing: it is no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def alive(pid: int, start: str | None) -> bool:
    """Whether it is still that process."""
    return bool(start) and begun(pid) == start
