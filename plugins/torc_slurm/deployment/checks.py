"""What one check of `torc doctor` has found (`slurm.md` §13.4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from torc_core.model import Json
from torc_core.record import record


class Grade(StrEnum):
    """How it is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@record(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    evidence
        What was seen.
    remedy
        The command to try.
    """

    id: str
    grade: Grade
    message: str
    evidence: str | None = None
    remedy: str | None = None

    def item(self) -> Mapping[str, Json]:
        """As JSON has it."""
        return {
            "id": self.id, "status": self.grade.value, "message": self.message, "evidence": self.evidence,
            "remedy": self.remedy,
        }  # fmt: skip


def ok(id: str, message: str, evidence: str | None = None) -> Check:
    """All is well."""
    return Check(id=id, grade=Grade.OK, message=message, evidence=evidence)


def warn(id: str, message: str, remedy: str | None = None, evidence: str | None = None) -> Check:
    """Something is not as it should be, though it may work."""
    return Check(id=id, grade=Grade.WARN, message=message, evidence=evidence, remedy=remedy)


def fail(id: str, message: str, remedy: str | None = None, evidence: str | None = None) -> Check:
    """It cannot work so."""
    return Check(id=id, grade=Grade.FAIL, message=message, evidence=evidence, remedy=remedy)
