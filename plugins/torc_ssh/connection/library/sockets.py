"""The way to the first host: a TCP connection within a time, or the user's own proxy command."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import Any

from torc_ssh.config import Options

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def connected(options: Options, deadline: float) -> socket.socket:
    """A TCP connection to the first of the host's addresses that takes one.

    Parameters
    ----------
    deadline
        Of `time.monotonic`; addresses share what is left, so that one that is silent does not use it all up.

    Raises
    ------
    OSError
        Of the last address; `TimeoutError` also when names are not resolved in time.
    """
    found = _addresses(options, deadline)
    trouble: OSError = TimeoutError()
    for number, (family, kind, protocol, _, address) in enumerate(found):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        one = socket.socket(family, kind, protocol)
        try:
            one.settimeout(left / (len(found) - number))
            if options.bind_address:
                one.bind((options.bind_address, 0))
            one.connect(address)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            one.close()
            trouble = error
        else:
            return one
    raise trouble


def _addresses(options: Options, deadline: float) -> list[Any]:
    """Look the name up in a thread of its own: a resolver knows no time limit of ours."""
    result: list[Any] = []

    def resolve() -> None:
        try:
            result.append(
                socket.getaddrinfo(
                    options.hostname, options.port, _FAMILIES[options.address_family], socket.SOCK_STREAM
                )
            )
        except (OSError, UnicodeError) as error:
            result.append(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    thread = threading.Thread(target=resolve, name="torc-resolve", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not result:
        raise TimeoutError
    if isinstance(result[0], OSError):
        raise result[0]
    addresses: list[Any] = result[0]
    return addresses


class Proxy:
    """What a `ProxyCommand` carries; the command ends with it."""

    _closed = False
    """Asked for by paramiko."""

    def __init__(self, command: str) -> None:
        self._ours, theirs = socket.socketpair()
        try:
            # NOTE: the command is the user's own and made for a shell; OpenSSH runs it the same way.
            self._process = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._ours.close()
            raise
        finally:
            theirs.close()

    def recv(self, count: int) -> bytes:
        """Receive."""
        return self._ours.recv(count)

    def send(self, data: bytes) -> int:
        """Send."""
        return self._ours.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """How long both may take."""
        self._ours.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """How long both may take."""
        return self._ours.gettimeout()

    def close(self) -> None:
        """End the command."""
        self._closed = True
        self._ours.close()
        if self._process.poll() is None:
            self._process.terminate()
        # It is not waited for here: it may ignore the signal, and whoever closes has no time.
        threading.Thread(target=self._process.wait, name="torc-proxy", daemon=True).start()
