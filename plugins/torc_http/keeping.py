"""Requests that come twice: idempotency keys of POSTs, and DELETEs whose answer was lost (`wire.md` T7, T16)."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torc_core.errors import Conflict, Invalid
from torc_core.model import Kept
from torc_core.protocols import Clock, Store
from torc_core.protocols.store import Embedded
from torc_core.record import record
from torc_http.errors import Refused

KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
REPEATED_WITHIN = 120.0
"""Seconds within which a repeated DELETE gets the first answer again."""

MOST_ANSWERS = 10_000


@record(frozen=True, slots=True, kw_only=True)
class Sent:
    """An answer as it goes out."""

    status: int
    raw: bytes


class Answers:
    """The last answers to some requests, in memory.

    Parameters
    ----------
    within
        Seconds after which an answer is given no more.
    """

    def __init__(self, clock: Clock, within: float) -> None:
        self._clock = clock
        self._within = within
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, ...], tuple[float, Sent]] = OrderedDict()
        self._under_way: Counter[tuple[str, ...]] = Counter()

    @contextmanager
    def begun(self, *what: str) -> Iterator[bool]:
        """Do what is asked for in the block: whether the same was being done already when it began."""
        with self._lock:
            others = self._under_way[what] > 0
            self._under_way[what] += 1
        try:
            yield others
        finally:
            with self._lock:
                self._under_way[what] -= 1
                if not self._under_way[what]:
                    del self._under_way[what]

    def keep(self, *what: str, sent: Sent) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers[what] = (self._clock.monotonic(), sent)
            self._answers.move_to_end(what)
            while len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)

    def again(self, *what: str) -> Sent | None:
        """The answer to the same request, if it is young enough."""
        with self._lock:
            at, sent = self._answers.get(what, (float("-inf"), None))
            return sent if self._clock.monotonic() - at <= self._within else None


def once(
    store: Store,
    principal: str,
    route: str,
    key: str,
    raw: bytes,
    do: Callable[[], Sent],
    secrets: Answers | None = None,
) -> Sent:
    """Do what a POST asks for, or give the answer that its key already has.

    Parameters
    ----------
    secrets
        Where answers are kept that hold a secret, which no database gets (`security.md` O1); None: this one holds none.

    Raises
    ------
    Refused
        400, if the key is none.
    Invalid
        If the key came with another body before.
    Conflict
        If it was done before, and the answer was a secret that only an earlier process knew.
    """
    if not KEY.fullmatch(key):
        raise Refused(400, "Idempotency-Key is 1 to 64 of the characters A-Z a-z 0-9 _ -")
    if not isinstance(store, Embedded):
        return do()
    digest = hashlib.sha256(raw).hexdigest()
    found: list[Kept] = []

    def look() -> None:
        kept = store.kept(principal, route, key)
        if kept is not None:
            found.append(kept)
            raise _Known

    try:
        look()
        # NOTE: what is done before the store is asked for something keeps nobody from writing, so we look again then.
        with store.together(look):
            sent = do()
            told = "" if secrets is not None else sent.raw.decode()
            answer = Kept(
                principal=principal, route=route, key=key, body_hash=digest, status=sent.status, answer=told
            )  # fmt: skip
            store.keep(answer)
            if secrets is not None:
                # NOTE: before others see that it was done. If it is undone after all, nobody finds that there is an answer.
                secrets.keep(principal, route, key, sent=sent)
    except _Known:
        if not found:
            raise
        if found[0].body_hash != digest:
            raise Invalid(f"Idempotency-Key '{key}' came with another body before; make a new one") from None
        return _told(found[0], secrets)
    return sent


class _Known(Exception):
    """There is an answer already."""


def _told(kept: Kept, secrets: Answers | None) -> Sent:
    if secrets is None:
        return Sent(status=kept.status, raw=kept.answer.encode())
    sent = secrets.again(kept.principal, kept.route, kept.key)
    if sent is None:
        raise Conflict(
            f"what Idempotency-Key '{kept.key}' asked for was done, and its secret is told once; make a new key"
        )
    return sent
