"""Allocations of a batch system (`Allocations`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class AllocationVerbs(Holding):
    """Allocations of a batch system (`Allocations`)."""
