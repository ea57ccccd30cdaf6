"""Measures a directory: how many files, how large, and a hash by which it is known again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from torc_core.errors import UsageError
from torc_core.record import record

HashMode = Literal["manifest", "content", "none"]
"""`manifest`: over paths, sizes and times; `content`: over what is in the files; `none`: none."""


@record(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a directory amounts to; `sha256` is None where no hash was asked for."""

    files: int
    size: int
    sha256: str | None


def measured(root: Path, mode: HashMode, threads: int) -> Dataset:
    """Look at all regular files below a directory; links are not followed.

    Raises
    ------
    UsageError
        If it is no directory, or something in it cannot be read.
    """
    if not os.path.isdir(root):
        raise UsageError(f"'{root}' is not a directory")
    try:
        found = sorted(_files(root))
        size = sum(stat.st_size for _, stat in found)
        if mode == "none":
            return Dataset(files=len(found), size=size, sha256=None)
        total = hashlib.sha256()
        if mode == "manifest":
            for name, stat in found:
                total.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
        else:
            with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
                digests = pool.map(_digest, (root / name for name, _ in found))
                for (name, _), digest in zip(found, digests, strict=True):
                    total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}': {(error.strerror or 'error').lower()}") from error
    return Dataset(files=len(found), size=size, sha256=total.hexdigest())


def _files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield os.path.relpath(entry.path, root), entry.stat(follow_symlinks=False)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
