"""Where the processes of a user on a host share what they know of Slurm: calls made, and the queue's latest answer."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from torc_core.protocols import Clock
from torc_slurm.scheduler import programs

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds for which somebody else's question is waited for at most, before the same is asked beside it."""
PAUSE = 0.05


def folder(environ: Mapping[str, str]) -> Path | None:
    """The user's own folder on this host, until it is switched off; None: there is no such place."""
    named = environ.get("XDG_RUNTIME_DIR")
    if named:
        return Path(named, "torc") if os.path.isdir(named) else None
    # NOTE: cron and `su` set no variable, though a session of the same user has made the folder.
    usual = Path("/run/user", str(os.geteuid()))
    with suppress(OSError):
        about = usual.lstat()
        if stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o077:
            return usual / "torc"
    return None


def opened(path: Path) -> int:
    """A file there, made if it is missing; nobody else can read it.

    Raises
    ------
    OSError
        If it cannot be.
    """
    with suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def queue_file(environ: Mapping[str, str]) -> Path | None:
    """Where the queue's answer is shared: another file for each cluster that is asked."""
    shared = folder(environ)
    if shared is None:
        return None
    names = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_CONF_SERVER")
    which = [programs.found("squeue", environ) or "", *(environ.get(name, "") for name in names)]
    return shared / f"slurm-queue-{hashlib.sha256('|'.join(which).encode()).hexdigest()[:12]}.json"


class Answer:
    """The latest answer to one question, which one process at a time asks for all of them.

    Parameters
    ----------
    path
        The file; None: this process alone.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._own: tuple[float, str] | None = None

    def known(self, age: float) -> str | None:
        """An answer of this process to a question that was asked at most `age` seconds before now."""
        now, own = self._clock.monotonic(), self._own
        return own[1] if own is not None and now - age < own[0] <= now else None

    def get(self, age: float, ask: Callable[[], str], patience: float = PATIENCE) -> str:
        """An answer to a question that was asked at most `age` seconds before now, or is asked for it now.

        Parameters
        ----------
        patience
            Seconds for which the question of another process is waited for.
        """
        # NOTE: of all processes of this host alike, and begun anew only when the folder is, too.
        wanted = self._clock.monotonic() - age
        with self._alone(patience) as file:
            if file is not None:
                self._own = _read(file) or self._own
            # What was asked while we waited for our turn is as new as what we would be told.
            if self._own is not None and wanted < self._own[0] <= self._clock.monotonic():
                return self._own[1]
            begun = self._clock.monotonic()
            text = ask()
            self._own = (begun, text)
            if file is not None:
                _write(file, begun, text)
            return text

    @contextmanager
    def _alone(self, patience: float) -> Iterator[int | None]:
        """The file, which nobody else has meanwhile; None: there is none, or somebody else has it for long."""
        try:
            file = None if self._path is None else opened(self._path)
        except OSError as error:
            log.debug("slurm_answer path=%s why=%s", self._path, error)
            file = None
        if file is None:
            yield None
            return
        try:
            yield file if _locked(file, patience) else None
        finally:
            os.close(file)


def _locked(file: int, patience: float) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE)
        except OSError:
            return False
        else:
            return True


def _read(file: int) -> tuple[float, str] | None:
    """When the answer was asked for, monotonic seconds, and the answer; None: it cannot be read."""
    try:
        told = json.loads(os.pread(file, os.fstat(file).st_size, 0) or b"null")
        return (float(told["at"]), str(told["text"])) if isinstance(told, dict) else None
    except (ValueError, KeyError, TypeError):
        return None


def _write(file: int, at: float, text: str) -> None:
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"at": at, "text": text}).encode(), 0)
