"""`torc-server backup`: copy a database, also while it is served."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_http.program.backups import copy, keep_apart, make_room, target_of
from torc_http.program.opening import path_of


def backup(
    destination: str,
    /,
    *,
    database: str | None = None,
    keep: int = 0,
    verify: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    session: Given,
) -> str:
    """Copy a database to another place; a server that uses it goes on, and is not asked.

    torc-server backup /projects/$USER/torc_backup.db

    Parameters
    ----------
    destination
        A file, or a folder in which the copy is named after the present time.
    database
        The database; normally that of the configuration.
    keep
        So many older copies are kept beside it as DEST.1, DEST.2, …
    verify
        Check the copy before it takes the place of the old one.
    """
    if keep < 0:
        raise UsageError(f"--keep '{keep}' is negative")
    path = path_of(session, database)
    target = target_of(Path(destination).expanduser().absolute(), datetime.now(UTC))
    keep_apart(path, target, keep)
    part = target.with_name(f"{target.name}.new")
    copy(path, part, verify=verify)
    make_room(target, keep)
    part.replace(target)
    return f"copied '{path}' to '{target}'"
