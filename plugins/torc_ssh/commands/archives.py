"""Takes an archive from a host, and believes nothing of it before it is proven (`remote.md` RW31, `security.md` §13)."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from torc_core.errors import Conflict, TorcError, Unavailable
from torc_core.record import record
from torc_ssh.agent.choosing import MANIFEST

MOST_MEMBERS = 1_000_000
LARGEST_MANIFEST = 256 << 20
LARGEST_HEADER = 1 << 20
"""Bytes of what is told of a member beside its header, such as a long path."""
DAMAGED = (OSError, EOFError, tarfile.TarError, ValueError, zlib.error, RecursionError)
"""What reading an archive raises that is not what it should be."""
PIECE = 1 << 18


class BadArchive(TorcError):
    """what a host sent is not what it said"""

    code = "bad_archive"


@record(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of an archive, as the host lists it.

    Parameters
    ----------
    source
        Size and time of change of the file there; what was sent of a database is a copy.
    torn
        It became shorter while it was read.
    """

    path: str
    size: int
    sha256: str
    source: tuple[int, int]
    torn: bool = False


class Arriving:
    """An archive on its way to its place; it has another name until then, and nobody else writes it meanwhile.

    Parameters
    ----------
    path
        Its place. What a broken transfer has left on the way to it is replaced.

    Raises
    ------
    Unavailable
        If nothing can be written there.
    Conflict
        If another collection is writing it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.part = path.with_name(f"{path.name}.part")
        """Where it is before it has arrived."""
        with _writing(self.part):
            self._descriptor = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        os.close(self._descriptor)

    def write(self, pieces: Iterator[bytes]) -> int:
        """Write it to disk; how many bytes. Raises as the class."""
        size = 0
        with _writing(self.part), open(self._descriptor, "wb", closefd=False) as file:
            for piece in pieces:
                file.write(piece)
                size += len(piece)
            file.flush()
            os.fsync(self._descriptor)
        return size

    def arrive(self) -> None:
        """Let it take its place, for good; what is there is kept as `.1`, and earlier ones as `.2` and so on.

        NOTE: none of them is given up: each may have what was deleted on its host.
        """
        with _writing(self._path):
            _shifted(self._path, 1)
            self.part.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _opened(self) -> int:
        """A descriptor of the file, empty, with its lock."""
        while True:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self.part, flags, 0o600)
            try:
                _lock(descriptor)
                # NOTE: the file of this name may have arrived, as another collection's, before the lock was taken.
                if self._is_still(descriptor):
                    os.ftruncate(descriptor, 0)
                    return descriptor
            except BlockingIOError as error:
                os.close(descriptor)
                raise Conflict(
                    f"another collection is writing '{self.part}'; wait for it, or choose another --local-output-dir"
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.part))
        except FileNotFoundError:
            return False


def _lock(descriptor: int) -> None:
    """Lock a file, unless its file system has no locks.

    Raises
    ------
    BlockingIOError
        If somebody else has locked it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error


def _shifted(path: Path, number: int) -> None:
    """Make room at a path: what is there goes to the next number, after what is there has gone to the one after it."""
    if os.path.lexists(path):
        base = path if number == 1 else path.with_suffix("")
        later = base.with_name(f"{base.name}.{number}")
        _shifted(later, number + 1)
        path.replace(later)


