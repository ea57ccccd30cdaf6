"""Allocations of a batch system (`Allocations`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class AllocationVerbs(Transacting):
    """Allocations of a batch system (`Allocations`)."""
