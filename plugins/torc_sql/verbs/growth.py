"""Jobs that a running job adds (`Growth`)."""

from __future__ import annotations

from torc_core.model import Job, JobId, Spawn, Spawned
from torc_sql import spawning
from torc_sql.change import Change
from torc_sql.transacting import Transacting


class GrowthVerbs(Transacting):
    """Jobs that a running job adds (`Growth`)."""

    def spawn(self, job: JobId, spawn: Spawn) -> Spawned:
        """Add jobs in the name of a running one."""
        with self._write() as tx:
            change = Change(tx, self._record(tx, Job, job).workflow_id, self._shapes)
            spawned = spawning.spawn(change, job, spawn)
            change.close()
        return spawned
