"""Programs that other users run: `python others.py ROLE UID ARGUMENTS`; what they do is told as one line of JSON.

An interpreter may lie where other users cannot read it, so that everything is imported before the user changes.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

FOREVER = 3600


def become(uid: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    os.umask(0o077)


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def wait() -> None:
    """Until whoever started us closes our standard input."""
    sys.stdin.read()


def serve(uid: int, home: str, port: str, mode: str = "auto", extra: str = "{}") -> None:
    """Serve a database in a home, as its user."""
    started(Path(home) / "warm", 0, "auto", {}, ask=True).close()
    become(uid)
    os.environ["HOME"] = home
    running = started(Path(home), int(port), mode, json.loads(extra))
    tell(port=running.doors.port, key_file=str(running.key_file), mode=running.security.settings.mode)
    wait()
    running.close(1)


def started(home: Path, port: int, mode: str, extra: dict[str, Any], *, ask: bool = False) -> Any:
    from torc_core.config.credentials import Credentials
    from torc_core.config.server import ServerKeys
    from torc_core.model import Query, Workflow
    from torc_core.system import SystemClock
    from torc_http import open_store
    from torc_http.auth.settings import settled
    from torc_http.client.settings import HttpStoreSettings
    from torc_http.running import Running
    from torc_http.serving.identity import is_real_root
    from torc_http.serving.listening import listen
    from torc_sqlite import open_sqlite
    from torc_sqlite.settings import SqliteSettings

    clock = SystemClock()
    home.mkdir(mode=0o700, exist_ok=True)
    store = open_sqlite(f"sqlite://{home}/torc.db", SqliteSettings(), clock)
    doors = listen(port=port, unix=False)
    url = f"http://127.0.0.1:{doors.port}/torc-service/v1"
    keys = ServerKeys(auth=mode, **extra)
    real_root = (lambda: False) if ask else is_real_root
    auth = settled(keys, owner="alice", host="kl3", real_root=real_root, auth_is_default=mode == "auto")
    running = Running(store, clock, doors, auth=auth, environ={"HOME": str(home)}, urls=[url], eager=True)
    running.start()
    if ask:
        credentials = Credentials(username="alice", key_folder=home / ".config/torc/servers")
        remote = open_store(url, HttpStoreSettings(), clock, credentials)
        assert remote.server_id == store.server_id
        remote.find(Workflow, Query())
        remote.close()
    return running


def ask(uid: int, port: str, method: str, path: str, headers: str = "{}", body: str = "") -> None:
    """Send one request."""
    "localhost".encode("idna")
    become(uid)
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    connection.request(method, path, body or None, json.loads(headers))
    answer = connection.getresponse()
    tell(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=answer.read().decode(),
    )


def call(uid: int, home: str, port: str) -> None:
    """Call a store with the keys of a home, each time a line comes in."""
    from torc_core.config.credentials import Credentials
    from torc_core.errors import TorcError
    from torc_core.system import SystemClock
    from torc_http import open_store
    from torc_http.client.settings import HttpStoreSettings

    started(Path(home) / "warm-client", 0, "auto", {}, ask=True).close()
    become(uid)
    credentials = Credentials(
        username="alice", password="swordfish", key_folder=Path(home) / ".config/torc/servers"
    )
    url = f"http://127.0.0.1:{port}/torc-service/v1"
    store: Any = open_store(url, HttpStoreSettings(), SystemClock(), credentials)
    tell(ready=True)
    for _ in sys.stdin:
        try:
            tell(answer=store.call("server_id"))
        except TorcError as error:
            tell(error=str(error), kind=type(error).__name__, exit_code=error.exit_code)


def squat(uid: int, port: str, answer: str) -> None:
    """Answer everything on a port, and tell at the end what came in."""
    "localhost".encode("idna")
    become(uid)
    listener = socket.create_server(("127.0.0.1", int(port)))
    heard: list[bytes] = []

    def serve_one(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                heard.append(data)
                body = answer.encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nTorc-Proof: x\r\n\r\n"
                connection.sendall(head.encode() + body)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    tell(ready=True)
    wait()
    tell(heard=base64.b64encode(b"".join(heard)).decode())


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    role, user, *words = sys.argv[1:]
    {"serve": serve, "ask": ask, "call": call, "squat": squat}[role](int(user), *words)
