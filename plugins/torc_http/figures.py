"""Whether a server tells figures, and to whom (`cli.md` §7.2)."""

from __future__ import annotations

from pathlib import Path

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Figures:
    """Whether there are figures, and which token they ask for besides the credentials of admins.

    Parameters
    ----------
    database
        The file of the database, whose size is told.
    """

    enabled: bool = True
    token_file: str | None = None
    database: Path | None = None

    @property
    def token(self) -> str | None:
        """The token, read anew each time, so that it can be changed."""
        if self.token_file is None:
            return None
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None
