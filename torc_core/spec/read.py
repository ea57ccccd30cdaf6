"""From a path or a text to a document: what may be opened, how it is decoded, and which reader gets it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from torc_core.errors import UnknownProvider, did_you_mean
from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Document

if TYPE_CHECKING:
    from torc_core.providers import SpecFormat

LARGEST = 32 * 1024 * 1024
"""Bytes in one document."""

TRIED = ("json", "json5", "yaml", "kdl")
"""The order in which readers try a text that no suffix tells about; readers of other plugins come after these."""


def read_bytes(path: str) -> bytes:
    """Read a regular file, symbolic links followed, or standard input for `-`; at most 32 MiB, else `Complaints`."""
    if path == "-":
        return _all_of(sys.stdin.buffer, path)
    try:
        # Looked at before it is opened: opening a device may do something, opening a FIFO waits for a writer.
        _regular(os.stat(path), path)
        # NOTE: the path may have changed meanwhile, so this does not wait either, and what was opened is looked at.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            _regular(os.fstat(descriptor), path)
            return _all_of(file, path)
    except FileNotFoundError as error:
        raise _refusal("bad-value", f"no such file: {path!r}", path) from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _refusal("bad-value", f"{path!r} cannot be read: {reason}", path) from error


def decode(data: bytes, name: str) -> str:
    """The text of a document: UTF-8 without its byte-order mark, NUL, or half surrogates.

    Raises `Complaints` (code `encoding`).
    """
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    bad = data.find(b"\0")
    try:
        text = data[start:].decode()
    except UnicodeDecodeError as error:
        bad = start + error.start if bad < 0 else min(bad, start + error.start)
    if bad < 0:
        return text
    refusal, line = (
        _refusal("encoding", f"not valid UTF-8 at byte {bad}", name),
        data.count(b"\n", 0, bad) + 1,
    )
    raise Complaints([replace(refusal.complaints[0], line=line, hint="save the file as UTF-8")])


def read_text(
    text: str, formats: Mapping[str, SpecFormat], *, name: str, format: str | None = None
) -> Document:
    """Read a text with the reader that is named, or that the suffix of `name` tells, or with the first that can.

    Parameters
    ----------
    formats
        All readers by their names.
    name
        The path, or `-`; every complaint carries it.
    format
        The name of a reader; default: by suffix, without regard to case.

    Raises `Complaints`, and `UnknownProvider` for a format that nobody offers.
    """
    if format is not None and format not in formats:
        close, installed = did_you_mean(format, formats), ", ".join(sorted(formats))
        raise UnknownProvider(f"no format named {format!r}{close} (installed: {installed})")
    chosen = formats[format] if format is not None else _by_suffix(name, formats)
    try:
        return chosen.load(text) if chosen is not None else _first_that_can(text, formats)
    except Complaints as error:
        raise Complaints([replace(complaint, file=name) for complaint in error.complaints]) from error


def _by_suffix(name: str, formats: Mapping[str, SpecFormat]) -> SpecFormat | None:
    suffix = os.path.splitext(name)[1].lower()
    return next((reader for reader in formats.values() if suffix and suffix in reader.suffixes), None)


def _first_that_can(text: str, formats: Mapping[str, SpecFormat]) -> Document:
    """Let each reader try; the complaint holds what each of them said."""
    order = [reader for reader in TRIED if reader in formats]
    order += [reader for reader in formats if reader not in TRIED]
    said: list[str] = []
    for reader in order:
        try:
            return formats[reader].load(text)
        except Complaints as error:
            first = error.complaints[0]
            where = f"line {first.line}: " if first.line else ""
            said.append(f"{reader}: {where}{first.message}")
    message = "no reader understands this document: " + "; ".join(said)
    raise Complaints([Complaint(severity="error", code="syntax", message=message)])


def _regular(found: os.stat_result, path: str) -> None:
    if stat.S_ISREG(found.st_mode):
        if found.st_size > LARGEST:
            raise _too_large(f"{_mib(found.st_size)} MiB", path)
        return
    if stat.S_ISDIR(found.st_mode):
        raise _refusal("bad-value", f"{path!r} is a directory; name a file", path)
    kind = (
        "a FIFO"
        if stat.S_ISFIFO(found.st_mode)
        else "a socket"
        if stat.S_ISSOCK(found.st_mode)
        else "a device"
    )
    raise _refusal("bad-value", f"{path!r} is {kind}; name a file", path)


def _all_of(file: BinaryIO, path: str) -> bytes:
    # The size of a file says nothing when it is still being written, or lies in /proc.
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _too_large("more than 32 MiB", path)
    return data


def _mib(size: int) -> str:
    """Rounded up to a tenth, so that nothing over the limit looks as if it were not."""
    return f"{-(-size * 10 // 1024**2) / 10:.1f}"


def _too_large(size: str, path: str) -> Complaints:
    return _refusal("too-large", f"the document is {size}; the limit is 32 MiB", path)


def _refusal(code: str, message: str, path: str) -> Complaints:
    return Complaints([Complaint(severity="error", code=code, message=message, file=path)])
