"""Writes security matters down: a record in the store, and a line in the log (`security.md` §11)."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from itertools import pairwise

from torc_core.errors import TorcError
from torc_core.model import AuditEntry, Query
from torc_core.protocols import Clock, Store
from torc_core.store.principal import Principal
from torc_http.auth.limits import Rates

log = logging.getLogger("torc_http.audit")

HOUR = 3_600.0

NAMES = 10_000

FAILURES_PER_S = 1.0
FAILURES_AT_ONCE = 50
"""Failed log-ins that are written down; more of them are counted, so that nobody fills the disk with them."""


def log_entry(entry: AuditEntry) -> None:
    """The line that says the same in the log."""
    log.log(
        logging.INFO if entry.outcome == "ok" else logging.WARNING,
        "%s principal=%s established=%s peer=%s object=%s outcome=%s request_id=%s detail=%s",
        entry.operation, entry.principal, entry.established, entry.peer, entry.object, entry.outcome,
        entry.request_id, entry.detail,
    )  # fmt: skip


class Audit:
    """The only way by which audit records are written."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}
        self._failures = Rates(FAILURES_PER_S, FAILURES_AT_ONCE, clock)
        self._untold: Counter[str] = Counter()

    def write(
        self,
        operation: str,
        principal: Principal | str,
        *,
        peer: str = "",
        object: str = "",
        outcome: str = "ok",
        detail: str = "",
        request_id: str = "",
    ) -> None:
        """Write one down. A store that cannot take it does not stop what is written about; the log has it."""
        name, how = (
            (principal, "") if isinstance(principal, str) else (principal.identity, principal.established)
        )
        entry = AuditEntry(
            timestamp=self._clock.now(), operation=operation, principal=name, established=how, peer=peer,
            object=object, outcome=outcome, detail=detail, request_id=request_id,
        )  # fmt: skip
        log_entry(entry)
        try:
            self._store.add([entry])
        except TorcError as error:
            log.error("audit record not stored operation=%s error=%s", operation, error)  # noqa: TRY400 - a sentence

    def admitted(self, principal: Principal, peer: str, request_id: str = "") -> None:
        """Somebody came in: written down the first time in an hour."""
        now = self._clock.monotonic()
        who = principal.identity
        with self._lock:
            last = self._seen.get(who)
            if last is not None and now - last < HOUR:
                return
            if len(self._seen) >= NAMES:
                self._seen.clear()
            self._seen[who] = now
        self.write("login_ok", principal, peer=peer, request_id=request_id)

    def refused(self, name: str, how: str, peer: str, why: str, request_id: str = "") -> None:
        """Somebody was wrong; floods are counted and told with the next one that is written down."""
        if self._failures.take("login_failed"):
            with self._lock:
                self._untold[peer] += 1
                if len(self._untold) > NAMES:
                    self._untold.clear()
            return
        with self._lock:
            untold = self._untold.pop(peer, 0)
        more = f"; {untold} more of this peer were not written down" if untold else ""
        self.write(
            "login_failed",
            name or how,
            peer=peer,
            outcome="refused",
            detail=why + more,
            request_id=request_id,
        )

    def denied(self, principal: Principal, peer: str, object: str, request_id: str = "") -> None:
        """Somebody who is known asked for what he may not do; floods are not written down."""
        if not self._failures.take(f"denied {principal.identity}"):
            self.write(
                "denied", principal, peer=peer, object=object, outcome="refused", request_id=request_id
            )

    def gaps(self) -> list[tuple[int, int]]:
        """Numbers that are missing between the last thousand records: from, to."""
        last = self._store.find(AuditEntry, Query(sort="id", reverse=True, limit=1_000)).items
        ids = sorted(one.id for one in last)
        return [(low + 1, high - 1) for low, high in pairwise(ids) if high != low + 1]
