"""Checks names and passwords: slowly for whoever guesses, at once for whoever was right a moment ago (H3, H4)."""

from __future__ import annotations

import hmac
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from torc_core.errors import Invalid, TorcError
from torc_core.protocols import Clock
from torc_http.auth.encoding import packed
from torc_http.auth.passwords import LONGEST, PasswordFile, hashed, load, matches

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Checks that run at the same time: each takes a core for a third of a second."""

PATIENCE = 2.0
"""Seconds that a check waits for its turn."""

REMEMBERED = 1_000
LOOK = 5.0
"""Seconds between two looks whether the file has changed."""


class Busy(Exception):
    """too many passwords are being checked"""


class Verifier:
    """The users of a password file.

    Parameters
    ----------
    remember
        Seconds that a right password is remembered; 0: not at all.
    reloaded
        Called when the file was read again by itself: what there is to say, and how it went.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        remember: float = 60,
        shared: bool = False,
        reloaded: Callable[[str, str], None] = lambda detail, outcome: None,
    ) -> None:
        self._reloaded = reloaded
        self._path = path
        self._clock = clock
        self._remember = remember
        self._shared = shared
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._secret = os.urandom(32)
        self._cache: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._users = self._load()
        self._looked = clock.monotonic()

    def verify(self, user: str, password: str) -> bool:
        """Whether this is the password of that user; nobody learns from it whether there is such a user.

        Raises
        ------
        Busy
            If it did not get its turn in time.
        """
        self._look()
        if not password or len(password.encode("utf-8", "surrogateescape")) > LONGEST:
            return False
        token = hmac.digest(self._secret, packed(user, password), "sha256")
        if self._knows(token):
            return True
        if not self._room.acquire(timeout=PATIENCE):
            raise Busy
        try:
            users, stranger = self._users, self._stranger
            found = users.checkable(user)
            right = matches(password, found or stranger) and found is not None
        finally:
            self._room.release()
        with self._lock:
            if right and self._remember > 0 and users is self._users:
                self._cache[token] = (user, self._clock.monotonic() + self._remember)
                while len(self._cache) > REMEMBERED:
                    self._cache.popitem(last=False)
        return right

    def known(self, user: str, password: str) -> bool:
        """Whether this pair was right a moment ago: it is never slowed (R1)."""
        return self._knows(hmac.digest(self._secret, packed(user, password), "sha256"))

    def reload(self) -> int:
        """Read the file again, all of it or nothing; how many users it has.

        Raises
        ------
        Invalid, NotFound, Forbidden
            The old users stay.
        """
        with self._reading:
            users = self._load()
            with self._lock:
                self._users = users
                self._cache.clear()
        return len(users.hashes)

    def _load(self) -> PasswordFile:
        mark = self._mark()
        users = load(self._path, shared=self._shared)
        for warning in users.warnings:
            log.warning("password file warning=%s", warning)
        # PERF: made here once, so that the first stranger costs what all cost.
        self._stranger = hashed(os.urandom(16).hex(), users.usual_cost).encode("ascii")
        self._seen = mark
        return users

    def _mark(self) -> tuple[int, int, int]:
        try:
            about = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return about.st_mtime_ns, about.st_size, about.st_ino

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        mark = self._mark()
        if mark == self._seen:
            return
        try:
            users = self.reload()
            log.info("password file changed users=%d", users)
            self._reloaded(f"the file has changed; {users} users", "ok")
        except (TorcError, Invalid) as error:
            self._reloaded(f"the file has changed and cannot be read: {error}", "refused")
            self._seen = mark
            with self._lock:
                self._cache.clear()
            log.error("password file not read error=%s; the users it had before stay", error)  # noqa: TRY400 - a sentence

    def _knows(self, token: bytes) -> bool:
        if self._remember <= 0:
            return False
        now = self._clock.monotonic()
        with self._lock:
            found = self._cache.get(token)
            if found is None:
                return False
            if found[1] <= now:
                del self._cache[token]
                return False
            return True
