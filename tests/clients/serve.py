"""Serves a database until its standard input ends: `python serve.py DATABASE`; the first line it prints is its address."""

from __future__ import annotations

import json
import sys
from typing import Any

from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_http import app
from torc_http.app import Application
from torc_http.call import Open
from torc_http.errors import Refused, failure
from torc_http.running import Running
from torc_http.serving.listening import listen


def opened(path: str, clock: Any) -> Store:
    if path == "memory":
        return MemoryStore(clock)
    from torc_sqlite import open_sqlite
    from torc_sqlite.settings import SqliteSettings

    return open_sqlite(f"sqlite://{path}", SqliteSettings(), clock)


class Failing(Application):
    """The application, and a place below `/fail/<status>/` where every call fails with that status."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        parts = environ["PATH_INFO"].split("/")
        if parts[1] != "fail":
            return super().__call__(environ, start_response)
        error: Exception = Refused(
            int(parts[2]), "it fails", headers={"Allow": "GET"} if parts[2] == "405" else None
        )
        if parts[2] == "500":
            error = ValueError("a bug")
        failed = failure(error, "id")
        environ["wsgi.input"].read()
        headers = [("Content-Type", "application/json"), *failed.headers.items()]
        start_response(f"{failed.status} Failed", headers)
        return [json.dumps(failed.body).encode()]


def main(path: str) -> None:
    app.Application = Failing  # type: ignore[misc]  # for tests only
    Open.reload = lambda self: 3  # type: ignore[method-assign]  # as if there were a password file with three users
    clock = SystemClock()
    store = opened(path, clock)
    running = Running(store, clock, listen(port=0, unix=False))
    running.start()
    print(f"http://127.0.0.1:{running.doors.port}/torc-service/v1", flush=True)
    sys.stdin.read()
    running.close()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1])
