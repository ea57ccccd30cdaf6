"""Where the output of an attempt lies, and how it is shown (`runner.md` §5.3, `observability.md` §4.5)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torc_core.errors import NotFound
from torc_core.model import Job, JobId, Json, Node, NodeId, Workflow
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.distance import distant
from torc_terminal.output import json_text
from torc_terminal.output.answer import refuse_csv

if TYPE_CHECKING:
    from torc_core.protocols import Distant, LogPiece, Store

PIECE = 1024**2
"""Bytes read at once."""

JSON_MOST = 1024**2
"""Bytes of a stream that JSON carries: the end of it."""

SUFFIXES = {"stdout": ".o", "stderr": ".e", "combined": ".log"}

STREAMS: Mapping[str, Sequence[str]] = {
    "separate": ("stdout", "stderr"),
    "combined": ("combined",),
    "no_stdout": ("stderr",),
    "no_stderr": ("stdout",),
    "none": (),
}
"""Which files there are, by `stdio.mode`."""


@record(frozen=True, slots=True, kw_only=True)
class LogFile:
    """One file of an attempt; it may be gone, or not be visible from here."""

    stream: str
    path: Path

    @property
    def exists(self) -> bool:
        """Whether it can be seen from here."""
        return self.path.is_file()


@record(frozen=True, slots=True, kw_only=True)
class DistantFile(LogFile):
    """A file that this host does not see, but the server does.

    Parameters
    ----------
    read
        Asks for its last lines (`tail`), or for what stands from a byte on (`offset`).
    """

    read: Callable[[int | None, int | None], LogPiece]


def seen_by_server(
    store: Store, job: Job, run_id: int, attempt_id: int, files: Sequence[LogFile]
) -> Sequence[LogFile]:
    """These files, as far as a server behind the store sees them; as they are where there is none."""
    far = distant(store)
    if far is None:
        return files
    found: list[LogFile] = []
    for file in files:
        read = partial(_read, far, job.id, file.stream, run_id, attempt_id)
        with suppress(NotFound):
            read(0, None)
            found.append(DistantFile(stream=file.stream, path=file.path, read=read))
    return found or files


def _read(
    far: Distant, job: JobId, stream: str, run: int, attempt: int, tail: int | None, offset: int | None
) -> LogPiece:
    return far.log(job, stream, run=run, attempt=attempt, tail=tail, offset=offset)


def log_files(
    store: Store,
    workflow: Workflow,
    job: Job,
    *,
    run_id: int,
    attempt_id: int,
    node: NodeId | None,
    folder: str,
) -> Sequence[LogFile]:
    """The files of an attempt: those that are there, else those that there should be.

    Parameters
    ----------
    node
        Where it ran; its recorded output folder is where the files are.
    folder
        Output folder to assume when the node is not known.
    """
    recorded = store.get(Node, node).output_dir if node is not None else None
    return files_in(workflow, job, run_id, attempt_id, recorded or folder)


def files_in(workflow: Workflow, job: Job, run_id: int, attempt_id: int, folder: str) -> Sequence[LogFile]:
    """The files of an attempt in an output folder: those that are there, else those that there should be."""
    stem = f"job_wf{workflow.id}_j{job.id}_r{run_id}_a{attempt_id}"
    home = Path(folder).absolute() / "job_stdio"
    files = [LogFile(stream=stream, path=home / (stem + suffix)) for stream, suffix in SUFFIXES.items()]
    present = [file for file in files if file.exists]
    wanted = STREAMS.get(_mode(workflow, job), STREAMS["separate"])
    return present or [file for file in files if file.stream in wanted]


def _mode(workflow: Workflow, job: Job) -> str:
    config = workflow.execution_config or {}
    overrides = config.get("job_stdio_overrides")
    stdio = (overrides.get(job.name) if isinstance(overrides, Mapping) else None) or config.get("stdio")
    mode = stdio.get("mode") if isinstance(stdio, Mapping) else None
    return mode if isinstance(mode, str) else "separate"


@record(frozen=True, slots=True, kw_only=True)
class JobLog:
    """The output of an attempt as an answer: raw bytes for people, text in JSON.

    Parameters
    ----------
    tail
        Only so many last lines of each file; None: all.
    follow
        Go on until this says that the attempt has ended; None: do not wait.
    paths
        Only say where the files are.
    """

    tabular: ClassVar[bool] = False

    head: Mapping[str, Json]
    files: Sequence[LogFile]
    tail: int | None = None
    paths: bool = False
    follow: Callable[[], Iterator[None]] | None = None
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print the files, or where they are."""
        refuse_csv(session)
        if session.format == "json":
            streams: list[Json] = [self._described(file) for file in self.files]
            json_text.write({"schema": "torc.jobs.logs/1", **self.head, "streams": streams})
        elif self.paths:
            sys.stdout.write("".join(f"{file.path}\n" for file in self.files))
        else:
            self._copy(session)

    def _described(self, file: LogFile) -> dict[str, Json]:
        if isinstance(file, DistantFile):
            return self._told(file)
        described: dict[str, Json] = {"stream": file.stream, "path": str(file.path), "exists": file.exists}
        if file.exists and not self.paths:
            size = file.path.stat().st_size
            with file.path.open("rb") as source:
                start = max(size - JSON_MOST, 0) if self.tail is None else tail_start(file.path, self.tail)
                source.seek(max(start, size - JSON_MOST))
                content = source.read(JSON_MOST)
            described |= {
                "size_bytes": size,
                "is_cut": len(content) < size,
                "content": content.decode("utf-8", "replace"),
            }
        return described

    def _told(self, file: DistantFile) -> dict[str, Json]:
        described: dict[str, Json] = {"stream": file.stream, "path": str(file.path), "exists": True}
        if not self.paths:
            piece = file.read(self.tail, None)
            whole = len(piece.text.encode()) >= piece.size
            described |= {"size_bytes": piece.size, "is_cut": not whole, "content": piece.text}
        return described

    def _copy(self, session: Session) -> None:
        out = sys.stdout.buffer
        sys.stdout.flush()
        ends: dict[Path, int] = {}
        for file in self.files:
            if len(self.files) > 1:
                session.note(f"==> {file.stream}: {file.path} <==")
            ends[file.path] = _begun(file, self.tail, out.write)
            out.flush()
        for _ in self.follow() if self.follow else ():
            for file in self.files:
                ends[file.path] = _continued(file, ends[file.path], out.write)
            out.flush()


