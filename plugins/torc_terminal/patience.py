"""A workflow that a command looks at again and again until it is over; its store may be away for a while."""

from __future__ import annotations

from torc_core.errors import Unavailable
from torc_core.model import Totals, WorkflowId
from torc_core.session import Session

PATIENCE = 1_200.0
"""Seconds for which the store may be away."""


class Looking:
    """What was seen of a workflow last.

    Raises
    ------
    Unavailable
        If its store does not answer the first question.
    """

    def __init__(self, session: Session, workflow: WorkflowId) -> None:
        self._session = session
        self._workflow = workflow
        self._away: float | None = None
        self.totals = self._seen()

    def look(self) -> Totals:
        """Look again; what was seen last, if the store is away.

        Raises
        ------
        Unavailable
            If it stays away.
        """
        try:
            self.totals, self._away = self._seen(), None
        except Unavailable as error:
            now = self._session.clock.monotonic()
            if self._away is None:
                self._away = now
                self._session.warn(f"the store does not answer, and is waited for: {error}")
            if now - self._away > PATIENCE:
                raise
            self._session.close()
        return self.totals

    def _seen(self) -> Totals:
        return self._session.store().totals([self._workflow])[0]
