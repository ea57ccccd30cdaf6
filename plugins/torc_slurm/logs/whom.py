"""Whom trouble on a node hit: the jobs that ran there at that time, by their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.model import Allocation, Job, JobStatus, Node, Query, Result, WorkflowId
from torc_core.record import record
from torc_slurm.logs.places import LogFile, host_of, instant_of, job_of

if TYPE_CHECKING:
    from torc_core.protocols import Store

EVERY = 2**31
SLACK_MS = 60_000
"""Clocks and logs differ by so much."""
BAD = frozenset({JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED})


@record(frozen=True, slots=True, kw_only=True)
class Stay:
    """An attempt of a job on a node: from when to when, in milliseconds since 1970; None: it still runs."""

    job: int
    name: str
    begin: int
    end: int | None
    bad: bool


@record(frozen=True, slots=True, kw_only=True)
class Home:
    """A runner in an allocation, the numbers that its process goes by, and what ran there."""

    host: str
    pids: frozenset[int]
    stays: Sequence[Stay]


class Homes:
    """Where the jobs of a workflow ran, by the number of the allocation."""

    def __init__(
        self, workflow: WorkflowId, homes: Mapping[str, Sequence[Home]], names: Mapping[int, str]
    ) -> None:
        self._workflow = workflow
        self._homes = homes
        self._names = names

    @classmethod
    def of(cls, store: Store, workflow: WorkflowId) -> Homes:
        """As a store has it."""
        query = Query(workflow=workflow, limit=EVERY)
        numbers: dict[int, str | None] = {
            one.id: one.scheduler_id for one in store.find(Allocation, query).items
        }
        nodes = [
            (node, number)
            for node in store.find(Node, query).items
            if (number := _number(node, numbers)) is not None
        ]
        stays: dict[int, list[Stay]] = {node.id: [] for node, _ in nodes}
        names: dict[int, str] = {}
        if nodes:
            here = {"node_id": tuple(stays)}
            for one in store.find(Result, Query(workflow=workflow, where=here, limit=EVERY)).items:
                names[one.job_id] = one.job_name
                if one.node_id in stays:
                    begin = one.completed_at - round(one.exec_minutes * 60_000)
                    stays[one.node_id].append(Stay(
                        job=one.job_id, name=one.job_name, begin=begin, end=one.completed_at, bad=one.status in BAD,
                    ))  # fmt: skip
            for job in store.find(Job, Query(workflow=workflow, where=here, limit=EVERY)).items:
                names[job.id] = job.name
                if job.node_id in stays and job.start_time is not None:
                    stays[job.node_id].append(
                        Stay(job=job.id, name=job.name, begin=job.start_time, end=None, bad=False)
                    )
        homes: dict[str, list[Home]] = {}
        for node, number in nodes:
            task = (node.scheduler or {}).get("task_pid")
            pids = frozenset({node.pid, *([task] if isinstance(task, int) else [])})
            homes.setdefault(number, []).append(Home(host=node.hostname, pids=pids, stays=stays[node.id]))
        return cls(workflow, homes, names)

    def hit(self, file: LogFile, line: str) -> tuple[str | None, list[tuple[int, str]]]:
        """The host that a line speaks of, if that can be told, and the jobs that it concerns, with their names.

        Where a line tells the time, those that ran then; where it does not, those that ended badly there.
        """
        homes = list(self._homes.get(file.slurm_job, ()))
        named = host_of(line)
        if file.pid is not None and (own := [home for home in homes if file.pid in home.pids]):
            homes = own
        elif named is not None:
            homes = [home for home in homes if _same(home.host, named)] or homes
        hosts = {home.host for home in homes}
        host = next(iter(hosts)) if len(hosts) == 1 else named
        step = job_of(line, self._workflow)
        if step is not None:
            return host, [(step, self._names.get(step, ""))]
        if len(hosts) > 1:
            return host, []
        at = instant_of(line)
        stays = [stay for home in homes for stay in home.stays]
        there = [stay for stay in stays if (stay.bad if at is None else _then(stay, at))]
        return host, sorted({(stay.job, stay.name) for stay in there})


def _number(node: Node, numbers: Mapping[int, str | None]) -> str | None:
    """How Slurm calls the allocation of a runner."""
    told = (node.scheduler or {}).get("slurm_job_id")
    if told is not None:
        return str(told)
    return None if node.allocation_id is None else numbers.get(node.allocation_id)


def _then(stay: Stay, at: int) -> bool:
    return stay.begin - SLACK_MS <= at and (stay.end is None or at <= stay.end + SLACK_MS)


def _same(host: str, named: str) -> bool:
    return host.partition(".")[0] == named.partition(".")[0]
