"""What has changed since jobs ran: files by their fingerprints, all else by a hash of what the job was made of (§6.4)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256

from torc_core.model import ChangedJob, File, FileId, Fingerprint, JobId, JobStatus, Json
from torc_core.record import record

TOLERANCE = 0.01
"""Seconds by which two modification times may differ and still be the same: file systems round them."""

SETTING = "content_hash"
"""The key of a workflow's metadata that asks for the content of files to be compared, too."""

UPSTREAM = "upstream"
"""Reason of a job that starts over only because one does that it waits for."""

_HALF = 32
_PARTS = ("command changed", "relations changed", "user data changed")


def definition(command: str, script: str | None, env: bytes) -> str:
    """The part of the input hash for what is executed; `env` as `canonical` writes it."""
    return sha256(f"{command}\0{script or ''}\0".encode() + env).hexdigest()[:_HALF]


def related(
    blockers: Sequence[bytes], reads: Collection[int], data: Collection[int], writes: Collection[int]
) -> str:
    """The part for relations: digests of the sets it waits for, ids of files and user data that it reads, and writes.

    Empty for a job without any.
    """
    # PERF: most jobs wait for one set, or for none, and have nothing else.
    if not (reads or data or writes):
        if not blockers:
            return ""
        text = blockers[0] if len(blockers) == 1 else b"".join(sorted(blockers))
        return sha256(text + b"|||").hexdigest()[:_HALF]
    parts = [b"".join(sorted(blockers)), _ids(reads), _ids(data), _ids(writes)]
    return sha256(b"|".join(parts)).hexdigest()[:_HALF]


def contents(data: Iterable[tuple[int, bytes]]) -> str:
    """The part for the content of the user data that a job reads, as (id, `canonical` value); empty if it reads none."""
    parts = [id.to_bytes(8, "big") + sha256(value).digest() for id, value in sorted(data)]
    return sha256(b"".join(parts)).hexdigest()[:_HALF] if parts else ""


def input_hash(definition: str, related: str, contents: str) -> str:
    """The input hash: 128 bits of SHA-256 for each part, so that a change can be told by its name."""
    return f"{definition}-{related}-{contents}"


def canonical(value: Json) -> bytes:
    """A JSON value as bytes, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def why(old: str, new: str) -> str:
    """What differs between two input hashes, in words."""
    parts = zip(_PARTS, old.split("-"), new.split("-"), strict=False)
    return ", ".join(name for name, before, after in parts if before != after) or _PARTS[0]


@record(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that is another than it was: `modified`, `appeared` or `missing`."""

    file: File
    change: str


def file_changes(
    known: Iterable[File], seen: Iterable[Fingerprint], written: Collection[FileId]
) -> list[FileChange]:
    """The files among `seen` that differ from what is stored of them, by id.

    Parameters
    ----------
    written
        Files that a job writes. If one has no fingerprint nobody has taken it, so it is not known whether it changed.
    """
    now = {one.file: one for one in seen}
    changes = []
    for file in sorted(known, key=lambda file: file.id):
        if file.id in now:
            change = _difference(file, now[file.id], produced=file.id in written)
            if change is not None:
                changes.append(FileChange(file=file, change=change))
    return changes


def _difference(file: File, seen: Fingerprint, *, produced: bool) -> str | None:
    if seen.st_mtime is None:
        # A file that a job writes is asked for by the state of the job: see `reasons`.
        return "missing" if produced or file.st_mtime is not None else None
    if file.st_mtime is None:
        return None if produced else "appeared"
    if file.content_hash is not None and seen.content_hash is not None:
        return None if file.content_hash == seen.content_hash else "modified"
    same_size = file.size is None or seen.size is None or file.size == seen.size
    same_time = abs(file.st_mtime - seen.st_mtime) <= TOLERANCE
    return None if same_size and same_time else "modified"


def reasons(
    changes: Sequence[FileChange],
    readers: Mapping[FileId, Collection[JobId]],
    writers: Mapping[FileId, Collection[JobId]],
    status: Mapping[JobId, JobStatus],
    hashes: Mapping[JobId, tuple[str | None, str]],
) -> dict[JobId, str]:
    """Which ended jobs have to run again, each with its reasons (`engine.md` §6.4).

    Parameters
    ----------
    status
        Of the jobs that are named by the others.
    hashes
        Stored and present input hash of jobs; without a stored one nothing is known.
    """
    found: dict[JobId, list[str]] = {}
    for one in changes:
        makers = writers.get(one.file.id, ())
        if one.change == "missing" and makers:
            for job in makers:
                if status[job] is JobStatus.COMPLETED:
                    found.setdefault(job, []).append(f"output missing: {one.file.path}")
            continue
        for job in readers.get(one.file.id, ()):
            if status[job].ended:
                found.setdefault(job, []).append(f"input changed: {one.file.path}")
    for job, (old, new) in hashes.items():
        if old is not None and old != new and status[job].ended:
            found.setdefault(job, []).append(why(old, new))
    return {job: "; ".join(_few(found[job])) for job in sorted(found)}


def listed(
    reasons: Mapping[JobId, str], below: Iterable[JobId], names: Mapping[JobId, str]
) -> list[ChangedJob]:
    """Changed jobs and those below them, by id, each with its reason."""
    every = dict.fromkeys(below, UPSTREAM) | dict(reasons)
    return [ChangedJob(id=job, name=names[job], reason=every[job]) for job in sorted(every)]


def _few(texts: Sequence[str]) -> list[str]:
    return [*texts[:3], f"and {len(texts) - 3} more"] if len(texts) > 3 else list(texts)


def _ids(ids: Iterable[int]) -> bytes:
    return b"".join(id.to_bytes(8, "big", signed=True) for id in sorted(set(ids)))
