"""Jobs that a running job adds (`Growth`)."""

from __future__ import annotations

from torc_core.model import Job, JobId, Spawn, Spawned
from torc_core.testing.memory import spawning
from torc_core.testing.memory.holding import Holding


class GrowthVerbs(Holding):
    """Jobs that a running job adds (`Growth`)."""

    def spawn(self, job: JobId, spawn: Spawn) -> Spawned:
        """Add jobs in the name of a running one."""
        with self._locked():
            flow = self._flow_of(Job, job)
            with self._change(flow.workflow.id) as change:
                return spawning.spawn(change, flow.jobs[job], spawn)
