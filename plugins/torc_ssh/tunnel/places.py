"""Where the tunnel process of a workflow leaves its socket, its lock and its log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class TunnelFiles:
    """The files of one tunnel process."""

    socket: Path
    lock: Path
    log: Path


def files(environ: Mapping[str, str], store_id: str, workflow: int) -> TunnelFiles:
    """Those of the process for a workflow; their folders are made, for this user alone."""
    home = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "torc/tunnels"
    runtime = environ.get("XDG_RUNTIME_DIR")
    near = Path(runtime) / "torc" if runtime and os.access(runtime, os.W_OK) else state
    for folder in (state, near):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{store_id[:8]}-{workflow}"
    return TunnelFiles(
        socket=near / f"tunnel-{name}.sock", lock=state / f"{name}.lock", log=state / f"{name}.log"
    )
