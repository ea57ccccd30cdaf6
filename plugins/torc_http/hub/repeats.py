"""Claims that come twice: who was told that there is nothing is told so again (`promises.md` P4)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from torc_core.model import NodeId

WITHIN = 60.0
"""Seconds for which a claim that got nothing is remembered; what is under way for longer heals by the beats."""
MOST = 20_000
"""Claims that are remembered at most."""

Claim = tuple[NodeId, str]


class Repeats:
    """Which claims got nothing: jobs for a second copy of one would be jobs for nobody.

    The store knows the claims that got something, and gives the same again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._empty: OrderedDict[Claim, float] = OrderedDict()
        self._under_way: dict[Claim, tuple[threading.Lock, list[None]]] = {}

    @contextmanager
    def alone(self, node: NodeId, claim_id: str) -> Iterator[None]:
        """Be the only one of a node who asks with this id."""
        claim = node, claim_id
        with self._lock:
            turn, waiting = self._under_way.setdefault(claim, (threading.Lock(), []))
            waiting.append(None)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                waiting.pop()
                if not waiting:
                    del self._under_way[claim]

    def was_empty(self, node: NodeId, claim_id: str) -> bool:
        """Whether this claim was told before that there is nothing."""
        return time.monotonic() - self._empty.get((node, claim_id), float("-inf")) <= WITHIN

    def empty(self, node: NodeId, claim_id: str) -> None:
        """This claim is about to be told that there is nothing."""
        now = time.monotonic()
        with self._lock:
            self._empty[node, claim_id] = now
            while len(self._empty) > MOST or next(iter(self._empty.values())) < now - WITHIN:
                self._empty.popitem(last=False)