def proven(path: Path) -> Sequence[Entry]:
    """What is in an archive, every file as its list says.

    Raises
    ------
    BadArchive
        If it is cut off, damaged, or has something in it that no host of ours puts there.
    """
    seen: dict[str, tuple[int, str]] = {}
    manifest: bytes | None = None
    try:
        with gzip.open(path, "rb") as packed, _opened(packed) as archive:
            for member in archive:
                _check(member)
                file = archive.extractfile(member)
                if manifest is not None or file is None or member.name in seen:
                    raise BadArchive(f"it has a member too many: {member.name!r}")
                if len(seen) >= MOST_MEMBERS:
                    raise BadArchive(f"it has more than {MOST_MEMBERS} files")
                if member.name == MANIFEST:
                    if member.size > LARGEST_MANIFEST:
                        raise BadArchive("its list of files is too long")
                    manifest = file.read()
                    continue
                seen[member.name] = (member.size, _digest(file))
            while packed.read(PIECE):  # the checksum of gzip stands at the end
                pass
    except DAMAGED as error:
        raise BadArchive(f"it is not complete: {error}") from error
    if manifest is None:
        raise BadArchive("it is not complete: the list of its files is missing")
    entries = _entries(manifest)
    listed = {one.path: (one.size, one.sha256) for one in entries}
    if listed != seen:
        wrong = next(iter(sorted(set(listed.items()) ^ set(seen.items()))))[0]
        raise BadArchive(f"{wrong!r} is not as its list says")
    return entries


def unpacked(path: Path, folder: Path, entries: Sequence[Entry]) -> None:
    """Unpack a proven archive: plain files below the folder, and nothing else."""
    wanted = {one.path for one in entries}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with gzip.open(path, "rb") as packed, _opened(packed) as archive:
        for member in archive:
            if member.name not in wanted:
                continue
            _check(member)
            file = archive.extractfile(member)
            assert file is not None
            _written_below(folder, member.name, file)


def _written_below(folder: Path, name: str, file: IO[bytes]) -> None:
    """Write a file step by step from the folder downwards: no link that lies there is followed."""
    parts = name.split("/")
    opened = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for part in parts[:-1]:
            try:
                os.mkdir(part, 0o700, dir_fd=opened[-1])
            except FileExistsError:
                pass
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(os.open(part, flags, dir_fd=opened[-1]))
        try:
            if not stat.S_ISREG(os.lstat(parts[-1], dir_fd=opened[-1]).st_mode):
                raise BadArchive(f"'{folder / name}' is in the way")
            os.unlink(parts[-1], dir_fd=opened[-1])
        except FileNotFoundError:
            pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(parts[-1], flags, 0o600, dir_fd=opened[-1]), "wb") as target:
            shutil.copyfileobj(file, target, PIECE)
    except OSError as error:
        raise BadArchive(
            f"'{folder / name}' cannot be written: {(error.strerror or 'error').lower()}"
        ) from error
    finally:
        for one in opened:
            os.close(one)


class _Header(tarfile.TarInfo):
    """A header of a member, or of what is told of the next one, which is read into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read it.

        Raises
        ------
        BadArchive
            If far more is told of a member than there is to say.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.size > LARGEST_HEADER and found.type in TELLING:
            raise BadArchive("what it tells of a member is too long")
        return found


TELLING = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
"""Types of headers that tell something of the next member."""


def _opened(packed: gzip.GzipFile) -> tarfile.TarFile:
    """An archive as a stream of members."""
    return tarfile.open(fileobj=packed, mode="r|", tarinfo=_Header)


def _check(member: tarfile.TarInfo) -> None:
    """Refuse everything but plain files below the folder."""
    parts = member.name.split("/")
    if not member.isreg() or member.issparse():
        raise BadArchive(f"{member.name!r} is not a plain file")
    if member.name.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in member.name:
        raise BadArchive(f"{member.name!r} is not a path below a folder")
    if len(member.name) > 4_096 or any(len(os.fsencode(part)) > 255 for part in parts):
        raise BadArchive("a path in it is too long")


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _entries(manifest: bytes) -> Sequence[Entry]:
    try:
        told: Mapping[str, Any] = json.loads(manifest)
        return [
            Entry(
                path=str(one["path"]), size=int(one["size"]), sha256=str(one["sha256"]),
                source=(int(one["source_size"]), int(one["mtime_ns"])), torn=bool(one.get("torn")),
            )
            for one in told["files"]
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadArchive("its list of files is not understood") from error
