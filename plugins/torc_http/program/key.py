"""`torc-server key`: the key by which the server and its user's programs know each other (`security.md` S10)."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import Unavailable
from torc_core.given import Given
from torc_core.model import AuditEntry
from torc_http.auth import keyfile
from torc_http.program.opening import path_of, store_of

app = App(name="key", help="The key of a server.")


@app.command
def rotate(
    *,
    now: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    database: str | None = None,
    session: Given,
) -> str:
    """Make a new key; the old one is good for 24 hours more.

    Parameters
    ----------
    now
        The old key ends at once: runners on hosts that do not see the new one lose the server.
    database
        The database; normally that of the configuration.
    """
    path = path_of(session, database)
    if not os.path.exists(path):
        raise Unavailable(f"there is no database '{path}'")
    with closing(store_of(session, database)) as store:
        folder, server = keyfile.servers(session.config.environ), store.server_id
        # NOTE: written down first: the old key may be what this command is known by.
        store.add(
            [
                AuditEntry(
                    operation="key_rotated", principal=session.user(), established="command", peer="local"
                )
            ]
        )
    new = keyfile.rotated(folder, server, session.clock.now(), at_once=now)
    when = "has ended" if now else "is good for 24 hours more"
    return f"new key {new.key_id} in '{folder / f'{new.server_id}.json'}'; the old one {when}"
