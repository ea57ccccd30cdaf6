"""The statuses of a job, and what they mean to those who wait for it."""

from __future__ import annotations

from enum import IntEnum


class JobStatus(IntEnum):
    """Where a job is in its life. The numbers are stored; never renumber them."""

    UNINITIALIZED = 0
    BLOCKED = 1
    READY = 2
    PENDING = 3
    RUNNING = 4
    COMPLETED = 5
    FAILED = 6
    CANCELED = 7
    TERMINATED = 8
    DISABLED = 9
    PENDING_FAILED = 10

    @property
    def label(self) -> str:
        """The name as users, JSON and the wire write it: `pending_failed`."""
        return self.name.lower()

    @property
    def ended(self) -> bool:
        """Completed, failed, canceled or terminated."""
        return self in ENDED

    @property
    def bad(self) -> bool:
        """Ended, but not completed."""
        return self in BAD

    @property
    def open(self) -> bool:
        """Neither ended nor disabled: waiters go on waiting for it."""
        return self in OPEN

    @property
    def live(self) -> bool:
        """Held or running on a node."""
        return self in LIVE

    @classmethod
    def of(cls, label: str) -> JobStatus:
        """The status with this label.

        Raises
        ------
        KeyError
            If no status is called so.
        """
        return cls[label.upper()]


ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED})
BAD = ENDED - {JobStatus.COMPLETED}
LIVE = frozenset({JobStatus.PENDING, JobStatus.RUNNING})
OPEN = frozenset(JobStatus) - ENDED - {JobStatus.DISABLED}
