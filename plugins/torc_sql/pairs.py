"""Pairs that follow from sets, made while they are read: who waits for whom, who writes what others read (§5.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import Any

from torc_core.model import (
    FileId,
    JobDependency,
    JobFile,
    JobId,
    JobUserData,
    Page,
    Query,
    UserDataId,
    Value,
    WorkflowId,
)
from torc_sql.transaction import Transaction


def dependencies(tx: Transaction, wf: WorkflowId, query: Query) -> Page[JobDependency]:
    """Pairs in the order (job, blocker); memory is one page, whatever their number."""
    names: dict[JobId, str] = {}
    sizes: dict[JobId, int] = {}
    for job, name, count in tx.rows("WAITERS", wf_=wf):
        names[job], sizes[job] = name, count
    jobs = _chosen(query, "job_id", list(sizes))
    wanted = _wanted(query, "depends_on_job_id")
    if wanted is not None:
        waiting = {job for one in wanted for (job,) in tx.rows("WAITING_FOR", job_=one)}
        jobs = [job for job in jobs if job in waiting]

    def of(job: JobId) -> list[JobDependency]:
        return [
            JobDependency(
                workflow_id=wf, job_id=job, job_name=names[job], depends_on_job_id=blocker, depends_on_job_name=name
            )
            for blocker, name in tx.rows("BLOCKERS", job_=job)
            if wanted is None or blocker in wanted
        ]  # fmt: skip

    def size(job: JobId) -> int:
        return sizes[job] if wanted is None else len(of(job))

    return _page(jobs, size, of, query)


def files(tx: Transaction, wf: WorkflowId, query: Query) -> Page[JobFile]:
    """Files between those who write and those who read them, in the order (file, writer, reader)."""
    names = dict(tx.rows("FILE_JOBS", wf_=wf))

    def record(item: FileId, producer: JobId | None, consumer: JobId | None) -> JobFile:
        name, path = items[item]
        return JobFile(
            workflow_id=wf, file_id=item, file_name=name, file_path=path, producer_job_id=producer,
            producer_job_name=_name(names, producer), consumer_job_id=consumer,
            consumer_job_name=_name(names, consumer),
        )  # fmt: skip

    items = {id: (name, path) for id, name, path in tx.rows("FILE_NAMES", wf_=wf)}
    return _relations(tx, wf, "FILE", "file_id", record, query)


def user_data(tx: Transaction, wf: WorkflowId, query: Query) -> Page[JobUserData]:
    """The same for user data."""
    names = dict(tx.rows("USER_DATA_JOBS", wf_=wf))

    def record(item: UserDataId, producer: JobId | None, consumer: JobId | None) -> JobUserData:
        return JobUserData(
            workflow_id=wf, user_data_id=item, user_data_name=items[item], producer_job_id=producer,
            producer_job_name=_name(names, producer), consumer_job_id=consumer,
            consumer_job_name=_name(names, consumer),
        )  # fmt: skip

    items = dict(tx.rows("USER_DATA_NAMES", wf_=wf))
    return _relations(tx, wf, "USER_DATA", "user_data_id", record, query)


def _relations(
    tx: Transaction, wf: WorkflowId, kind: str, key: str, record: Callable[..., Any], query: Query
) -> Page[Any]:
    writers: dict[int, list[int]] = {}
    for item, job in tx.rows(f"{kind}_WRITERS", wf_=wf):
        writers.setdefault(item, []).append(job)
    sets: dict[int, tuple[int, ...]] = {}
    for item, input_set in tx.rows(f"{kind}_SETS", wf_=wf):
        sets[item] = (*sets.get(item, ()), input_set)
    # Items that are read together have the same readers, which are looked for once.
    readers: dict[tuple[int, ...], list[int]] = {(): []}

    def reading(item: int) -> list[int]:
        lists = sets.get(item, ())
        if lists not in readers:
            readers[lists] = sorted({job for one in lists for (job,) in tx.rows("INPUT_USERS", set_=one)})
        return readers[lists]

    def sides(item: int) -> tuple[Sequence[Any], Sequence[Any]]:
        return (
            _chosen(query, "producer_job_id", writers.get(item) or [None]),
            _chosen(query, "consumer_job_id", reading(item) or [None]),
        )

    def size(item: int) -> int:
        producing, consuming = sides(item)
        return len(producing) * len(consuming)

    def of(item: int) -> list[Any]:
        return [record(item, producer, consumer) for producer, consumer in product(*sides(item))]

    items = [item for item in sorted(writers.keys() | sets.keys()) if item in writers or reading(item)]
    return _page(_chosen(query, key, items), size, of, query)


def _page(
    owners: Sequence[Any], size: Callable[[Any], int], of: Callable[[Any], Sequence[Any]], query: Query
) -> Page[Any]:
    """Seek the owner at which the page begins by running sum, then read on from there."""
    owners = list(reversed(owners)) if query.reverse else owners
    total, skip, first = 0, query.offset, len(owners)
    for position, owner in enumerate(owners):
        count = size(owner)
        if first == len(owners):
            if skip < count:
                first = position
            else:
                skip -= count
        total += count

    def pairs() -> Iterator[Any]:
        for owner in owners[first:]:
            found = of(owner)
            yield from reversed(found) if query.reverse else found

    return Page(items=list(islice(pairs(), skip, skip + query.limit)), total=total, offset=query.offset)


def _name(names: dict[JobId, str], job: JobId | None) -> str | None:
    return None if job is None else names[job]


def _wanted(query: Query, field: str) -> set[Value] | None:
    if field not in query.where:
        return None
    value = query.where[field]
    return set(value) if isinstance(value, (list, tuple)) else {value}  # type: ignore[arg-type]  # a sequence of values


def _chosen(query: Query, field: str, among: Sequence[Any]) -> Sequence[Any]:
    wanted = _wanted(query, field)
    return among if wanted is None else [one for one in among if one in wanted]
