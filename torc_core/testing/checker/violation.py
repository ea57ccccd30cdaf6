"""What a check finds."""

from __future__ import annotations

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold, with the sentence that says where.

    Parameters
    ----------
    rule
        `I1` to `I8`.
    """

    rule: str
    what: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.rule}: {self.what}"
