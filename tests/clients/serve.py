"""Serves a database until its standard input ends: `python serve.py DATABASE`; the first line it prints is its address."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_http.call import Open
from torc_http.running import Running
from torc_http.serving.listening import listen


class Reloading(Open):
    """Everybody is the owner, and there is a password file with three users."""

    def reload(self) -> int:
        return 3


def opened(path: str, clock: Any) -> Store:
    if path == "memory":
        return MemoryStore(clock)
    from torc_sqlite import open_sqlite
    from torc_sqlite.settings import SqliteSettings

    return open_sqlite(f"sqlite://{path}", SqliteSettings(), clock)


def main(path: str) -> None:
    clock = SystemClock()
    store = opened(path, clock)
    running = Running(
        store, clock, listen(port=0, unix=False), complete=lambda service: replace(service, gate=Reloading())
    )
    running.start()
    print(f"http://127.0.0.1:{running.doors.port}/torc-service/v1", flush=True)
    sys.stdin.read()
    running.close()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1])
