"""What the words mean by which Slurm tells how an allocation or a step is (`slurm.md` §14)."""

from __future__ import annotations

from enum import StrEnum


class Standing(StrEnum):
    """What torc makes of a state of Slurm."""

    QUEUED = "queued"
    ALIVE = "alive"
    GOOD = "good"
    BAD = "bad"

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more, nor will."""
        return self in (Standing.GOOD, Standing.BAD)


QUEUED = frozenset({
    "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "CONFIGURING", "POWER_UP_NODE",
})  # fmt: skip
BAD = frozenset({
    "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL", "LAUNCH_FAILED",
    "RECONFIG_FAIL", "REVOKED", "PREEMPTED",
})  # fmt: skip

SHORT = {
    "PD": "PENDING", "R": "RUNNING", "CG": "COMPLETING", "CD": "COMPLETED", "CF": "CONFIGURING", "CA": "CANCELLED",
    "F": "FAILED", "TO": "TIMEOUT", "NF": "NODE_FAIL", "OOM": "OUT_OF_MEMORY", "DL": "DEADLINE", "BF": "BOOT_FAIL",
    "PR": "PREEMPTED", "S": "SUSPENDED", "ST": "STOPPED", "RQ": "REQUEUED", "RV": "REVOKED", "SE": "SPECIAL_EXIT",
}  # fmt: skip
"""Compact forms; no query of ours asks for them, but a site's wrapper may answer so."""


def word(text: str) -> str:
    """The state alone, in upper case: `CANCELLED by 1234` is `CANCELLED`, `RUNNING+` is `RUNNING`."""
    first = text.strip().partition(" ")[0].rstrip("+").upper()
    return SHORT.get(first, first)


def standing(text: str) -> Standing:
    """What a state means; a word that nobody knows means that it lives."""
    state = word(text)
    if state in QUEUED:
        return Standing.QUEUED
    if state == "COMPLETED":
        return Standing.GOOD
    return Standing.BAD if state in BAD else Standing.ALIVE
