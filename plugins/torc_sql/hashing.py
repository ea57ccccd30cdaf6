"""Input hashes of jobs, many at a time: what they are made of now, beside what was stored (`engine.md` §6.4)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torc_core.engine.change import canonical, contents, definition, input_hash, related
from torc_core.model import InputKind, JobId
from torc_sql import rows
from torc_sql.transaction import Row

if TYPE_CHECKING:
    from torc_sql.change import Change

CHUNK = 5_000
"""Jobs that are read and written at once."""

_NONE: Mapping[JobId, list[int]] = {}


def keep_hashes(change: Change, jobs: Collection[JobId] | None) -> None:
    """Store the present input hash of jobs; None: of all.

    PERF: one statement reads a chunk of jobs and one writes it; 100,000 jobs take half a second.
    """
    if jobs is not None and not jobs:
        return
    _keep(change, _Made(change), jobs)


def keep_values(change: Change, jobs: Sequence[JobId]) -> None:
    """Store the present input hash of those of these jobs that read user data: whoever writes that has ended by now."""
    for first in range(0, len(jobs), CHUNK):
        some = json.dumps(jobs[first : first + CHUNK])
        readers = [job for (job,) in change.tx.rows("READERS_OF_DATA", jobs_=some)]
        if readers:
            _keep(change, _Made(change, readers), readers)


def _keep(change: Change, made: _Made, jobs: Collection[JobId] | None) -> None:
    for chunk in _chunks(change, jobs):
        new = [{"job_": job, "hash_": now} for job, old, now in made.hashes(chunk) if old != now]
        change.tx.many("KEEP_HASH", new)


def hashes(change: Change, jobs: Collection[JobId] | None) -> Iterator[tuple[JobId, str | None, str]]:
    """Jobs by id, each with the stored and the present input hash; None: all of the workflow."""
    made = _Made(change)
    for chunk in _chunks(change, jobs):
        yield from made.hashes(chunk)


def _chunks(change: Change, jobs: Collection[JobId] | None) -> Iterator[list[Row]]:
    tx, wf, after = change.tx, change.wf, 0
    if jobs is not None:
        ids = sorted(jobs)
        for first in range(0, len(ids), CHUNK):
            yield tx.rows("DEFINITIONS_OF", wf_=wf, jobs_=json.dumps(ids[first : first + CHUNK]))
        return
    while chunk := tx.rows("DEFINITIONS", wf_=wf, after_=after, limit_=CHUNK):
        yield chunk
        after = chunk[-1][0]


class _Made:
    """What the jobs of a workflow are made of; lists that jobs share are looked at once.

    Parameters
    ----------
    jobs
        What only these are made of; None: all.
    """

    def __init__(self, change: Change, jobs: Sequence[JobId] | None = None) -> None:
        tx, wf = change.tx, change.wf
        self._tx = tx
        self._sets: dict[int, bytes] = dict(self._read("SET_DIGESTS", "DIGESTS_OF", wf, "USES_OF", jobs))
        self._files: dict[int, list[int]] = {}
        self._data: dict[int, list[int]] = {}
        for set_, kind, item in self._read("INPUT_ITEMS", "ITEMS_OF", wf, "READ_SETS_OF", jobs):
            lists = self._files if kind == InputKind.FILE.value else self._data
            lists.setdefault(set_, []).append(item)
        self._values: dict[int, bytes] = {}
        if self._data:
            items = (
                None
                if jobs is None
                else json.dumps(sorted({one for read in self._data.values() for one in read}))
            )
            found = tx.rows("READ_DATA", wf_=wf) if items is None else tx.rows("DATA_OF", jobs_=items)
            for id, text in found:
                self._values[id] = b"" if text is None else canonical(rows.value(text))
        self._writes = change.has_outputs or tx.row("ANY_OUTPUT_DATA", wf_=wf) is not None
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[str, str]] = {}

    def _read(self, all_: str, some: str, wf: int, lists: str, jobs: Sequence[JobId] | None) -> list[Any]:
        """Lists of the workflow, or only those of some jobs."""
        if jobs is None:
            return self._tx.rows(all_, wf_=wf)
        of = {one for _, one in self._tx.rows(lists, jobs_=json.dumps(jobs))}
        return self._tx.rows(some, jobs_=json.dumps(sorted(of)))

    def hashes(self, chunk: Sequence[Row]) -> list[tuple[JobId, str | None, str]]:
        """The hashes of some jobs, given as rows of `DEFINITIONS`."""
        ids = json.dumps([row[0] for row in chunk])
        waits = self._lists("USES_OF", ids) if self._sets else _NONE
        reads = self._lists("READ_SETS_OF", ids) if self._files or self._data else _NONE
        writes = self._lists("WRITES_OF_JOBS", ids) if self._writes else _NONE
        found = []
        for job, command, script, env, stored in chunk:
            made = definition(command, script, _env(env) if env else b"")
            sets, inputs, outputs = waits.get(job), reads.get(job), writes.get(job)
            if sets is None and inputs is None and outputs is None:
                parts = "", ""
            else:
                parts = self._relations(tuple(sets or ()), tuple(inputs or ()), outputs or ())
            found.append((job, stored, input_hash(made, *parts)))
        return found

    def _lists(self, statement: str, ids: str) -> dict[JobId, list[int]]:
        found: dict[JobId, list[int]] = {}
        for job, other in self._tx.rows(statement, jobs_=ids):
            found.setdefault(job, []).append(other)
        return found

    def _relations(
        self, sets: tuple[int, ...], reads: tuple[int, ...], writes: Sequence[int]
    ) -> tuple[str, str]:
        """The last two parts of the hash; `writes`: files as they are, user data negative."""
        if not (reads or writes) and len(sets) == 1:
            return related([self._sets[sets[0]] or b""], (), (), ()), ""
        known = None if writes else self._known.get((sets, reads))
        if known is None:
            files = {item for one in reads for item in self._files.get(one, ())}
            data = {item for one in reads for item in self._data.get(one, ())}
            digests = [self._sets[one] or b"" for one in sets]
            known = (
                related(digests, files, data, writes),
                contents((id, self._values[id]) for id in data) if data else "",
            )
            if not writes:
                self._known[sets, reads] = known
        return known


@lru_cache(maxsize=1_000)
def _env(text: str | None) -> bytes:
    return b"" if text is None else canonical(rows.value(text))
