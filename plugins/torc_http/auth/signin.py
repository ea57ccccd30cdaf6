"""Signing in from a browser: a code that is good once, then a cookie (`security.md` B6)."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from torc_core.protocols import Clock
from torc_core.store.principal import Principal
from torc_http.auth.encoding import as_text, digest

CODE_LASTS = 60.0
COOKIE_LASTS = 12 * 3_600
MOST = 10_000


class SignIns:
    """Codes and cookies in memory, kept as digests; both belong to the principal that the code was made for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._cookies: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def code(self, principal: Principal) -> str:
        """A code for `/?token=`, good for a minute and once."""
        return self._new(self._codes, principal, CODE_LASTS)

    def cookie(self, code: str) -> str | None:
        """The value of a cookie for a code; None if it is wrong, late or used."""
        with self._lock:
            found = self._codes.pop(digest(_raw(code)), None)
        if found is None or found[1] <= self._clock.monotonic():
            return None
        return self._new(self._cookies, found[0], COOKIE_LASTS)

    def principal(self, cookie: str) -> Principal | None:
        """Who has this cookie."""
        with self._lock:
            found = self._cookies.get(digest(_raw(cookie)))
        return found[0] if found and found[1] > self._clock.monotonic() else None

    def sign_out(self, cookie: str) -> None:
        """The cookie is good no more."""
        with self._lock:
            self._cookies.pop(digest(_raw(cookie)), None)

    def _new(
        self, table: OrderedDict[bytes, tuple[Principal, float]], principal: Principal, lasts: float
    ) -> str:
        secret = as_text(os.urandom(32))
        with self._lock:
            table[digest(_raw(secret))] = (principal, self._clock.monotonic() + lasts)
            while len(table) > MOST:
                table.popitem(last=False)
        return secret


def cookie_name(port: int | str) -> str:
    """Cookies do not know ports, so that their name has to."""
    return f"torc_{port}"


def set_cookie(port: int | str, value: str, *, secure: bool) -> str:
    """The header that gives a browser its cookie."""
    parts = [
        f"{cookie_name(port)}={value}",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        f"Max-Age={COOKIE_LASTS}",
    ]
    return "; ".join((*parts, "Secure") if secure else parts)


def cookie_of(header: str, port: int | str) -> str | None:
    """The value of our cookie in a Cookie header."""
    name = cookie_name(port)
    for part in header.split(";"):
        key, sign, value = part.strip().partition("=")
        if sign and key == name:
            return value
    return None


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
