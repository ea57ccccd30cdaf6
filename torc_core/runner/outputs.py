"""Whether a job has left behind the files it declared; looked for again, because network file systems lag."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from torc_core.model import Fingerprint, Output

LOOK_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds after the end of the job (`runner.md` §6.2)."""


@dataclass(slots=True)
class Search:
    """The outputs of one job, and how far the search for them is.

    Parameters
    ----------
    cwd
        What relative paths are relative to.
    since
        When the job ended, monotonic seconds.
    """

    cwd: str
    since: float
    outputs: Sequence[Output]
    found: dict[int, Fingerprint] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    looks: int = 0

    @property
    def next_look(self) -> float | None:
        """When to look again, monotonic seconds; None: everything is found, or it was the last look."""
        if len(self.found) == len(self.outputs) or self.looks > len(LOOK_AGAIN):
            return None
        return self.since + LOOK_AGAIN[self.looks - 1]

    @property
    def fingerprints(self) -> list[Fingerprint]:
        """Of what was found, in the order of the outputs."""
        return [self.found[one.file] for one in self.outputs if one.file in self.found]

    @property
    def missing(self) -> list[str]:
        """What is not there, each as `name (path)`; with the error where the path cannot be looked at."""
        return [
            f"{one.name} ({one.path}{self.errors.get(one.file, '')})"
            for one in self.outputs
            if one.file not in self.found
        ]

    def look(self) -> None:
        """Look for what is still missing: a file, a directory, or what a link points to."""
        self.looks += 1
        for one in self.outputs:
            if one.file in self.found:
                continue
            path = os.path.join(self.cwd, one.path)
            try:
                if self.looks > 1:
                    _read_again(os.path.dirname(path))
                seen = os.stat(path)
            except (OSError, ValueError) as error:
                number = getattr(error, "errno", None)
                known = (
                    "" if number == errno.ENOENT else f": {errno.errorcode.get(number or 0, 'not a path')}"
                )
                self.errors[one.file] = known
            else:
                self.found[one.file] = Fingerprint(file=one.file, st_mtime=seen.st_mtime, size=seen.st_size)


def is_full(folder: str) -> bool:
    """Whether nothing more can be written below this folder."""
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False


def _read_again(directory: str) -> None:
    """List a directory, which makes network file systems drop what they believed of it."""
    with os.scandir(directory) as entries:
        for _ in entries:
            pass
