"""Which files of an output directory belong to a workflow (`runner.md` §13, `remote.md` RW30)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torc_core.record import record
from torc_ssh.agent.asked import Asked
from torc_ssh.agent.places import MARKER

FOLDERS = ("job_stdio", "actions", "resource_utilization", ".torc-spool")
MANIFEST = ".torc-manifest.json"
"""The last member of an archive; one that lies there was unpacked from another."""
NEVER = (MARKER, MANIFEST, "*.pid", ".*.pid.*", "*.part")
"""What is no log, whatever else is asked for."""

DATABASES = "*.db"


@record(frozen=True, slots=True, kw_only=True)
class Found:
    """A file: its path below the output directory, and what it looked like."""

    path: str
    size: int
    mtime_ns: int


@record(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which files are asked for.

    Parameters
    ----------
    all
        Those of other workflows and unknown ones too.
    include, exclude
        Patterns of paths.
    running
        Jobs whose files are left alone, with all logs of runners; None: nothing is left alone.
    """

    workflow: int
    store_id: str
    all: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    running: Sequence[int] | None = None

    @classmethod
    def of(cls, asked: Asked) -> Wanted:
        """As a request says."""
        return cls(
            workflow=int(asked.number("workflow")),
            store_id=asked.text("store_id"),
            all=asked.flag("all"),
            include=asked.texts("include"),
            exclude=asked.texts("exclude"),
            running=[int(one) for one in asked.texts("running")] if asked.flag("finished") else None,
        )

    def takes(self, path: str) -> bool:
        """Whether a file is among them."""
        name = path.rpartition("/")[2]
        if any(fnmatchcase(name, one) for one in NEVER):
            return False
        if self.include and not any(fnmatchcase(path, one) or fnmatchcase(name, one) for one in self.include):
            return False
        if any(fnmatchcase(path, one) or fnmatchcase(name, one) for one in self.exclude):
            return False
        if self.running is not None and not self._finished(path, name):
            return False
        return self.all or self._ours(path, name)

    def _ours(self, path: str, name: str) -> bool:
        number = self.workflow
        if path.startswith(".torc-spool/"):
            # NOTE: numbers of runs, jobs and attempts follow, and look like those of workflows.
            return name.startswith(f"{self.store_id}.{number}.")
        if path.startswith("resource_utilization/"):
            end = r"\.db" if ".db" in name else r"(\.html|_|$)"
            return re.search(rf"_{number}_[0-9]+{end}", name) is not None or "/" in path[21:]
        if name.startswith(f"torc_worker_{number}_"):
            return True
        return re.search(rf"(^|_)wf{number}_", name) is not None

    def _finished(self, path: str, name: str) -> bool:
        """Whether it belongs to a job that has ended."""
        job = re.match(rf"job_wf{self.workflow}_j([0-9]+)_", name)
        return job is not None and path.startswith("job_stdio/") and int(job[1]) not in (self.running or ())


def chosen(folder: Path, wanted: Wanted) -> Iterator[Found]:
    """The files, in the order of their paths; links are not followed, and are no files."""
    for path in _files(folder, "", deep=wanted.all):
        if wanted.takes(path):
            try:
                about = os.lstat(folder / path)
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode):
                yield Found(path=path, size=about.st_size, mtime_ns=about.st_mtime_ns)


def _files(folder: Path, below: str, *, deep: bool) -> Iterator[str]:
    try:
        with os.scandir(folder / below) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if deep or below or entry.name in FOLDERS:
                yield from _files(folder, f"{path}/", deep=deep)
        else:
            yield path
