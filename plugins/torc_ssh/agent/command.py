"""`torc _worker-agent`: one request on standard input, one answer on standard output (`remote.md` RW10)."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress

from torc_core import __version__
from torc_core.errors import TorcError
from torc_core.given import Given
from torc_core.session import Session
from torc_ssh.agent.asked import LONGEST, PROTOCOL, Answered, Asked
from torc_ssh.framing import frame


def agent(*, session: Given) -> None:
    """Do what the other side asks for; not for people."""
    # NOTE: who asked may go away at any time; what was begun is ended all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    raw = sys.stdin.buffer.readline(LONGEST)
    marker = ""
    try:
        asked = Asked.read(raw)
        marker = asked.text("marker")
        if asked.number("protocol") != PROTOCOL:
            told: Answered = {"status": "protocol"}
        elif asked.text("action") == "logs":
            from torc_ssh.agent.packing import pack

            with suppress(BrokenPipeError):
                pack(asked, _Out(marker))
            return
        else:
            told = answered(asked, session)
    except TorcError as error:
        told = {"status": "error", "message": str(error), "exit_code": error.exit_code}
    with suppress(BrokenPipeError):
        _Out(marker).line(told)


def answered(asked: Asked, session: Session) -> Answered:
    """Do one thing."""
    # PERF: each loads only what it needs; with all of it, an answer took a third longer.
    match asked.text("action"):
        case "check":
            from torc_ssh.agent.checking import check

            return check(asked, session)
        case "start":
            from torc_ssh.agent.starting import start

            return start(asked, session.umask)
        case "status":
            from torc_ssh.agent.looking import status

            return status(asked)
        case "stop":
            from torc_ssh.agent.stopping import stop

            return stop(asked)
        case "delete":
            from torc_ssh.agent.deleting import delete

            return delete(asked)
        case "clear":
            from torc_ssh.agent.deleting import clear

            return clear(asked)
    return {"status": "unknown_action"}


class _Out:
    """Standard output, which begins with the marker."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    def line(self, told: Answered) -> None:
        """Write an object on a line of its own, with who says it."""
        about: Answered = {"protocol": PROTOCOL, "version": __version__, "host": os.uname().nodename}
        self.write(frame(self._marker) + json.dumps(about | told).encode("ascii") + b"\n")

    def write(self, data: bytes) -> None:
        """Write bytes, all of them."""
        left = memoryview(data)
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]