def _begun(file: LogFile, tail: int | None, write: Callable[[bytes], object]) -> int:
    """Copy a file, or its last lines, and say where its end was."""
    if isinstance(file, DistantFile) and tail is not None:
        piece = file.read(tail, None)
        write(piece.text.encode())
        return piece.next_offset
    start = tail_start(file.path, tail) if tail is not None and file.exists else 0
    return _continued(file, start, write)


def _continued(file: LogFile, start: int, write: Callable[[bytes], object]) -> int:
    """Copy what stands from an offset on, and say where that ends."""
    if isinstance(file, DistantFile):
        while (piece := file.read(None, start)).next_offset > start:
            write(piece.text.encode())
            start = piece.next_offset
        return start
    return _copied(file.path, start, write) if file.exists else start


def _copied(path: Path, start: int, write: Callable[[bytes], object]) -> int:
    """Copy a file from an offset to its present end, and say where that is."""
    with path.open("rb") as source:
        source.seek(start)
        while piece := source.read(PIECE):
            write(piece)
            start += len(piece)
    return start


def tail_start(path: Path, lines: int) -> int:
    """Where the last lines of a file begin; read from the end, so a huge file costs no more than its tail."""
    if lines == 0:
        return path.stat().st_size
    with path.open("rb") as source:
        at = source.seek(0, os.SEEK_END)
        wanted = lines
        first = True
        while at > 0:
            size = min(PIECE, at)
            at -= size
            source.seek(at)
            piece = source.read(size)
            end = len(piece) - 1 if first and piece.endswith(b"\n") else len(piece)
            first = False
            while (found := piece.rfind(b"\n", 0, end)) >= 0:
                wanted -= 1
                if wanted == 0:
                    return at + found + 1
                end = found
    return 0
