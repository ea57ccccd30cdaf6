"""Prints what jobs wrote: whole per job or as it comes, in order, with tags (`torc exec -k --tag --ungroup`)."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import BinaryIO

from torc_core.model import Assignment, Job, JobId
from torc_core.record import record
from torc_core.runner.report import End

LONGEST_NAME = 200
"""Bytes in the name of a file that a value becomes."""

PIECE = 1 << 20
"""Bytes read at once, so that the output of a job may be larger than memory."""

Files = tuple[str | None, str | None]
"""Where standard output and standard error of an attempt are; None: nowhere. Equal: both in one file."""

Paths = Callable[[Assignment], Files]
"""The files of an attempt that runs."""

Label = Callable[[Job], str]
"""What a tag says of a job."""


@record(frozen=True, slots=True, kw_only=True)
class Style:
    """How output is printed.

    Parameters
    ----------
    live
        `""`: whole per job when it has ended; `"line"`: whole lines while it runs; `"raw"`: bytes while it runs.
    """

    keep_order: bool = False
    tag: bool = False
    live: str = ""


class Printer:
    """Prints the output of each job that ended.

    Parameters
    ----------
    order
        The jobs in the order in which they are to be printed; only used with `keep_order`.
    show
        Calls a function that writes, at a moment when nothing else is on the terminal.
    again
        Whether a job is tried once more after this end, so that its turn goes on; only used with `keep_order`.
    """

    def __init__(
        self,
        style: Style,
        paths: Paths,
        label: Label,
        *,
        order: Iterator[JobId] | None = None,
        show: Callable[[Callable[[], None]], None] = lambda write: write(),
        streams: tuple[BinaryIO, BinaryIO] | None = None,
        again: Callable[[End], bool] = lambda end: False,
    ) -> None:
        self._style = style
        self._paths = paths
        self._label = label
        self._order = order if style.keep_order else None
        self._next = next(self._order, None) if self._order is not None else None
        self._waiting: dict[JobId, list[tuple[Job, Files]]] = {}
        self._again = again
        self._over: set[JobId] = set()
        """Ended for good, though it is not their turn yet."""
        self._show = show
        self._out, self._err = streams or (sys.stdout.buffer, sys.stderr.buffer)
        self._offsets: dict[tuple[JobId, int], int] = {}
        self._ended: set[JobId] = set()
        """Ended and printed, though the store may not know it yet."""

    def ended(self, end: End) -> None:
        """Print what the job wrote, now or when its turn comes."""
        job, files = end.given.job, (end.stdout, end.stderr)
        if self._style.live:
            self._ended.add(job.id)
        if self._order is None:
            self._print(job, files)
            return
        self._waiting.setdefault(job.id, []).append((job, files))
        if not self._again(end):
            self._over.add(job.id)
        while self._next is not None and self._next in self._waiting:
            for one in self._waiting.pop(self._next):
                self._print(*one)
            if self._next not in self._over:
                return
            self._over.discard(self._next)
            self._next = next(self._order, None)

    def tick(self, running: Mapping[JobId, Assignment]) -> None:
        """Print what running jobs have written since the last time."""
        if not self._style.live:
            return
        self._ended &= running.keys()
        for number in sorted(running.keys() - self._ended):
            if self._order is None or number == self._next:
                self._print(running[number].job, self._paths(running[number]), final=False)

    def close(self) -> None:
        """Print what still waited for its turn: jobs before it never ended."""
        for number in sorted(self._waiting):
            for one in self._waiting[number]:
                self._print(*one)
        self._waiting.clear()

    def _print(self, job: Job, files: Files, *, final: bool = True) -> None:
        tag = f"{self._label(job)}\t".encode() if self._style.tag else b""
        out, err = files
        for number, (path, stream) in enumerate(((out, self._out), (None if err == out else err, self._err))):
            if path is None:
                continue
            key = (job.id, number)
            end = self._copy(path, stream, self._offsets.pop(key, 0), tag, final=final)
            if not final and end:
                self._offsets[key] = end

    def _copy(self, path: str, stream: BinaryIO, at: int, tag: bytes, *, final: bool) -> int:
        """Copy a file to a stream from an offset; the offset up to which it was copied."""
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            return at
        with file:
            if os.fstat(file.fileno()).st_size <= at:
                return at
            lines = bool(tag) or self._style.live == "line"
            file.seek(at)
            at_start = True
            while data := file.read(PIECE):
                if lines and not final:
                    data = data[: data.rfind(b"\n") + 1]
                    if not data:
                        break
                at += len(data)
                text = tagged(data, tag, at_start=at_start) if tag else data
                at_start = data.endswith(b"\n")
                self._show(lambda: write(stream, text))  # noqa: B023
                if lines and not final:
                    file.seek(at)
            if final and tag and not at_start:
                self._show(lambda: write(stream, b"\n"))
        return at


def write(stream: BinaryIO, data: bytes) -> None:
    """Write at once."""
    stream.write(data)
    stream.flush()


def tagged(data: bytes, tag: bytes, *, at_start: bool) -> bytes:
    """Put a tag before each line."""
    ended = data.endswith(b"\n")
    body = data[:-1] if ended else data
    return (tag if at_start else b"") + body.replace(b"\n", b"\n" + tag) + (b"\n" if ended else b"")


class Keeper:
    """Puts the output of each job into a folder of its own: `DIR/<number>/stdout`, or `DIR/1/A/2/B/stdout`."""

    def __init__(self, folder: str, place: Callable[[Job], str]) -> None:
        self._folder = folder
        self._place = place

    def ended(self, end: End) -> None:
        """Copy the job's output; a link where the file system can."""
        target = os.path.join(self._folder, self._place(end.given.job))
        os.makedirs(target, exist_ok=True)
        for path, name in ((end.stdout, "stdout"), (end.stderr, "stderr")):
            if path is not None:
                link(path, os.path.join(target, name))

    def tick(self, running: Mapping[JobId, Assignment]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def link(path: str, target: str) -> None:
    """Make `target` the same file, or a copy; a source that is gone is left out."""
    with suppress(FileNotFoundError):
        os.unlink(target)
    try:
        os.link(path, target)
    except FileNotFoundError:
        return
    except OSError:
        shutil.copyfile(path, target)


def results_place(values: tuple[str, ...], number: int) -> str:
    """The folder of one combination below the results: `1/A/2/B`, or the number where there are no values."""
    if not values:
        return str(number)
    parts = (part for n, value in enumerate(values, start=1) for part in (str(n), file_name(value)))
    return os.path.join(*parts)


def file_name(value: str) -> str:
    """A value as one name of a file: separators, control characters and `%` as `%2F`.

    What is longer than 200 bytes is cut, and ends in a digest of the whole, so that no two values have one name.
    """
    plain = "".join(
        c if c.isprintable() and c not in "/%\\" else "".join(f"%{b:02X}" for b in c.encode()) for c in value
    )
    if plain.strip(".") == "":
        plain = plain.replace(".", "%2E") or "%00"
    if len(plain.encode()) <= LONGEST_NAME:
        return plain
    end = f"~{hashlib.sha256(plain.encode()).hexdigest()[:16]}"
    return plain.encode()[: LONGEST_NAME - len(end)].decode("utf-8", "ignore") + end
