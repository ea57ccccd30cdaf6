"""Messages between a runner and its guardian: plain tuples over a stream socket, each with its length in front.

Both ends are the same interpreter on the same machine, so `marshal` is safe, and it is the fastest there is.
Only the standard library is imported here: the guardian has to stay small.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 18
HEAD = 4
RECALLED = "recalled"
"""Stands where an end tells why a job could not be started: it was queued, and was taken back."""
SIGNAL, KILL = 1, 2
"""What an end tells of what was sent to the job before it; 0: nothing was."""


class Closed(Exception):
    """the other end is gone"""


class Channel:
    """One end of the connection, over a non-blocking descriptor."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._in = bytearray()
        self._out = bytearray()

    @property
    def behind(self) -> bool:
        """Whether something still has to be written, once the other end has room."""
        return bool(self._out)

    def put(self, message: Any) -> None:
        """Send a message, or as much of it as goes now.

        Raises
        ------
        Closed
            If the other end is gone.
        """
        body = marshal.dumps(message)
        self._out += len(body).to_bytes(HEAD) + body
        self.flush()

    def flush(self) -> None:
        """Go on writing.

        Raises
        ------
        Closed
            If the other end is gone.
        """
        try:
            while self._out:
                del self._out[: os.write(self.fd, self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Closed from error

    def take(self) -> list[Any]:
        """Every message that has come whole.

        Raises
        ------
        Closed
            If the other end is gone, and all it sent was taken.
        """
        ended = False
        while True:
            try:
                chunk = os.read(self.fd, CHUNK)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            self._in += chunk
            if len(chunk) < CHUNK:
                ended = not chunk
                break
        messages = []
        at = 0
        while len(self._in) - at >= HEAD:
            size = int.from_bytes(self._in[at : at + HEAD])
            if len(self._in) - at - HEAD < size:
                break
            messages.append(marshal.loads(self._in[at + HEAD : at + HEAD + size]))  # noqa: S302  # both ends are ours
            at += HEAD + size
        del self._in[:at]
        if ended and not messages:
            raise Closed
        return messages
