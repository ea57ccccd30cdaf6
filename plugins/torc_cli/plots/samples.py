"""Reads the files of samples that runners leave (`runner.md` §12.2), also those of older versions."""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from glob import escape, glob
from math import isfinite
from typing import Any

from torc_core.errors import UsageError
from torc_core.record import record

NEEDED = {"job_id", "timestamp", "cpu_percent", "memory_bytes", "num_processes"}
KEYS = ("job_id", "timestamp", "run_id", "attempt_id")
VALUES = (
    "cpu_percent", "memory_bytes", "num_processes", "gpu_percent", "gpu_memory_bytes", "read_bytes", "write_bytes",
)  # fmt: skip
NODE_VALUES = (
    "cpu_percent", "memory_bytes", "gpu_percent", "gpu_memory_bytes", "load1", "output_free_bytes",
)  # fmt: skip
SUFFIXES = (".db", ".sqlite", ".sqlite3")

Point = tuple[float, float]
NAN = float("nan")


@record(frozen=True, slots=True, kw_only=True)
class Key:
    """Whose samples: an attempt at a job, on a host. Old files say neither run nor attempt, which are 0 then."""

    host: str
    job: int
    run: int
    attempt: int


@dataclass(slots=True)
class Track:
    """The samples of one attempt, or of one node, in columns; NaN: not measured."""

    name: str
    cpus: int | None = None
    memory_limit: int | None = None
    gpus: int | None = None
    times: array[float] = field(default_factory=lambda: array("d"))
    columns: dict[str, array[float]] = field(default_factory=dict)

    def add(self, time: float, names: Sequence[str], values: Sequence[object]) -> None:
        """One sample."""
        self.times.append(time)
        for name, value in zip(names, values, strict=True):
            column = self.columns.setdefault(name, array("d"))
            column.append(float(value) if isinstance(value, int | float) else NAN)

    def points(self, name: str) -> list[Point]:
        """What was measured of one thing, and when."""
        column = self.columns.get(name, ())
        # In order already, but where the files of several lives of a runner were put together.
        return sorted(
            (time, value) for time, value in zip(self.times, column, strict=False) if isfinite(value)
        )

    def peak(self, name: str) -> float | None:
        """The most that was measured; None: nothing was."""
        return max((value for value in self.columns.get(name, ()) if isfinite(value)), default=None)


@dataclass(slots=True)
class Samples:
    """All that was found: attempts by key, nodes by host."""

    jobs: dict[Key, Track] = field(default_factory=dict)
    nodes: dict[str, Track] = field(default_factory=dict)


def files_of(words: Sequence[str]) -> list[str]:
    """The files that paths, patterns and folders mean.

    Raises
    ------
    UsageError
        If one of them means none.
    """
    found: dict[str, None] = {}
    for word in words:
        paths = [word] if os.path.exists(word) else sorted(glob(word, recursive=True))
        if not paths:
            raise UsageError(
                f"no file '{word}'; give a resource_metrics_*.db of a run, or a folder with some"
            )
        for path in paths:
            inside = _inside(path) if os.path.isdir(path) else [path]
            if not inside and path == word:
                raise UsageError(
                    f"no resource_metrics_*.db in folder '{word}'; give the output directory of a run"
                )
            found |= dict.fromkeys(inside)
    return list(found)


def read(
    paths: Sequence[str], jobs: Collection[int] = (), run: int | None = None, attempt: int | None = None
) -> Samples:
    """All samples of these files, or those of some jobs, of one run, of one attempt.

    Raises
    ------
    UsageError
        If one is not a file of samples.
    """
    samples = Samples()
    for path in paths:
        try:
            with closing(_opened(path)) as data:
                _read(data, path, samples, jobs, run, attempt)
        except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
            raise UsageError(
                f"'{path}' is not a file of samples: {error}; give a resource_metrics_*.db of a run"
            ) from error
    return samples


def _inside(folder: str) -> list[str]:
    """The files in a folder: those that a runner has named, else whatever may be one."""
    named = glob(os.path.join(escape(folder), "**", "resource_metrics_*.db"), recursive=True)
    return sorted(named or (one.path for one in os.scandir(folder) if one.name.endswith(SUFFIXES)))


def _opened(path: str) -> sqlite3.Connection:
    """Open a file; where its runner died in the middle of a flush the half-written rest is undone."""
    from urllib.parse import quote

    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read '{path}': permission denied")
    mode = "rw" if os.access(path, os.W_OK) and os.access(os.path.dirname(path) or ".", os.W_OK) else "ro"
    uri = f"file:{quote(os.path.abspath(path))}?mode={mode}"
    data = sqlite3.connect(uri, uri=True, timeout=10)
    try:
        data.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError:
        # No locks here, or a rest to be undone in a folder that is not ours.
        data.close()
        return sqlite3.connect(f"{uri}&immutable=1", uri=True)
    return data


def _columns(data: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in data.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _read(
    data: sqlite3.Connection,
    path: str,
    samples: Samples,
    jobs: Collection[int],
    run: int | None,
    attempt: int | None,
) -> None:
    there = _columns(data, "job_resource_samples")
    node_there = _columns(data, "compute_node_samples")
    if not there >= NEEDED and "timestamp" not in node_there:
        raise UsageError(
            f"'{path}' is not a file of samples: it has no table job_resource_samples; "
            "give a resource_metrics_*.db of a run"
        )
    info = dict(data.execute("SELECT key, value FROM monitor_info")) if _columns(data, "monitor_info") else {}
    host = str(
        info.get("hostname") or os.path.basename(path).removesuffix(".db").removeprefix("resource_metrics_")
    )
    if there >= NEEDED:
        known = _known(data)
        query = "SELECT * FROM job_resource_samples ORDER BY job_id, timestamp"
        for job, time, its_run, its_attempt, *values in _rows(data, query, (*KEYS, *VALUES)):
            key = Key(host=host, job=int(job), run=int(its_run or 0), attempt=int(its_attempt or 0))
            if (
                (jobs and key.job not in jobs)
                or run not in (None, key.run)
                or attempt not in (None, key.attempt)
            ):
                continue
            track = samples.jobs.get(key)
            if track is None:
                track = samples.jobs[key] = known(key.job)
            track.add(float(time), VALUES, values)
    if "timestamp" in node_there:
        query = "SELECT * FROM compute_node_samples ORDER BY timestamp"
        for time, *values in _rows(data, query, ("timestamp", *NODE_VALUES)):
            samples.nodes.setdefault(host, Track(host)).add(float(time), NODE_VALUES, values)


def _known(data: sqlite3.Connection) -> Callable[[int], Track]:
    """What a file says of its jobs: makes the empty track of one."""
    there = _columns(data, "job_metadata")
    rows: dict[int, tuple[str, int | None, int | None, int | None]] = {}
    if {"job_id", "job_name"} <= there:
        names = ("job_id", "job_name", "num_cpus", "memory_limit_bytes", "num_gpus")
        for job, name, cpus, memory, gpus in _rows(data, "SELECT * FROM job_metadata", names):
            rows[int(job)] = str(name), _whole(cpus), _whole(memory), _whole(gpus)
    return lambda job: Track(*rows.get(job, (f"job {job}", None, None, None)))


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _rows(data: sqlite3.Connection, query: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Some columns of a query; those that an older file does not have are None."""
    cursor = data.execute(query)
    there = {column[0]: place for place, column in enumerate(cursor.description)}
    places = [there.get(name) for name in names]
    for row in cursor:
        yield tuple(None if place is None else row[place] for place in places)
