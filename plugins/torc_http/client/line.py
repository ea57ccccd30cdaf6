"""Connections to one server: kept alive, one for each call under way, mended when they break."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import SplitResult

from torc_core.errors import BadValue, Unavailable, Unreached
from torc_http.auth.session import Unproven
from torc_http.serving.identity import unix_uid

CONNECT = 10.0
"""Seconds to connect (`runner.md` §9.1)."""

LONGEST_LINE = 64 * 1024**2
"""Bytes of a line of a stream: an event with the largest data that a server takes."""


class Answer(NamedTuple):
    """What the server said; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Place(NamedTuple):
    """Where a server is.

    Parameters
    ----------
    socket
        Path of its Unix socket; None: host and port count.
    prefix
        What stands before every path: the base path, and a capability in front of it.
    name
        The address as people know it.
    pin
        SHA-256 of the one certificate that is taken (`security.md` S11); None: `tls` decides.
    """

    host: str
    port: int
    socket: str | None
    tls: ssl.SSLContext | None
    prefix: str
    name: str
    pin: str | None = None


def place_of(url: SplitResult, prefix: str, tls: ssl.SSLContext | None, pin: str | None = None) -> Place:
    """The place that a URL names.

    Raises
    ------
    BadValue
        If it names none.
    """
    name = url.geturl()
    if url.scheme == "unix":
        return Place("localhost", 0, url.path, None, prefix, name)
    try:
        port = url.port
    except ValueError as error:
        raise BadValue(f"the address '{name}' has no valid port: {_words(error).lower()}") from error
    if not url.hostname:
        raise BadValue(f"the address '{name}' has no host; write http://HOST:PORT/torc-service/v1")
    return Place(url.hostname, port or (443 if tls else 80), None, tls, prefix, name, pin)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        if unix_uid(self.sock) != os.geteuid():
            # NOTE: over a Unix socket this is the proof of the server (`security.md` S8); nothing has been sent yet.
            raise PermissionError(errno.EACCES, "the process that listens there belongs to another user")


class Line:
    """Any number of threads may ask at the same time."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._closed = False

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send a request that may be sent twice, and wait for its answer.

        A connection that broke is replaced once: a server closes those that were idle too long.

        Parameters
        ----------
        timeout
            Seconds that the server may be silent.

        Raises
        ------
        Unreached
            If there is no server: nothing was done.
        Unavailable
            If it did not answer: nobody knows what was done.
        """
        for last in (False, True):
            connection, fresh = self._connection()
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                connection.request(method, self.place.prefix + path, body, dict(headers))
                found = connection.getresponse()
                told = {name.lower(): value for name, value in found.getheaders()}
                answer = Answer(found.status, told, found.read())
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                silent = isinstance(error, TimeoutError)
                if last or fresh or silent:
                    why = f"no answer within {timeout:.0f} s" if silent else _words(error)
                    raise Unavailable(f"the server at {self.place.name} does not answer: {why}") from error
                # NOTE: a server that has closed one has closed the others as well, when it was started anew.
                self._hang_up()
                continue
            except BaseException:
                connection.close()  # interrupted: to whom the next answer on it belongs, nobody knows
                raise
            if found.will_close or self._closed:
                connection.close()
            else:
                with self._lock:
                    self._idle.append(connection)
            return answer
        raise AssertionError("unreachable: the second attempt returns or raises")

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], timeout: float
    ) -> Iterator[tuple[Answer, Callable[[float], bytes]]]:
        """Ask for something without an end, on a connection of its own.

        Yields
        ------
        tuple[Answer, Callable[[float], bytes]]
            The head of the answer, with its body only where it is an error; and what gives the next line, empty at
            the end, or raises `TimeoutError` after so many seconds of silence.

        Raises
        ------
        Unreached
            If there is no server.
        Unavailable
            If it did not answer.
        """
        connection = self._connected()
        try:
            try:
                connection.sock.settimeout(timeout)
                connection.request("GET", self.place.prefix + path, headers=dict(headers))
                # NOTE: an answer that says that the connection ends takes the socket with it.
                wire = connection.sock
                found = connection.getresponse()
                told = {name.lower(): value for name, value in found.getheaders()}
                body = b"" if found.status == 200 else found.read()
            except (OSError, http.client.HTTPException) as error:
                raise Unavailable(
                    f"the server at {self.place.name} does not answer: {_words(error)}"
                ) from error

            def line(patience: float) -> bytes:
                wire.settimeout(patience)
                try:
                    return found.readline(LONGEST_LINE)
                except TimeoutError:
                    raise
                except (OSError, http.client.HTTPException) as error:
                    raise Unavailable(f"the server at {self.place.name} is gone: {_words(error)}") from error

            yield Answer(found.status, told, body), line
        finally:
            connection.close()

    def reach(self) -> None:
        """Connect; the connection is kept for the first request.

        Raises
        ------
        Unreached
            If there is no server.
        """
        connection, _ = self._connection()
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Close what nobody uses at this moment."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self._connected(), True

    def _connected(self) -> http.client.HTTPConnection:
        place = self.place
        connection: http.client.HTTPConnection
        if place.socket is not None:
            connection = _UnixConnection(place.socket, CONNECT)
        elif place.tls is not None:
            connection = http.client.HTTPSConnection(
                place.host, place.port, timeout=CONNECT, context=place.tls
            )
        else:
            connection = http.client.HTTPConnection(place.host, place.port, timeout=CONNECT)
        try:
            connection.connect()
            if place.socket is None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if place.pin is not None:
                _check_pin(connection.sock, place.pin)
        except Unproven as error:
            connection.close()
            raise Unproven(f"the server at {place.name} is not yours: {error}") from error
        except (OSError, UnicodeError) as error:
            connection.close()
            raise Unreached(
                f"the server at {place.name} cannot be reached: {_words(error)}", hint=_remedy(place, error)
            ) from error
        return connection


def _check_pin(wire: Any, pin: str) -> None:
    """Nothing has been sent yet when this raises."""
    shown = wire.getpeercert(binary_form=True) or b""
    if sha256(shown).hexdigest() != pin:
        raise Unproven("its certificate is not the one that the key file of this server names")


def _remedy(place: Place, error: Exception) -> str | None:
    """What to look at; None: the error says it, or the address was not chosen by the user."""
    if place.socket is not None or _speaks_no_tls(error):
        return None
    return f"see whether the server runs and the address is right: torc --url {place.name} doctor"


def _speaks_no_tls(error: Exception) -> bool:
    return getattr(error, "reason", None) == "WRONG_VERSION_NUMBER"


def _words(error: Exception) -> str:
    if _speaks_no_tls(error):
        return "it does not speak TLS; try the address with http://"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
