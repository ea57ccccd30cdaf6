"""Answers that are kept under idempotency keys, and counters that are recounted (`Embedded`)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import KEPT_FOR, Kept, WorkflowId
from torc_core.testing.memory import repairing
from torc_core.testing.memory.holding import Holding


class KeepingVerbs(Holding):
    """Answers that are kept under idempotency keys, and counters that are recounted (`Embedded`)."""

    def kept(self, principal: str, route: str, key: str) -> Kept | None:
        """The answer that was kept under a key in the last 24 hours."""
        with self._locked():
            for at, answer in self._records.get(Kept, {}).values():
                found = (answer.principal, answer.route, answer.key) == (principal, route, key)
                if found and at > self._clock.now() - KEPT_FOR:
                    return answer  # type: ignore[no-any-return]  # tables are keyed by kind
        return None

    def keep(self, answer: Kept) -> None:
        """Keep an answer under its key, in place of an older one."""
        with self._locked():
            answers = self._records.setdefault(Kept, {})
            for id, (_, old) in list(answers.items()):
                if (old.principal, old.route, old.key) == (answer.principal, answer.route, answer.key):
                    del answers[id]
            answers[self._number("kept")] = (self._clock.now(), answer)

    def repair(self) -> Sequence[WorkflowId]:
        """Recount the counters of workflows with open jobs; those that differed."""
        repaired = []
        with self._locked():
            for id, flow in self._flows.items():
                if any(job.status.open for job in flow.jobs.values()):
                    with self._change(id) as change:
                        if repairing.repair(change):
                            repaired.append(id)
        return repaired
