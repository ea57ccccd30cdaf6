"""Answers that are kept under idempotency keys, and counters that are recounted (`Embedded`)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import KEPT_FOR, Kept, WorkflowId
from torc_sql import repairing
from torc_sql.transacting import Transacting


class KeepingVerbs(Transacting):
    """Answers that are kept under idempotency keys, and counters that are recounted (`Embedded`)."""

    def kept(self, principal: str, route: str, key: str) -> Kept | None:
        """The answer that was kept under a key in the last 24 hours."""
        # NOTE: it never changes, so that no transaction need begin in order to look.
        with self._database.read() if self._under_way is None else self._read() as tx:
            row = tx.row("KEPT", principal_=principal, route_=route, key_=key, since_=tx.now - KEPT_FOR)
        if row is None:
            return None
        principal, route, key, body_hash, status, answer = row
        return Kept(
            principal=principal, route=route, key=key, body_hash=body_hash, status=status, answer=answer
        )

    def keep(self, answer: Kept) -> None:
        """Keep an answer under its key, in place of an older one; those that are too old go."""
        with self._write() as tx:
            tx.run(
                "DROP_KEPT",
                principal_=answer.principal,
                route_=answer.route,
                key_=answer.key,
                since_=tx.now - KEPT_FOR,
            )
            tx.many("INSERT_IDEMPOTENCY_KEY", [(
                answer.principal, answer.route, answer.key, answer.body_hash, answer.status, answer.answer, tx.now
            )])  # fmt: skip

    def repair(self) -> Sequence[WorkflowId]:
        """Recount the counters of workflows with open jobs; those that differed."""
        with self._read() as tx:
            wrong = [wf for wf in repairing.in_question(tx) if repairing.differs(tx, wf)]
        for wf in wrong:
            with self._write() as tx:
                repairing.repair(tx, wf, self._shapes)
        return wrong
