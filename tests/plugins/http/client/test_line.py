"""Connections that a server has closed meanwhile are replaced, however many there are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.waiting import SOON
from torc_http.client.line import Line, place_of

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every request, when so many have come as it waits for; it may hang up on all who are connected."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.together = threading.Barrier(1)
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hang_up(self) -> None:
        for one in self._connections:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._connections.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while connection.recv(65_536):
                self.together.wait(SOON)
                connection.sendall(ANSWER)
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def test_many_connections_that_were_closed_meanwhile_are_no_harm(server: Server) -> None:
    line = Line(place_of(urlsplit(f"http://127.0.0.1:{server.port}"), "", None))

    def ask(number: int = 0) -> bytes:
        return line.ask("GET", "/", b"", {}, SOON).body

    server.together = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        first = list(pool.map(ask, range(3)))
    server.together = threading.Barrier(1)
    server.hang_up()

    assert first == [b"ok"] * 3
    assert ask() == b"ok"
    line.close()
