"""Checks of the room that the database and the output have: bytes, files, and what a quota leaves (`slurm.md` §13.4)."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from torc_core.model.resources import GIB, memory_text
from torc_core.record import record
from torc_slurm.deployment import seeing
from torc_slurm.deployment.checks import Check, fail, ok, warn
from torc_slurm.scheduler import programs

LEAST_FREE = GIB
KIB = 1024
LEAST_FILES = 10_000
"""Each job leaves two files or more."""
FULL = 0.9
"""Part of a quota from which on it is told."""
PATIENCE = 5
"""Seconds for a command about quotas: one of a file server that is away may hang."""

Run = Callable[[Sequence[str]], str | None]


@record(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a user has used of something, and may use; a limit of 0 is none.

    Parameters
    ----------
    what
        `bytes` or `files`.
    soft
        May be exceeded for some days.
    """

    what: str
    used: int
    soft: int
    hard: int

    @property
    def limit(self) -> int:
        """What counts first."""
        return min((one for one in (self.soft, self.hard) if one), default=0)

    def __str__(self) -> str:
        """`3.0g of 4.0g`."""
        used, limit = (
            (memory_text(max(1, one)) if self.what == "bytes" else f"{one} files")
            for one in (self.used, self.limit)
        )
        return f"{used} of {limit}"


def checked(
    places: Mapping[str, Path], environ: Mapping[str, str], mounts: Path = Path("/proc/mounts")
) -> Iterator[Check]:
    """A check for each of these folders, by its id.

    Parameters
    ----------
    environ
        Where `quota` and `lfs` are looked for.
    """
    for id, path in places.items():
        yield room(id, path, lambda words: _said(words, environ), mounts)


def room(id: str, path: Path, run: Run, mounts: Path = Path("/proc/mounts")) -> Check:
    """Whether there is room where a path is, or will be."""
    folder = next((one for one in (path, *path.parents) if one.is_dir()), Path("/"))
    try:
        seen = os.statvfs(folder)
    except OSError as error:
        return fail(id, f"'{folder}' cannot be looked at: {error.strerror}", f"ls -ld {folder}")
    free, files = seen.f_bavail * seen.f_frsize, seen.f_favail if seen.f_files else None
    told = f"{memory_text(max(1, free))} free" + ("" if files is None else f", {files} files")
    quotas = quotas_of(folder, run, mounts)
    evidence = "; ".join([told, *(f"quota: {one}" for one in quotas)])
    helps = f"make room, or use another file system; df -h {folder}; df -i {folder}"
    for one in quotas:
        if one.hard and one.used >= one.hard:
            return fail(id, f"your quota for '{folder}' is used up: {one}", _helps(folder), evidence)
    if free == 0 or files == 0:
        return fail(id, f"'{folder}' is full", helps, evidence)
    for one in quotas:
        if one.limit and one.used >= FULL * one.limit:
            return warn(id, f"your quota for '{folder}' is nearly used up: {one}", _helps(folder), evidence)
    if free < LEAST_FREE:
        return warn(id, f"'{folder}' has only {memory_text(free)} left", helps, evidence)
    if files is not None and files < LEAST_FILES:
        return warn(id, f"'{folder}' has room for only {files} more files", helps, evidence)
    return ok(id, f"'{folder}' has room", evidence)


def quotas_of(folder: Path, run: Run, mounts: Path = Path("/proc/mounts")) -> list[Quota]:
    """The limits of this user where a folder is; none: there are none, or nobody can tell.

    Parameters
    ----------
    run
        Runs a command; what it prints, None: it is not here, or fails.
    """
    found = seeing.mounted(folder, mounts)
    if found is None:
        return []
    device, kind, point = found
    names: tuple[str, ...]
    if kind == "lustre":
        said = run(["lfs", "quota", "-q", "-u", getpass.getuser(), point])
        names = (point,)
    else:
        said = run(["quota", "-w", "-p"])
        names = (device, os.path.realpath(device))
    words = (said or "").split()
    for at, word in enumerate(words):
        # Name, blocks, quota, limit, grace, files, quota, limit, grace; a star says that there is too much.
        figures = [one.rstrip("*") for one in words[at + 1 : at + 9]]
        if word in names and len(figures) >= 7 and all(figures[one].isdigit() for one in (0, 1, 2, 4, 5, 6)):
            blocks, soft, hard, _, files, soft_files, hard_files = figures[:7]
            both = (
                Quota(what="bytes", used=int(blocks) * KIB, soft=int(soft) * KIB, hard=int(hard) * KIB),
                Quota(what="files", used=int(files), soft=int(soft_files), hard=int(hard_files)),
            )
            return [one for one in both if one.limit]
    return []


def _said(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    program = programs.found(words[0], environ)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *words[1:]], capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
            stdin=subprocess.DEVNULL, env={**environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    # NOTE: `quota` ends with 1 where a limit is exceeded.
    return done.stdout


def _helps(folder: Path) -> str:
    return f"remove what is not needed (torc workflows delete, torc logs), or use scratch; du -sh {folder}"
