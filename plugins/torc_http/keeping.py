"""Requests that come twice: idempotency keys of POSTs, and DELETEs whose answer was lost (`wire.md` T7, T16)."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable

from torc_core.errors import Invalid
from torc_core.model import Kept
from torc_core.protocols import Clock, Store
from torc_core.protocols.store import Embedded
from torc_core.record import record
from torc_http.errors import Refused

KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
REPEATED_WITHIN = 120.0
"""Seconds within which a repeated DELETE gets the first answer again."""

MOST_DELETES = 10_000


@record(frozen=True, slots=True, kw_only=True)
class Sent:
    """An answer as it goes out."""

    status: int
    raw: bytes


class Deletes:
    """Answers to DELETEs of the last two minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[float, Sent]] = OrderedDict()

    def keep(self, principal: str, target: str, sent: Sent) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers[principal, target] = (self._clock.monotonic(), sent)
            self._answers.move_to_end((principal, target))
            while len(self._answers) > MOST_DELETES:
                self._answers.popitem(last=False)

    def again(self, principal: str, target: str) -> Sent | None:
        """The answer to the same DELETE, if it is young enough."""
        with self._lock:
            at, sent = self._answers.get((principal, target), (float("-inf"), None))
            return sent if self._clock.monotonic() - at <= REPEATED_WITHIN else None


def once(store: Store, principal: str, route: str, key: str, raw: bytes, do: Callable[[], Sent]) -> Sent:
    """Do what a POST asks for, or give the answer that its key already has.

    Raises
    ------
    Refused
        400, if the key is none.
    Invalid
        If the key came with another body before.
    """
    if not KEY.fullmatch(key):
        raise Refused(400, "Idempotency-Key is 1 to 64 of the characters A-Z a-z 0-9 _ -")
    if not isinstance(store, Embedded):
        return do()
    digest = hashlib.sha256(raw).hexdigest()
    with store.together():
        kept = store.kept(principal, route, key)
        if kept is not None:
            if kept.body_hash != digest:
                raise Invalid(f"Idempotency-Key '{key}' came with another body before; make a new one")
            return Sent(status=kept.status, raw=kept.answer.encode())
        sent = do()
        answer = Kept(
            principal=principal, route=route, key=key, body_hash=digest, status=sent.status, answer=sent.raw.decode()
        )  # fmt: skip
        store.keep(answer)
        return sent
