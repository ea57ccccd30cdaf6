"""The id lists of jobs, for many at once: what they wait for, read and write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from torc_core.model import FileId, InputKind, JobId, JobRelations, UserDataId
from torc_sql.transaction import Transaction


def related(tx: Transaction, jobs: Sequence[JobId]) -> list[JobRelations]:
    """The lists of these jobs, in the order asked for; those that are not there are left out.

    Jobs with the same blockers share one list, so that a barrier costs its members and its users, not the pairs.
    """
    ids = json.dumps(sorted(set(jobs)))
    present = {id for (id,) in tx.rows("PRESENT", jobs_=ids)}
    uses = _lists(tx.rows("USES_OF", jobs_=ids))
    sets = sorted({one for listed in uses.values() for one in listed})
    members = _lists(tx.rows("MEMBERS_OF", jobs_=json.dumps(sets))) if sets else {}
    reads: dict[str, dict[int, list[int]]] = {kind.value: {} for kind in InputKind}
    for job, kind, item in tx.rows("READS_OF", jobs_=ids):
        reads[kind].setdefault(job, []).append(item)
    writes = _lists(tx.rows("WRITES_OF_JOBS", jobs_=ids))
    shared: dict[tuple[int, ...], Sequence[JobId]] = {}
    found = []
    for job in jobs:
        if job not in present:
            continue
        key = tuple(uses.get(job, ()))
        if key not in shared:
            shared[key] = [JobId(one) for one in _distinct(members.get(set_, ()) for set_ in key)]
        written = writes.get(job, ())
        found.append(
            JobRelations(
                job_id=job, depends_on=shared[key],
                input_files=[FileId(one) for one in _distinct([reads["file"].get(job, ())])],
                input_user_data=[UserDataId(one) for one in _distinct([reads["user_data"].get(job, ())])],
                output_files=[FileId(one) for one in sorted(written) if one > 0],
                output_user_data=[UserDataId(one) for one in sorted(-one for one in written if one < 0)],
            )
        )  # fmt: skip
    return found


def _distinct(lists: Iterable[Sequence[int]]) -> list[int]:
    return sorted({one for listed in lists for one in listed})


def _lists(pairs: Iterable[tuple[int, int]]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
