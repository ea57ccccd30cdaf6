"""What is done with each job that ended: a line in the job log, and a look at the halt condition."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from torc_cli.execute.halt import Halt
from torc_cli.execute.joblog import Entry, Joblog, exit_and_signal
from torc_core.model import Assignment, Job, JobId, JobStatus
from torc_core.runner.report import End

NOT_ITS_OWN = frozenset({"interrupted", "runner_died", "node_lost", "canceled"})
"""Reasons that say nothing about the job: it will run again, and is neither logged nor counted."""


class LogWriter:
    """Writes the job log; jobs that were interrupted are left out, so that `--resume` runs them again."""

    def __init__(self, log: Joblog, host: str, seq: Callable[[Job], int]) -> None:
        self._log = log
        self._host = host
        self._seq = seq

    def ended(self, end: End) -> None:
        """Add a line."""
        ending, job = end.ending, end.given.job
        if ending.reason in NOT_ITS_OWN:
            return
        exitval, signal = exit_and_signal(ending.return_code)
        seconds = ending.exec_minutes * 60
        self._log.write(
            Entry(
                seq=self._seq(job),
                host=self._host,
                start=ending.completed_at / 1000 - seconds,
                runtime=seconds,
                received=size(end.stdout),
                exitval=exitval,
                signal=signal,
                command=job.command,
            )
        )

    def tick(self, running: Mapping[JobId, Assignment]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing more is written."""
        self._log.close()


class Halter:
    """Counts jobs that ended, and acts once when the halt condition holds.

    Parameters
    ----------
    again
        Whether a job is tried once more after this end, so that it has not ended yet.
    """

    def __init__(
        self,
        halt: Halt,
        total: int,
        act: Callable[[], None],
        again: Callable[[End], bool] = lambda end: False,
    ) -> None:
        self._halt = halt
        self._total = total
        self._act = act
        self._again = again
        self._good = self._bad = 0
        self.halted = False

    def ended(self, end: End) -> None:
        """Count it."""
        if end.ending.reason in NOT_ITS_OWN or self._again(end):
            return
        if end.ending.status is JobStatus.COMPLETED:
            self._good += 1
        else:
            self._bad += 1
        if not self.halted and self._halt.reached(good=self._good, bad=self._bad, total=self._total):
            self.halted = True
            self._act()

    @property
    def exit_code(self) -> int:
        """Of the command that was halted: by success 0, by failure 1, by number as the jobs were."""
        return 0 if self._halt.what == "success" or (self._halt.what == "done" and not self._bad) else 1


def size(path: str | None) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return os.stat(path).st_size if path is not None else 0
    except OSError:
        return 0
