"""Jobs that a running job adds to its workflow (`engine.md` §11)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.ids import JobId
from torc_core.model.plan import Json
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class SpawnJob:
    """One job to add; `resource_requirements` and `depends_on` are names."""

    name: str
    command: str
    resource_requirements: str | None = None
    depends_on: Sequence[str] = ()
    priority: int = 0
    label: str | None = None
    cancel_on_blocking_job_failure: bool = True


@record(frozen=True, slots=True, kw_only=True)
class Spawn:
    """One call of an orchestrator: the next generation, or, without jobs, the end of its lineage."""

    jobs: Sequence[SpawnJob] = ()
    lineage: str | None = None
    state: Json = None


@record(frozen=True, slots=True, kw_only=True)
class Spawned:
    """The number of the generation, and the ids of its jobs in the order of the call."""

    iteration: int
    jobs: Sequence[JobId] = ()
