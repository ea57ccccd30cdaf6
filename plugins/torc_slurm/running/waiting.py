"""Whether an idle runner had better stay: jobs of its own will be ready in time (`slurm.md` §5, 8)."""

from __future__ import annotations

from torc_core.detection import Detected
from torc_core.errors import TorcError
from torc_core.model import (
    Allocation,
    Job,
    JobStatus,
    Query,
    Requirement,
    RequirementId,
    SchedulerId,
    Workflow,
)
from torc_core.protocols import Clock, Store
from torc_core.runner.log import log

MOST_RUNNING, MOST_BLOCKED = 50, 200
"""Jobs that are looked at; where there are more, what the first of them say is enough."""


class Prospects:
    """What is still to come for one runner.

    Parameters
    ----------
    end
        Last moment at which a job may still run here, monotonic seconds; None: there is no end.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        workflow: Workflow,
        number: str,
        detected: Detected,
        end: float | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._workflow = workflow
        self._number = number
        self._detected = detected
        self._end = end
        self._requirements: dict[RequirementId, Requirement] = {}

    def good(self) -> bool:
        """Whether a job that could run here waits only for jobs that run elsewhere, and those end soon enough."""
        try:
            job = self._awaited()
        except TorcError as error:
            log.info("prospects_unknown why=%s", error)
            return False
        if job is not None:
            log.info("awaiting workflow_id=%d job_id=%d", self._workflow.id, job.id)
        return job is not None

    def _awaited(self) -> Job | None:
        running = self._jobs({"status": JobStatus.RUNNING.value}, MOST_RUNNING)
        ends = {job.id: self._declared_end(job) for job in running}
        scheduler = self._scheduler()
        seen = 0
        for blocker in running:
            wanted = {"upstream_job_id": blocker.id, "status": JobStatus.BLOCKED.value}
            for job in self._jobs(wanted, MOST_BLOCKED - seen):
                seen += 1
                if scheduler is not None and job.scheduler_id not in (None, scheduler):
                    continue
                blockers = self._store.relations([job.id])[0].depends_on
                open_ones = [one for one in blockers if one in ends]
                if len(open_ones) == job.unmet and self._in_time(job, max(ends[one] for one in open_ones)):
                    return job
            if seen >= MOST_BLOCKED:
                break
        return None

    def _in_time(self, job: Job, ready: float) -> bool:
        """Whether a job that is ready at this time, milliseconds since 1970, fits here and into what is left then."""
        need, capacity = self._requirement(job), self._detected.capacity
        fits = (
            need.num_cpus <= capacity.cpus
            and need.memory_bytes <= capacity.memory
            and need.num_gpus <= capacity.gpus
            and need.num_nodes <= self._detected.num_nodes
        )
        if not fits or self._end is None:
            return fits
        left = self._end - self._clock.monotonic()
        return (ready - self._clock.now()) / 1000 + need.runtime_s <= left

    def _declared_end(self, job: Job) -> float:
        return (job.start_time or self._clock.now()) + 1000.0 * self._requirement(job).runtime_s

    def _requirement(self, job: Job) -> Requirement:
        id = job.requirement_id
        if id not in self._requirements:
            self._requirements[id] = self._store.get(Requirement, id)
        return self._requirements[id]

    def _scheduler(self) -> SchedulerId | None:
        where = {"scheduler_id": self._number}
        found = self._store.find(Allocation, Query(workflow=self._workflow.id, where=where, limit=1)).items
        return found[0].scheduler_config_id if found else None

    def _jobs(self, where: dict[str, int], limit: int) -> list[Job]:
        return list(self._store.find(Job, Query(workflow=self._workflow.id, where=where, limit=limit)).items)
