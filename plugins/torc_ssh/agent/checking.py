"""What this host is and has, and what it reaches (`torc remote check`)."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import sys

from torc_core import __version__
from torc_core.session import Session
from torc_ssh.agent import places, reaching
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.processes import boot_id
from torc_ssh.agent.starting import ends_with_session


def check(asked: Asked, session: Session) -> Answered:
    """Look around; nothing is changed."""
    url = asked.maybe_text("url")
    told: Answered = {
        "status": "checked",
        "hostname": os.uname().nodename,
        "user": getpass.getuser(),
        "boot_id": boot_id(),
        "version": __version__,
        "torc": os.path.abspath(sys.argv[0]),
        "python": platform.python_version(),
        "clock_ms": session.clock.now(),
        "reach": reaching.reach(url) if url else None,
        "warning": ends_with_session(),
    }
    if asked.flag("short"):
        return told
    found = session.host.detect_resources()
    if found is not None:
        told |= {
            "num_cpus": found.capacity.cpus, "memory_bytes": found.capacity.memory, "num_gpus": found.capacity.gpus,
        }  # fmt: skip
    folder = places.output_dir(asked.text("output_dir"))
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), places.home())
    told |= {"output_dir": str(folder), "disk_free_bytes": shutil.disk_usage(there).free}
    return told
