"""What a server counts of its own work, for `/metrics`: a dict entry per request and per event, and nothing else."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from torc_core.model import Event

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Upper ends, in seconds, of the pieces of a histogram; the last piece has none."""

ENDS = {
    "job_completed": "completed", "job_failed": "failed", "job_canceled": "canceled", "job_terminated": "terminated",
    "job_pending_failed": "pending_failed",
}  # fmt: skip
COUNTED = {"compute_node_lost": "leases_expired", "different_result": "late_results"}
"""Events that are counted under another name."""

MOST_REASONS = 100


class Histogram:
    """How often something took how long."""

    __slots__ = ("pieces", "total")

    def __init__(self) -> None:
        self.pieces = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count once more."""
        self.pieces[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Counts:
    """Counters that only grow, of one life of a server; a count that two threads raise at once may be short by one."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.claims: Counter[str] = Counter()
        self.claimed = 0
        self.ends: Counter[tuple[int, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.others: Counter[str] = Counter()

    def request(self, route: str, method: str, code: str, seconds: float) -> None:
        """A request was answered, or handed over."""
        self.requests[route, method, code] += 1
        self.seconds[route].add(seconds)

    def claim(self, given: int) -> None:
        """A claim was answered with so many jobs."""
        self.claims["given" if given else "empty"] += 1
        self.claimed += given

    def heard(self, events: Sequence[Event]) -> None:
        """Count what was committed."""
        for event in events:
            status = ENDS.get(event.category)
            if status is not None:
                number = event.data.get("count", 1)
                times = number if isinstance(number, int) else 1
                self.ends[event.workflow_id, status] += times
                if status in ("failed", "terminated"):
                    self.failures[self._reason(event)] += times
            elif event.category in COUNTED:
                self.others[COUNTED[event.category]] += 1

    def _reason(self, event: Event) -> str:
        reason = event.data.get("reason")
        kind = reason.partition(":")[0] if isinstance(reason, str) and reason else "exit_code"
        return kind if kind in self.failures or len(self.failures) < MOST_REASONS else "other"
