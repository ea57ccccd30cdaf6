"""`torc-server status`: whether a database is served, by whom and where."""

from __future__ import annotations

from pathlib import Path

from torc_core.given import Given
from torc_core.model import Json
from torc_core.record import record
from torc_core.session import Session
from torc_http.program.opening import path_of
from torc_http.program.owner import Owner, owner_of
from torc_terminal.output import json_text


@record(frozen=True, slots=True, kw_only=True)
class Standing:
    """The answer: exit code 0 when somebody serves it, else 1."""

    database: Path
    owner: Owner | None

    @property
    def exit_code(self) -> int:
        """0 when it is served."""
        return int(self.owner is None)

    def render(self, session: Session) -> None:
        """Print it in the session's format."""
        owner = self.owner
        if session.format == "json":
            told: dict[str, Json] = {
                "schema": "torc.server.status/1", "database": str(self.database), "served": owner is not None,
            }  # fmt: skip
            for name in ("pid", "host", "url", "socket", "version", "started_at"):
                told[name] = None if owner is None else getattr(owner, name)
            json_text.write(told)
        elif owner is None:
            print(f"nobody serves '{self.database}'")
        else:
            print(
                f"'{self.database}' is served by process {owner.pid} on {owner.host} (torc {owner.version}, since"
                f" {owner.started_at}) at {owner.url or owner.socket}"
            )


def status(*, database: str | None = None, session: Given) -> Standing:
    """Tell whether a database is served, by whom and where.

    Parameters
    ----------
    database
        The database; normally that of the configuration.
    """
    path = path_of(session, database)
    return Standing(database=path, owner=owner_of(path))
