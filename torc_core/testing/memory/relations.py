"""Pairs that follow from other records, made while they are read: who waits for whom, who writes what others read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from torc_core.model import (
    File,
    FileId,
    InputKind,
    JobDependency,
    JobFile,
    JobId,
    JobRelations,
    JobUserData,
    Page,
    Query,
    UserData,
    UserDataId,
    Value,
)
from torc_core.testing.memory.flow import Flow


def dependencies(flow: Flow, query: Query) -> Page[JobDependency]:
    """Pairs in the order (job, blocker); memory is one page, whatever their number (`engine.md` §5.8)."""
    jobs = _chosen(query, "job_id", sorted(flow.links.uses))
    blockers = query.where.get("depends_on_job_id")
    wanted = None if blockers is None else set(_values(blockers))
    if wanted is not None:
        groups = {group for job in wanted for group in flow.memberships(_job(job))}
        waiting = {job for group in groups for job in flow.users(group)}
        jobs = [job for job in jobs if job in waiting]

    def of(job: JobId) -> Iterator[JobDependency]:
        found = {member for group in flow.uses(job) for member in flow.links.members[group]}
        for blocker in sorted(found if wanted is None else found & wanted):
            yield JobDependency(
                workflow_id=flow.workflow.id, job_id=job, job_name=flow.jobs[job].name,
                depends_on_job_id=_job(blocker), depends_on_job_name=flow.jobs[_job(blocker)].name,
            )  # fmt: skip

    def size(job: JobId) -> int:
        return flow.jobs[job].num_blockers if wanted is None else sum(1 for _ in of(job))

    return _page(jobs, size, of, query)


def of_job(flow: Flow, job: JobId) -> JobRelations:
    """The five id lists of a job."""
    reads: dict[InputKind, set[int]] = {kind: set() for kind in InputKind}
    for index in flow.inputs.get(job, ()):
        one = flow.input_sets[index]
        reads[one.kind].update(one.items)
    writes = flow.outputs.get(job, {})
    return JobRelations(
        job_id=job,
        depends_on=sorted({member for group in flow.uses(job) for member in flow.links.members[group]}),
        input_files=[FileId(item) for item in sorted(reads[InputKind.FILE])],
        output_files=[FileId(item) for item in sorted(writes.get(InputKind.FILE, ()))],
        input_user_data=[UserDataId(item) for item in sorted(reads[InputKind.USER_DATA])],
        output_user_data=[UserDataId(item) for item in sorted(writes.get(InputKind.USER_DATA, ()))],
    )


def relations(flow: Flow, kind: InputKind, query: Query) -> Page[Any]:
    """Files or user data between those who write and those who read them, in the order (item, writer, reader)."""
    table = flow.tables[File if kind is InputKind.FILE else UserData]
    writers, readers = flow.writers(kind), flow.readers(kind)
    key = "file_id" if kind is InputKind.FILE else "user_data_id"
    items = _chosen(query, key, sorted(writers.keys() | readers.keys()))

    def sides(item: int) -> tuple[Sequence[JobId | None], Sequence[JobId | None]]:
        reading = sorted({job for jobs in readers.get(item, ()) for job in jobs})
        return (
            _chosen(query, "producer_job_id", writers.get(item) or [None]),
            _chosen(query, "consumer_job_id", reading or [None]),
        )

    def of(item: int) -> Iterator[Any]:
        producing, consuming = sides(item)
        for producer in producing:
            for consumer in consuming:
                yield _relation(flow, table[item], producer, consumer)

    def size(item: int) -> int:
        producing, consuming = sides(item)
        return len(producing) * len(consuming)

    return _page(items, size, of, query)


def _relation(flow: Flow, item: Any, producer: JobId | None, consumer: JobId | None) -> Any:
    sides: dict[str, Any] = {
        "workflow_id": flow.workflow.id,
        "producer_job_id": producer,
        "producer_job_name": None if producer is None else flow.jobs[producer].name,
        "consumer_job_id": consumer,
        "consumer_job_name": None if consumer is None else flow.jobs[consumer].name,
    }
    if isinstance(item, File):
        return JobFile(file_id=item.id, file_name=item.name, file_path=item.path, **sides)
    return JobUserData(user_data_id=item.id, user_data_name=item.name, **sides)


def _page(
    owners: Sequence[Any], size: Callable[[Any], int], of: Callable[[Any], Iterator[Any]], query: Query
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
    pairs = (pair for owner in owners[first:] for pair in _directed(of(owner), query.reverse))
    return Page(items=list(islice(pairs, skip, skip + query.limit)), total=total, offset=query.offset)


def _directed(pairs: Iterator[Any], reverse: bool) -> Iterable[Any]:
    return reversed(list(pairs)) if reverse else pairs


def _chosen(query: Query, field: str, among: Sequence[Any]) -> Sequence[Any]:
    if field not in query.where:
        return among
    wanted = set(_values(query.where[field]))
    return [one for one in among if one in wanted]


def _values(value: Value | Sequence[Value]) -> Sequence[Value]:
    return value if isinstance(value, (tuple, list)) else (value,)


def _job(value: Value) -> JobId:
    return JobId(value) if isinstance(value, int) else JobId(0)
