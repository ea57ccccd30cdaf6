"""The control groups of a guardian's jobs, from their start until they are empty. Only the standard library here."""

from __future__ import annotations

import os
import select
import time

from torc_local.cgroups import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ALARMED, LOOK_FOR_KILL = 1.0, 0.005
"""Seconds after the kernel's alarm within which it kills, and between two looks whether it has."""
HELD_UP, LOOK_LATER = 60.0, 0.5
"""The same where the process that has to kill another gets hardly any time to run."""
EMPTY_WITHIN, LOOK_FOR_END = 0.2, 0.001
"""Seconds that the last processes of jobs have to leave their groups in the end, and between two looks."""


class Groups:
    """Makes groups, hears the alarms of the kernel, and removes groups; a job is known by its id.

    Parameters
    ----------
    exceeded
        Called for a job in whose group the kernel has killed a process.
    """

    def __init__(self, poll: select.poll, exceeded: Callable[[int], None]) -> None:
        self._poll = poll
        self._exceeded = exceeded
        self._place: tuple[int, str] | None = None
        self._alarms: dict[int, tuple[int, Group]] = {}
        self._alarmed: dict[int, float] = {}
        self._emptied: list[Group] = []
        self._made = 0

    def place(self, version: int, folder: str) -> None:
        """Make groups of this version below this folder from now on."""
        self._place = version, folder

    def group(self, job: int, limit: int) -> Group | None:
        """A group for a job; None: there can be none."""
        if self._place is None:
            return None
        version, folder = self._place
        # The group of an earlier attempt may not be gone yet.
        self._made += 1
        try:
            group = Group(version, folder, f"{os.getpid()}-{job}-{self._made}", limit)
        except OSError:
            return None
        if group.alarm >= 0:
            self._alarms[group.alarm] = job, group
            self._poll.register(group.alarm, select.POLLIN)
        return group

    def enter(self, group: Group, pid: int) -> bool:
        """Put a job that has just been started into its group; whether it has exceeded its limit already.

        Where that fails it runs without a limit.
        """
        try:
            return group.enter(pid)
        except OSError:
            return False

    def alarm(self, fd: int) -> bool:
        """Hear an alarm: the kernel is about to kill, in this group or in one above, where it may be another's.

        Whether the descriptor is one of ours.
        """
        if fd not in self._alarms:
            return False
        try:
            os.eventfd_read(fd)
        except BlockingIOError:
            # The alarm was that of a job which has ended since, and whose number the next one's has now.
            return True
        self._alarmed[fd] = time.monotonic()
        return True

    def tend(self, now: float) -> None:
        """See where the kernel has killed."""
        for fd, since in list(self._alarmed.items()):
            job, group = self._alarms.get(fd, (0, None))
            if group is not None and group.exceeded:
                self._exceeded(job)
            elif group is not None and now < since + HELD_UP:
                continue
            del self._alarmed[fd]

    def next_time(self) -> float | None:
        """When to look again, monotonic seconds; None: there is no need to."""
        if not self._alarmed:
            return None
        now = time.monotonic()
        fresh = now < max(self._alarmed.values()) + ALARMED
        return now + (LOOK_FOR_KILL if fresh else LOOK_LATER)

    def remove(self, group: Group) -> None:
        """Remove the group of a job that has ended, soon if not now."""
        if group.alarm >= 0:
            self._alarms.pop(group.alarm, None)
            self._alarmed.pop(group.alarm, None)
            self._poll.unregister(group.alarm)
        if not group.close():
            self._emptied.append(group)
        elif self._emptied:
            self._empty()

    def close(self) -> None:
        """Remove what is left; what cannot be removed yet the next runner removes."""
        deadline = time.monotonic() + EMPTY_WITHIN
        self._empty()
        while self._emptied and time.monotonic() < deadline:
            time.sleep(LOOK_FOR_END)
            self._empty()

    def _empty(self) -> None:
        self._emptied = [group for group in self._emptied if not group.close()]
