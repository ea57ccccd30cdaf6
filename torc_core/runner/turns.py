"""What is said to the store, and when: one turn on its way at a time, and a held one while there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from torc_core.errors import Unavailable
from torc_core.model import Beat, Held, Node, Offer, Orders, Turn, Verdict
from torc_core.protocols import Clock
from torc_core.runner.attempt import Attempt
from torc_core.runner.caller import Answer, Caller
from torc_core.runner.lease import Lease, Pauses
from torc_core.runner.ledger import Ledger
from torc_core.runner.log import log
from torc_core.runner.options import Options
from torc_core.runner.report import End
from torc_core.runner.stock import NOTHING, Stock, Wanted
from torc_core.runner.timeline import Timeline

LINGER = 0.05
"""Seconds that ends may wait for company while every slot is busy and has its successors at hand."""
LONGEST_LINGER = 0.25
"""The same where turns themselves take long: no longer than the last one took, and than this."""
QUIET = 0.05
"""Seconds after a turn that brought work until one listens; in a chain the next end comes sooner."""
FULL = 0.25
"""Seconds after a turn until one listens while there is no room, since then only orders to stop may come."""
STALE = 0.05
"""Seconds after which a held turn that a later one should have ended is ended by another; doubling, since its answer
may be lost on a line that nobody has hung up.
"""
LISTEN_MS = 20_000
MOST_CLAIMED = 10_000
FIRST_PAUSE = 0.25
"""Seconds between two looks at a store that does not hold a turn; doubling up to the runner's `poll_interval`."""
HELD = 0.2
"""Seconds that a turn without news has at least to be away for having been held."""


class Flight(NamedTuple):
    """A turn that is on its way, or has to be sent again, and what it says."""

    turn: Turn
    ends: list[End]
    starting: list[Attempt]


