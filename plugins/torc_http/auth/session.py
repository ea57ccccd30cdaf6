"""The client's half of the session protocol: signs requests, and believes only answers that prove the key (S6-S8)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from itertools import count
from time import sleep
from typing import Any

from torc_core.errors import Unavailable
from torc_core.protocols import Clock
from torc_core.record import record
from torc_http.auth.encoding import Field, as_bytes, as_text, digest, mac, same
from torc_http.auth.keyfile import KeyFile

NONCE_BYTES = 32

STREAM = "stream"
"""Stands for the body of an event stream."""

PAUSE = 5.0
"""Seconds between two sessions, so that a server that forgets them is not asked all the time (S7)."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Answers to the opening of a session that say nothing about who gave them: it is tried again, as with no server."""

FORGOTTEN = 401
"""The only status of which no proof is expected: a server that was started anew knows no session."""

HEADER = "Torc-Proof"

Post = Callable[[dict[str, str]], tuple[int, Any]]
"""Sends an object to `/x/auth/session`, unsigned; the status and the object that came back."""


class Unproven(Unavailable):
    """the server does not hold your key; it may belong to somebody else"""

    exit_code = 6
    code = "unproven"


@record(frozen=True, slots=True, kw_only=True)
class Seal:
    """A signed request: its header, and what is needed to judge the answer."""

    authorization: str
    number: int
    session_key: bytes
    session_id: str


@record(frozen=True, slots=True, kw_only=True)
class _Open:
    session_id: str
    key: bytes


def handshake(server_id: str, session_id: str, client_nonce: bytes, server_nonce: bytes) -> tuple[Field, ...]:
    """What both sides sign, and make the session's key of."""
    return server_id, session_id, client_nonce, server_nonce


class ClientSession:
    """Signs for one server; any number of threads.

    Parameters
    ----------
    keys
        Those that are said to be the server's; the one whose proof holds is kept.
    place
        Host and port, for the sentence that it is somebody else.
    wait
        Lets so many seconds pass.
    """

    def __init__(
        self,
        keys: Sequence[KeyFile],
        place: str,
        post: Post,
        clock: Clock,
        wait: Callable[[float], object] = sleep,
    ) -> None:
        self._keys = list(keys)
        self._place = place
        self._post = post
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._open: _Open | None = None
        self._next = count(1)
        self._opened_at: float | None = None

    def sign(self, method: str, target: str, body: bytes = b"") -> Seal:
        """Sign a request; `target` is path and query exactly as they are sent.

        Raises
        ------
        Unproven
            If the server does not hold the key; nothing has been sent to it that it could use.
        Unavailable
            If it is too busy for a new session.
        """
        with self._lock:
            session = self._open or self._begin()
            number = next(self._next)
        signed = mac(session.key, "q", number, method, target, digest(body))
        return Seal(
            authorization=f"Torc s={session.session_id}, n={number}, m={as_text(signed)}",
            number=number,
            session_key=session.key,
            session_id=session.session_id,
        )

    def check(self, seal: Seal, status: int, proof: str | None, body: bytes | None) -> None:
        """Believe an answer, or not; `body` as it came over the wire, None for an event stream.

        Raises
        ------
        Unproven
            If nobody who holds the key gave it: it is no answer.
        """
        told = as_bytes(proof or "")
        of_body: Field = STREAM if body is None else digest(body)
        if told is None or not same(told, mac(seal.session_key, "a", seal.number, status, of_body)):
            if status != FORGOTTEN:
                self.forget(seal)
            raise Unproven(self._sentence())

    def forget(self, seal: Seal) -> None:
        """Sign no more as this request was: the server knows no such session, or somebody else may listen there now.

        NOTE: that it knows none comes without a proof. Whoever said so has to prove the key at the next `sign`.
        """
        with self._lock:
            if self._open is not None and self._open.session_id == seal.session_id:
                self._open = None

    def _begin(self) -> _Open:
        if self._opened_at is not None:
            early = PAUSE - (self._clock.monotonic() - self._opened_at)
            if early > 0:
                self._wait(early)
        refused = None
        for key in self._keys:
            nonce = os.urandom(NONCE_BYTES)
            status, told = self._post({"key_id": key.key_id, "client_nonce": as_text(nonce)})
            if status in BUSY:
                raise Unavailable(
                    f"the server at {self._place} is too busy to let anybody in (status {status})"
                )
            session = _proven(key, nonce, told) if status == 200 else None
            if session is not None:
                self._keys = [key]
                self._open = session
                self._next = count(1)
                self._opened_at = self._clock.monotonic()
                return session
            refused = status
        hint = "start it again, or ask for a token" if refused == 401 else None
        raise Unproven(self._sentence(), hint=hint)

    def _sentence(self) -> str:
        return f"the server at {self._place} does not hold your key; it may belong to somebody else"


def _proven(key: KeyFile, nonce: bytes, told: Any) -> _Open | None:
    """The session, if who made it holds the key."""
    if not isinstance(told, dict):
        return None
    texts = [
        one
        for name in ("session_id", "server_nonce", "server_proof")
        if isinstance(one := told.get(name), str)
    ]
    if len(texts) != 3:
        return None
    session_id, server_nonce, proof = texts[0], as_bytes(texts[1]), as_bytes(texts[2])
    if server_nonce is None or proof is None or len(server_nonce) < NONCE_BYTES:
        return None
    about = handshake(key.server_id, session_id, nonce, server_nonce)
    if not same(proof, mac(key.key, "torc-s1", *about)):
        return None
    return _Open(session_id=session_id, key=mac(key.key, "torc-k1", *about))
