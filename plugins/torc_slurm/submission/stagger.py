"""How far apart runners start that one submission starts (`slurm.md` §4). Pure."""

from __future__ import annotations

from torc_core.model import Workflow

MOST = 60
"""Seconds."""


def window(runners: int) -> int:
    """Seconds within which so many runners make their first requests."""
    if runners <= 1:
        return 0
    if runners <= 10:
        return runners
    return min(MOST, 10 + (runners - 10) * 50 // 90)


def staggered(workflow: Workflow) -> bool:
    """Whether the runners of a workflow start apart (ST6)."""
    return (workflow.execution_config or {}).get("staggered_start", True) is not False
