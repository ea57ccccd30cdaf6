"""A runner that says what a signal does to it (`cli.md` R5, `runner.md` §10.3)."""

from __future__ import annotations

import signal
from collections.abc import Callable

from torc_core.runner.runner import Runner


class Signalled(Runner):
    """A runner in front of a user."""

    tell: Callable[[str], None] | None = None
    """Writes a line for the user; called in a signal handler, so it must not block."""

    lead = 30.0
    """Seconds that jobs have after the first signal."""

    _seen = 0

    def interrupt(self, number: int) -> None:
        """Obey a signal, and say so."""
        self._seen += 1
        if self.tell is not None and self._seen == 1:
            if number == signal.SIGINT:
                self.tell(f"interrupted: jobs have {self.lead:g} s to end; interrupt again to kill them now")
            else:
                self.tell(f"{signal.Signals(number).name}: no new jobs, those that run are ended")
        elif self.tell is not None and number == signal.SIGINT and self._seen == 2:
            self.tell("interrupted again: jobs are killed")
        super().interrupt(number)

    def kill(self) -> None:
        """End everything at once, without a word; what ran can go on in a later run."""
        for _ in range(2):
            super().interrupt(signal.SIGINT)
