"""The launcher: runners as detached processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from torc_core.errors import UsageError
from torc_core.protocols import AllocationState, LaunchRequest
from torc_local import trees


class Local:
    """Starts runners that outlive us; an id is `pid.start`, so that a number used again is never mistaken."""

    def __init__(self) -> None:
        self._children: set[int] = set()

    def submit(self, request: LaunchRequest) -> Sequence[str]:
        """Start `request.nodes` processes in sessions of their own, with nothing on their standard streams.

        Raises
        ------
        UsageError
            If the command cannot be started.
        """
        ids = []
        for _ in range(request.nodes):
            try:
                pid = os.posix_spawnp(
                    request.command[0],
                    list(request.command),
                    os.environ,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                    ],
                    setsid=True,
                )
            except OSError as error:
                raise UsageError(
                    f"cannot start {request.command[0]!r}: {os.strerror(error.errno or 0)}"
                ) from error
            self._children.add(pid)
            process = trees.process_of(pid)
            ids.append(f"{pid}.{process.start if process else 0}")
        return ids

    def status(self, ids: Sequence[str]) -> Mapping[str, AllocationState]:
        """Where they are; a process is never queued."""
        self._reap()
        return {one: AllocationState.RUNNING if _pid(one) else AllocationState.ENDED for one in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        """Ask them to end with SIGTERM: a runner then ends its jobs and reports them."""
        self._reap()
        for one in ids:
            if pid := _pid(one):
                os.kill(pid, 15)

    def _reap(self) -> None:
        """Take note of those of our own children that have ended."""
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._children.remove(pid)


def _pid(allocation: str) -> int | None:
    """The process with this id, if it lives."""
    pid, _, start = allocation.partition(".")
    process = trees.process_of(int(pid)) if pid.isdigit() else None
    return process.pid if process and str(process.start) == start else None