class Turns:
    """Collects what the next turn carries, sends it when it is due, and matches answers with what was asked.

    While the store is away nothing but beats is sent; when one is answered, what was on its way is sent again as it
    was, and then everything else (`runner.md` §9.3).

    Parameters
    ----------
    beat
        What is held and what runs here, at the time; the ends that are not acknowledged are added.
    """

    def __init__(
        self,
        caller: Caller,
        clock: Clock,
        node: Node,
        ledger: Ledger,
        stock: Stock,
        options: Options,
        lease: Lease,
        beat: Callable[[], Beat],
        timeline: Timeline | None = None,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._node = node
        self._ledger = ledger
        self._stock = stock
        self._options = options
        self._timeline = timeline
        self._lease = lease
        self._list = beat
        self._pauses = Pauses(clock)
        self._ends: list[End] = []
        self._give_back: list[Held] = []
        self._flight: Flight | None = None
        self._again: Flight | None = None
        self._listening: Turn | None = None
        self._listen_again: Turn | None = None
        self._ping: Turn | None = None
        self._beats = 0
        self._beaten = False  # since what is to be sent again was sent first, a beat was answered
        self._retry_at = 0.0
        self._asked = False
        self._overtaken = False
        self._stale = STALE
        self._oldest_end = 0.0
        self._linger = LINGER
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
        self.away: Unavailable | None = None
        """Why the store could not be reached the last time; None: it could."""

    @property
    def idle(self) -> bool:
        """Nothing is to be said, and everything that was said is answered."""
        return not (self._flight or self._again or self._ping or self._ends or self._give_back)

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
        return any(attempt in one.starting for one in (self._flight, self._again) if one)

    def unacknowledged(self) -> list[End]:
        """Ends that the store has not judged yet."""
        return [*(end for one in (self._flight, self._again) if one for end in one.ends), *self._ends]

    def abandon(self) -> None:
        """The store is lost: nothing more will be said."""
        self._ends, self._give_back, self._flight, self._again, self._ping = [], [], None, None, None
        self.claiming = False

    def speak(self, now: float) -> None:
        """Send a turn if one is due and none is on its way; else see that one listens."""
        if self._flight is not None or self._ping is not None:
            return
        if self.away is not None and now < self._retry_at:
            return
        # When the lease is over nothing but a beat may be sent, also if no call has failed: this process stood still.
        if self._lease.over(now) or (self.away is not None and not (self._beaten and self._again)):
            self._ping = self._turn(beat=self._beat(now))
            self._caller.send(self._ping)
        elif self._again is not None:
            self._flight, self._again = self._again._replace(turn=self._timely(self._again.turn)), None
            self._overtaken = self._listening is not None
            self._caller.send(self._flight.turn)
        elif self._is_due(now):
            self._send(self._stock.promote(self._ledger) if self.claiming else [], now)
        elif self.claiming and now >= self._listen_from:
            if self._listening is None:
                self._listen(now)
            elif self._overtaken and now >= self._listen_from + self._stale:
                self._listen_from, self._stale = now, min(2 * self._stale, self._options.poll_interval)
                self._send([], now)

    def _listen(self, now: float) -> None:
        """Send a turn that waits for work; one whose answer was lost first, since it may have brought some."""
        turn, self._listen_again = self._listen_again, None
        if turn is None:
            turn = self._turn(offer=self._offer(limit=max(0, self._ledger.spare()), wait_ms=LISTEN_MS))
        self._listening, self._listening_since = self._timely(turn), now
        self._caller.listen(self._listening)

    def _timely(self, turn: Turn) -> Turn:
        """The same turn, as what is left of this runner's time allows it by now."""
        if turn.offer is None or self._timeline is None:
            return turn
        left = self._timeline.left(self._clock.monotonic())
        return replace(turn, offer=replace(turn.offer, time_limit=left))

    def next_time(self) -> float | None:
        """When to speak again without news, monotonic seconds; None: there is no need to."""
        if self._flight is not None or self._ping is not None:
            return None
        if self.away is not None:
            return self._retry_at
        times = [self._lease.beat_at(empty=self._is_empty())]
        if self.claiming:
            if self._ends:
                times.append(self._oldest_end + self._linger)
            if self._listening is None:
                times.append(self._listen_from)
            elif self._overtaken:
                times.append(self._listen_from + self._stale)
        return min(times)

    def settle(
        self, answer: Answer, now: float
    ) -> tuple[list[tuple[End, Verdict]], list[tuple[Attempt, Verdict]]]:
        """Take an answer: what became of the ends and of the starts of its turn.

        Raises
        ------
        TorcError
            As the store did.
        """
        turn, orders, error, sent_at = answer
        if isinstance(error, Unavailable):
            self._missed(turn, error, now)
            return [], []
        listened = turn is self._listening
        # Of how things stand, a later turn knows better than the held one that it has ended.
        outdated = listened and self._overtaken
        sent: list[End] = []
        starting: list[Attempt] = []
        if listened:
            self._listening, self._overtaken, self._stale = None, False, STALE
        elif turn is self._ping:
            self._ping, self._beaten = None, orders is not None
        elif self._flight is not None and turn is self._flight.turn:
            _, sent, starting = self._flight
            self._flight, self._beaten = None, False
            self._listen_from = now + self._quiet(orders)
            self._linger = min(max(LINGER, now - sent_at), LONGEST_LINGER)
        if orders is None:
            assert error is not None
            if sent:
                self._again = Flight(turn, sent, starting)
            raise error
        self._lease.renew(sent_at)
        if not listened:
            self._asked = False
        if self.away is not None and not listened:
            log.warning("store_back after=%.0f", now - self._lease.heard)
            self.away, self.ask = None, True
            self._pauses.over()
        if not outdated:
            self.orders = orders
        if listened:
            self._listen_from = now + self._rest(orders, now, outdated=outdated)
        if orders.retry_ms is not None:
            self.next_retry = now + orders.retry_ms / 1000
        # Of a turn that was given up nothing is left to be matched.
        return (
            list(zip(sent, orders.endings, strict=True)) if sent else [],
            list(zip(starting, orders.starts, strict=True)) if starting else [],
        )

    def _quiet(self, orders: Orders | None) -> float:
        """Seconds from the answer to a turn until to listen."""
        if self._stock.busy.total() and self._ledger.spare() <= 0:
            return FULL
        return QUIET if orders is not None and orders.jobs else 0.0

    def _missed(self, turn: Turn, error: Unavailable, now: float) -> None:
        """A call was not answered: it is made again when the store answers a beat."""
        if turn is self._listening:
            self._listening, self._overtaken, self._listen_again = None, False, turn
        elif turn is self._ping:
            self._ping = None
        else:
            self._flight, self._again = None, self._flight
        if self.away is None or turn.offer is None or not turn.offer.wait_ms:
            pause = self._pauses.next(error)
            if self._lease.lost:
                pause = max(pause, self._options.ping_interval)
            self._retry_at = now + pause
            log.info("store_away next_try=%.1f why=%s", pause, error)
        self.away = error

    def is_gone(self, now: float) -> bool:
        """Whether the store was asked once more, now that all jobs are over, and does not answer."""
        if not self._asked:
            self._asked = True
            self._retry_at = min(self._retry_at, now)
            return False
        asking = self._ping is not None or self._flight is not None
        return not asking and self.away is not None

    def last_beat(self) -> Beat:
        """A beat of a runner that has nothing any more."""
        self._beats += 1
        return Beat(number=self._beats)

    def _beat(self, now: float) -> Beat:
        """Everything that is here, and every end that is not acknowledged."""
        self._lease.beaten(now)
        self._beats += 1
        here = self._list()
        over = [_held(end) for end in self.unacknowledged()]
        return Beat(held=here.held, running=[*here.running, *over], number=self._beats)

    def _is_empty(self) -> bool:
        """Whether there is nothing to list."""
        return not (self._stock.busy.total() or self._ends)

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
        if self._lease.beat_due(now, empty=self._is_empty()):
            return True
        if self._ends and (not self.claiming or now >= self._oldest_end + self._linger or self._stock.low()):
            return True
        return self.claiming and self._stock.startable(self._ledger)

    def _send(self, starts: list[Attempt], now: float) -> None:
        spare = max(0, self._ledger.spare())
        wanted = self._stock.wanted(starts)
        offer = None
        if self.claiming and (spare or wanted.jobs):
            offer = self._offer(limit=max(spare, 1), wanted=wanted)
        due = self._lease.beat_due(now, empty=self._is_empty())
        ends, self._ends = self._ends, []
        beat = self._beat(now) if due else None
        give_back, self._give_back = self._give_back, []
        self.ask, self._overtaken = False, self._listening is not None
        turn = self._turn(
            ends=ends,
            starts=[attempt.held for attempt in starts],
            give_back=give_back,
            beat=beat,
            offer=offer,
        )
        self._flight = Flight(turn, ends, starts)
        self._caller.send(turn)

    def _turn(
        self,
        *,
        ends: Sequence[End] = (),
        starts: Sequence[Held] = (),
        give_back: Sequence[Held] = (),
        beat: Beat | None = None,
        offer: Offer | None = None,
    ) -> Turn:
        return Turn(
            node=self._node.id,
            epoch=self._node.epoch,
            endings=[end.ending for end in ends],
            starts=starts,
            give_back=give_back,
            beat=beat,
            offer=offer,
        )

    def _offer(self, *, limit: int, wanted: Wanted = NOTHING, wait_ms: int = 0) -> Offer:
        return Offer(
            claim_id=self._clock.uuid(),
            free=self._ledger.free(),
            limit=min(limit, MOST_CLAIMED),
            time_limit=None if self._timeline is None else self._timeline.left(self._clock.monotonic()),
            by_count=bool(self._options.max_parallel_jobs),
            strict_scheduler_match=self._options.strict_scheduler_match,
            ahead=wanted.jobs,
            start_ahead=wanted.started,
            busy=wanted.shapes,
            wait_ms=wait_ms,
        )


def _held(end: End) -> Held:
    ending = end.ending
    return Held(job=ending.job, attempt_id=ending.attempt_id, lease=ending.lease or "")
