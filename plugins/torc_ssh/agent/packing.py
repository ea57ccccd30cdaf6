"""Streams the logs of a workflow as a compressed archive that ends with a list of what is in it (`remote.md` RW30)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from torc_core.model import Json
from torc_ssh.agent import places
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.choosing import DATABASES, MANIFEST, Found, Wanted, chosen
from torc_ssh.agent.deleting import used
from torc_ssh.agent.looking import State, seen
from torc_ssh.agent.places import Lock, Whose

PIECE = 1 << 18


class Out(Protocol):
    """Where an answer goes."""

    def line(self, told: Answered) -> None:
        """A line with an object, before everything else."""
        ...

    def write(self, data: bytes) -> None:
        """Bytes that follow it."""
        ...


def pack(asked: Asked, out: Out) -> None:
    """Answer with a line, and if there are logs with the archive after it."""
    whose, wanted = Whose.of(asked), Wanted.of(asked)
    folder = places.output_dir(asked.text("output_dir"))
    since = asked.mapping("since")
    files = [one for one in chosen(folder, wanted) if not _had(one, since)]
    lock = Lock(whose)
    try:
        state = seen(whose, lock, asked.text("output_dir")).state
    finally:
        lock.close()
    running = state in (State.RUNNING, State.STARTING) or (wanted.all and used(folder))
    if not files:
        out.line({"status": "none", "running": running})
        return
    out.line(
        {"status": "logs", "running": running, "files": len(files), "bytes": sum(one.size for one in files)}
    )
    stream = cast("BinaryIO", _Stream(out))
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=3, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=PIECE) as archive,
    ):
        told = [entry for one in files if (entry := _add(archive, folder, one)) is not None]
        about = {"schema": "torc.logs/1", "workflow_id": wanted.workflow, "hostname": places.hostname()}
        text = json.dumps({**about, "files": told}).encode("ascii")
        archive.addfile(_member(MANIFEST, len(text), 0), io.BytesIO(text))


def _had(one: Found, since: Mapping[str, Json]) -> bool:
    """Whether the other side has this very file already."""
    return since.get(one.path) == [one.size, one.mtime_ns]


def _add(archive: tarfile.TarFile, folder: Path, one: Found) -> Json:
    """Add a file; its entry of the list, None if it has gone meanwhile."""
    try:
        descriptor = os.open(folder / one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        content: BinaryIO = file
        size = about.st_size
        if fnmatchcase(one.path, DATABASES) and (copy := _copy_of(folder / one.path)) is not None:
            content, size = io.BytesIO(copy), len(copy)
        read = _Counted(content, size)
        archive.addfile(_member(one.path, size, about.st_mtime_ns), cast("BinaryIO", read))
    return {
        "path": one.path, "size": size, "sha256": read.digest.hexdigest(),
        "source_size": about.st_size, "mtime_ns": about.st_mtime_ns, "torn": read.torn,
    }  # fmt: skip


def _member(name: str, size: int, mtime_ns: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, mtime_ns // 10**9
    return member


def _copy_of(path: Path) -> bytes | None:
    """A consistent copy of a database that may be written to; None: it is none."""
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as one,
            closing(sqlite3.connect(":memory:")) as copy,
        ):
            one.backup(copy)
            return copy.serialize()
    except sqlite3.Error:
        return None


class _Counted:
    """Reads exactly so many bytes of a file that may grow or shrink meanwhile, and sums them up."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self.digest = hashlib.sha256()
        self.torn = False

    def read(self, size: int) -> bytes:
        """The next bytes; zeros where the file has become shorter."""
        wanted = min(size, self._left)
        data = b"" if self.torn else self._file.read(wanted)
        if len(data) < wanted:
            self.torn = True
            data += bytes(wanted - len(data))
        self._left -= wanted
        self.digest.update(data)
        return data


class _Stream:
    """A file that can only be written."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        """Pass bytes on."""
        self._out.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Everything is passed on already."""
