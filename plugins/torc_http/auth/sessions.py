"""The server's half of the session protocol (`security.md` S6, S7)."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from torc_core.protocols import Clock
from torc_core.record import record
from torc_http.auth.encoding import Field, as_bytes, as_text, digest, mac, same
from torc_http.auth.keyfile import Keys
from torc_http.auth.session import NONCE_BYTES, STREAM, handshake

WINDOW = 4_096
"""Requests that may overtake each other."""

IDLE = 24 * 3_600.0
"""Seconds after which a session nobody used is forgotten."""

UNUSED = 1_000
"""Sessions that may wait for their first request: anybody may ask for one."""

MOST = 20_000

_HEADER = re.compile(
    r"Torc\s+s=([A-Za-z0-9_-]{8,64}),\s*n=([1-9][0-9]{0,14}),\s*m=([A-Za-z0-9_-]{43})", re.ASCII
)


class Window:
    """Which numbers were seen: each is accepted once, those that lag too far behind never."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._mask = (1 << size) - 1
        self._top = 0
        self._seen = 0
        self._lock = threading.Lock()

    def take(self, number: int) -> bool:
        """Whether this is the first time."""
        with self._lock:
            ahead = number - self._top
            if ahead > 0:
                self._seen = ((self._seen << ahead) & self._mask if ahead < self._size else 0) | 1
                self._top = number
                return True
            if -ahead >= self._size or number < 1:
                return False
            bit = 1 << -ahead
            if self._seen & bit:
                return False
            self._seen |= bit
            return True


class _Session:
    __slots__ = ("key", "key_id", "used", "window")

    def __init__(self, key_id: str, key: bytes, used: float) -> None:
        self.key_id = key_id
        self.key = key
        self.used = used
        self.window = Window()


@record(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request whose signature holds; `proof` signs its answer."""

    key_id: str
    number: int
    session_key: bytes

    def proof(self, status: int, body: bytes | None) -> str:
        """The value of `Torc-Proof` for an answer: its body as it is sent, None for an event stream."""
        of_body: Field = STREAM if body is None else digest(body)
        return as_text(mac(self.session_key, "a", self.number, status, of_body))


class Sessions:
    """Sessions in memory: they end with the server, and clients make new ones."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._unused: OrderedDict[str, _Session] = OrderedDict()
        self._used: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, key_id: str, client_nonce: str) -> Mapping[str, str] | None:
        """Open a session for who holds this key; None if there is no such key. Proves that we hold it."""
        nonce = as_bytes(client_nonce)
        secret = self._keys.secret(key_id, self._clock.now())
        if secret is None or nonce is None or not NONCE_BYTES <= len(nonce) <= 2 * NONCE_BYTES:
            return None
        session_id, ours = as_text(os.urandom(18)), os.urandom(NONCE_BYTES)
        about = handshake(self._keys.current.server_id, session_id, nonce, ours)
        session = _Session(key_id, mac(secret, "torc-k1", *about), self._clock.monotonic())
        with self._lock:
            self._unused[session_id] = session
            while len(self._unused) > UNUSED:
                self._unused.popitem(last=False)
        return {
            "session_id": session_id,
            "server_nonce": as_text(ours),
            "server_proof": as_text(mac(secret, "torc-s1", *about)),
        }

    def accept(self, header: str, method: str, target: str, body_digest: Callable[[], bytes]) -> Signed | str:
        """A request that is signed and was not seen before; else why not: `malformed`, `unknown`, `wrong`, `replayed`.

        `body_digest` is asked only for who has a session: nobody else has his body read.
        """
        parts = _HEADER.fullmatch(header)
        if parts is None:
            return "malformed"
        session_id, number, told = parts[1], int(parts[2]), as_bytes(parts[3])
        now = self._clock.monotonic()
        with self._lock:
            session = self._used.get(session_id) or self._unused.get(session_id)
            if session is not None and now - session.used > IDLE:
                self._drop(session_id)
                session = None
        if session is None or self._keys.secret(session.key_id, self._clock.now()) is None:
            return "unknown"
        if told is None or not same(told, mac(session.key, "q", number, method, target, body_digest())):
            return "wrong"
        if not session.window.take(number):
            return "replayed"
        with self._lock:
            session.used = now
            self._unused.pop(session_id, None)
            self._used[session_id] = session
            self._used.move_to_end(session_id)
            while len(self._used) > MOST:
                self._used.popitem(last=False)
        return Signed(key_id=session.key_id, number=number, session_key=session.key)

    def _drop(self, session_id: str) -> None:
        self._used.pop(session_id, None)
        self._unused.pop(session_id, None)
