"""What is said to the store, and when: one turn on its way at a time, and a held one while there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import Held, Node, Offer, Orders, Shape, Turn, Verdict
from torc_core.protocols import Clock
from torc_core.runner.attempt import Attempt
from torc_core.runner.caller import Answer, Caller
from torc_core.runner.ledger import Ledger
from torc_core.runner.options import Options
from torc_core.runner.report import End
from torc_core.runner.stock import Stock
from torc_core.runner.timeline import Timeline

LINGER = 0.05
"""Seconds that ends may wait for company while every slot is busy and has its successors at hand."""
QUIET = 0.05
"""Seconds after a turn that brought work until one listens; in a chain the next end comes sooner."""
STALE = 0.05
"""Seconds after which a held turn that a later one should have ended is ended by another."""
LISTEN_MS = 20_000
MOST_CLAIMED = 10_000
FIRST_PAUSE = 0.25
"""Seconds between two looks at a store that does not hold a turn; doubling up to the runner's `poll_interval`."""
HELD = 0.2
"""Seconds that a turn without news has at least to be away for having been held."""


class Turns:
    """Collects what the next turn carries, sends it when it is due, and matches answers with what was asked."""

    def __init__(
        self,
        caller: Caller,
        clock: Clock,
        node: Node,
        ledger: Ledger,
        stock: Stock,
        options: Options,
        timeline: Timeline | None = None,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._node = node
        self._ledger = ledger
        self._stock = stock
        self._options = options
        self._timeline = timeline
        self._ends: list[End] = []
        self._give_back: list[Held] = []
        self._sent: list[End] | None = None
        self._starting: list[Attempt] = []
        self._listening: Turn | None = None
        self._overtaken = False
        self._oldest_end = 0.0
        self._listen_from = 0.0
        self._listening_since = 0.0
        self._pause = 0.0
        self.ask = True
        """There is room that the store does not know of."""
        self.claiming = True
        """New work is wanted."""
        self.orders = Orders()
        """The newest answer, as far as it tells how things stand."""
        self.next_retry = 0.0
        """When the next delayed retry of the workflow is due, monotonic seconds; what is past does not matter."""

    @property
    def idle(self) -> bool:
        """Nothing is to be said, and everything that was said is answered."""
        return self._sent is None and not self._ends and not self._give_back

    def report(self, ends: Sequence[End], now: float) -> None:
        """These jobs have ended."""
        if ends and not self._ends:
            self._oldest_end, self._pause = now, 0.0
        self._ends += ends

    def give_back(self, held: Held) -> None:
        """This job was never forked."""
        self._give_back.append(held)

    def is_starting(self, attempt: Attempt) -> bool:
        """Whether the start of this job is on its way to the store."""
        return attempt in self._starting

    def abandon(self) -> None:
        """The store is lost: nothing more will be said."""
        self._ends, self._give_back, self._sent, self._starting = [], [], None, []
        self.claiming = False

    def speak(self, now: float) -> None:
        """Send a turn if one is due and none is on its way; else see that one listens."""
        if self._sent is not None:
            return
        if self._is_due(now):
            self._send(self._stock.promote(self._ledger) if self.claiming else [])
        elif self.claiming and now >= self._listen_from:
            if self._listening is None:
                offer = self._offer(limit=max(0, self._ledger.spare()), wait_ms=LISTEN_MS)
                self._listening = self._turn(offer=offer)
                self._listening_since = now
                self._caller.listen(self._listening)
            elif self._overtaken and now >= self._listen_from + STALE:
                self._listen_from = now
                self._send([])

    def next_time(self) -> float | None:
        """When to speak again without news, monotonic seconds; None: there is no need to."""
        times = []
        if self._sent is None and self.claiming:
            if self._ends:
                times.append(self._oldest_end + LINGER)
            if self._listening is None:
                times.append(self._listen_from)
            elif self._overtaken:
                times.append(self._listen_from + STALE)
        return min(times, default=None)

    def settle(
        self, answer: Answer, now: float
    ) -> tuple[list[tuple[End, Verdict]], list[tuple[Attempt, Verdict]]]:
        """Take an answer: what became of the ends and of the starts of its turn.

        Raises
        ------
        TorcError
            As the store did.
        """
        turn, orders, error = answer
        listened = turn is self._listening
        # Of how things stand, a later turn knows better than the held one that it has ended.
        outdated = listened and self._overtaken
        sent: list[End] = []
        starting: list[Attempt] = []
        if listened:
            self._listening, self._overtaken = None, False
        else:
            sent, starting = self._sent or [], self._starting
            self._sent, self._starting = None, []
            self._listen_from = now + QUIET if orders is not None and orders.jobs else now
        if orders is None:
            assert error is not None
            raise error
        if not outdated:
            self.orders = orders
        if listened:
            self._listen_from = now + self._rest(orders, now, outdated=outdated)
        if orders.retry_ms is not None:
            self.next_retry = now + orders.retry_ms / 1000
        return (
            list(zip(sent, orders.endings, strict=True)),
            list(zip(starting, orders.starts, strict=True)),
        )

    def _rest(self, orders: Orders, now: float, *, outdated: bool) -> float:
        """Seconds until to listen again: the store says, or does not hold turns and is asked ever more rarely."""
        if orders.pause_ms:
            return orders.pause_ms / 1000
        if orders.jobs or outdated or now - self._listening_since >= HELD:
            self._pause = 0.0
            return 0.0
        # The first time it may be that another runner was quicker.
        pause, self._pause = self._pause, min(max(FIRST_PAUSE, 2 * self._pause), self._options.poll_interval)
        spread = int(self._clock.uuid()[:4], 16) / 0xFFFF
        return pause * (0.8 + 0.4 * spread)

    def _is_due(self, now: float) -> bool:
        """Whether there is something to say; ends wait a little while every slot is busy and has successors."""
        if self._give_back or (self.ask and self.claiming):
            return True
        if self._ends and (not self.claiming or now >= self._oldest_end + LINGER or self._stock.low()):
            return True
        return self.claiming and self._stock.startable(self._ledger)

    def _send(self, starts: list[Attempt]) -> None:
        spare = max(0, self._ledger.spare())
        ahead, shapes = self._stock.wanted(starts)
        offer = None
        if self.claiming and (spare or ahead):
            offer = self._offer(limit=max(spare, 1), ahead=ahead, busy=shapes)
        self._sent, self._ends, self._starting = self._ends, [], starts
        give_back, self._give_back = self._give_back, []
        self.ask, self._overtaken = False, self._listening is not None
        self._caller.send(
            self._turn(
                ends=self._sent,
                starts=[attempt.held for attempt in starts],
                give_back=give_back,
                offer=offer,
            )
        )

    def _turn(
        self,
        *,
        ends: Sequence[End] = (),
        starts: Sequence[Held] = (),
        give_back: Sequence[Held] = (),
        offer: Offer | None = None,
    ) -> Turn:
        return Turn(
            node=self._node.id,
            epoch=self._node.epoch,
            endings=[end.ending for end in ends],
            starts=starts,
            give_back=give_back,
            offer=offer,
        )

    def _offer(self, *, limit: int, ahead: int = 0, busy: Sequence[Shape] = (), wait_ms: int = 0) -> Offer:
        return Offer(
            claim_id=self._clock.uuid(),
            free=self._ledger.free(),
            limit=min(limit, MOST_CLAIMED),
            time_limit=None if self._timeline is None else self._timeline.left(self._clock.monotonic()),
            by_count=bool(self._options.max_parallel_jobs),
            strict_scheduler_match=self._options.strict_scheduler_match,
            ahead=ahead,
            busy=busy,
            wait_ms=wait_ms,
        )
