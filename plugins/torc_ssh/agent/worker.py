"""The process of a worker: it has the lock and a pid file, and is then `torc run` (`remote.md` RW11-RW14).

Started by the agent, never by people; on its command line are the address, the workflow and the worker's name.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torc_ssh.agent import places
from torc_ssh.agent.processes import MARK, boot_id, process_start

DELIVERED = (0, 1, 2, 3, 5, 6, 7, 70)
"""Exit codes after which no result waits for the key; after others one may."""


def main() -> int:
    """Read what to do from standard input, and do it; the exit code of the runner."""
    told = json.loads(sys.stdin.buffer.readline())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # NOTE: jobs must not have the lock; a worker that is killed lets go of it at once.
    os.set_inheritable(told["lock"], False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    path, pid = Path(told["pid_file"]), os.getpid()
    os.umask(0o077)
    about = {
        "pid": pid, "process_start": process_start(pid), "boot_id": boot_id(), "marker": os.environ[MARK],
        "node_id": None, "epoch": None, "started_at": time.time(), **told["note"],
    }  # fmt: skip
    places.write_note(path, about)
    # Jobs get the user's own mask; files of torc are made with explicit modes.
    os.umask(told["umask"])

    from torc_core.main import main as torc

    code = torc(told["words"])
    note = told["note"]
    if note["key"] and (code in DELIVERED or not spooled(note)):
        Path(note["key"]).unlink(missing_ok=True)
    places.ended(path, code)
    return code


def spooled(note: Mapping[str, Any]) -> bool:
    """Whether a result of the workflow waits for its delivery."""
    from torc_core.runner.outbox import FOLDER, second_folder

    begins = f"{note['store_id']}.{note['workflow']}."
    folders = (Path(note["output_dir"], FOLDER), Path(second_folder()))
    return any(one.name.startswith(begins) for folder in folders for one in folder.glob("*.json"))


if __name__ == "__main__":
    sys.exit(main())
