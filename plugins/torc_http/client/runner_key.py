"""What a runner on another host shows to the server: a key of its workflow, or else a capability (`security.md` S9, O2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.errors import TorcError
from torc_core.model import Workflow, WorkflowId
from torc_http.auth import keyfile
from torc_http.auth.capability import LONGEST_DAYS

if TYPE_CHECKING:
    from torc_http.client.store import HttpStore


def runner_key(store: HttpStore, workflow: WorkflowId, folder: Path | None) -> str:
    """The text of its file.

    Whoever has the key of the server derives one from it, by which the server proves itself as well. Others, who know
    a password or run the server themselves, are given a capability by the server.

    Raises
    ------
    Forbidden, Refused
        If who asks may not give one away.
    """
    key = None if folder is None else _of(folder, store.server_id)
    if key is not None:
        generation = store.call("get", Workflow, workflow).capability_generation
        return keyfile.content(keyfile.for_workflow(key, workflow, generation))
    wish = {"access_class": "run", "expires_s": LONGEST_DAYS * 86_400}
    told = store.ask("POST", f"/x/workflows/{workflow}/capabilities", json.dumps(wish).encode())
    return str(json.loads(told.body)["token"])


def _of(folder: Path, server_id: str) -> keyfile.KeyFile | None:
    """The key of a server, if this home has it."""
    try:
        found = keyfile.read(folder / f"{server_id}.json")
    except TorcError:
        return None
    return found if found.server_id == server_id else None
