"""What a watcher says: on standard error for people, and with times in a log file beside the output."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.errors import UsageError
from torc_terminal.output.cells import plain

if TYPE_CHECKING:
    from torc_core.model import WorkflowId
    from torc_core.session import Session


class Diary:
    """Says things, once each time they change.

    Parameters
    ----------
    folder
        Where the log file goes: `watch_<host>_wf<id>.log`; it is made.

    Raises
    ------
    UsageError
        If it cannot be written.
    """

    def __init__(self, session: Session, workflow: WorkflowId, folder: str) -> None:
        self._session = session
        self._last: dict[str, str] = {}
        self._full = False
        self.path = Path(folder) / f"watch_{os.uname().nodename}_wf{workflow}.log"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise UsageError(f"cannot write '{self.path}': {(error.strerror or 'error').lower()}") from error

    def say(self, text: str) -> None:
        """Say it; several lines are several."""
        self.keep(text)
        for line in text.splitlines():
            self._session.note(plain(line))

    def keep(self, text: str) -> None:
        """Write it into the file alone; what it does not take is said once, and no harm else."""
        now = datetime.fromtimestamp(self._session.clock.now() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = "".join(f"{now} {plain(line)}\n" for line in text.splitlines()).encode(
            errors="backslashreplace"
        )
        try:
            # NOTE: a buffer would keep what the disk does not take, and say so again.
            self._file.write(data)
        except OSError as error:
            if not self._full:
                self._session.warn(f"cannot write '{self.path}': {(error.strerror or 'error').lower()}")
            self._full = True

    def say_new(self, about: str, text: str) -> bool:
        """Say it unless it is what was said about this the last time; whether it was said."""
        if self._last.get(about) == text:
            return False
        self._last[about] = text
        self.say(text)
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
