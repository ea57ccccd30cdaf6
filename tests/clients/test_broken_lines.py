"""An answer that is lost after the commit is got again by the client's own repetition (`wire.md` T7)."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

HERE = Path(__file__).parent


class Breaking:
    """Forwards each request; the first answer to each request line is thrown away and the connection cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, socket.create_connection(self._target) as server:
            while True:
                request = _message(connection)
                if not request:
                    return
                line = request.split(b"\r\n", 1)[0].decode()
                server.sendall(request)
                answer = _message(server)
                if line not in self.cut:
                    self.cut.append(line)
                    return
                connection.sendall(answer)


def _message(sender: socket.socket) -> bytes:
    """A request or an answer with its body."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = sender.recv(65_536)
        if not piece:
            return b""
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    while len(body) < int(lengths[0] if lengths else 0):
        piece = sender.recv(65_536)
        found, body = found + piece, body + piece
    return found


@pytest.fixture
def breaking(url: str) -> Iterator[Breaking]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Breaking(parts.hostname, parts.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("store", ["sqlite"])
def test_every_put_and_delete_survives_a_lost_answer(python: Path, url: str, breaking: Breaking) -> None:
    broken = f"http://127.0.0.1:{breaking.port}/torc-service/v1"
    command = [python, HERE / "resending.py", url, broken]

    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)

    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "updated": "g", "started": "running", "moved": "running", "deleted": True, "removed": True, "canceled": True,
        "gone": True, "left": 0,
    }  # fmt: skip
    assert len(breaking.cut) == 7
