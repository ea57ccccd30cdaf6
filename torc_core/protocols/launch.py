"""Starting runners somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from torc_core.record import record


class AllocationState(StrEnum):
    """Where something that a launcher submitted is."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@record(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """Run `command` on `nodes` machines; the command is a torc runner, never a job."""

    command: Sequence[str]
    nodes: int = 1
    name: str = "torc"


class Launcher(Protocol):
    """Starts runners somewhere: here, under a batch system, on other hosts."""

    def submit(self, request: LaunchRequest) -> Sequence[str]:
        """Start it; the ids by which to ask for it."""
        ...

    def status(self, ids: Sequence[str]) -> Mapping[str, AllocationState]:
        """Where they are; an unknown id has ended."""
        ...

    def cancel(self, ids: Sequence[str]) -> None:
        """End them; an unknown id is ignored."""
        ...
