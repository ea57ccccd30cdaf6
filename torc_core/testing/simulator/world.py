"""Time, chance and the network of a simulation: one list of what happens next, and messages that may not arrive."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from torc_core.errors import TorcError
from torc_core.protocols import Store
from torc_core.record import record

BEGIN = 1_700_000_000_000
"""When simulations begin, milliseconds since 1970."""
PATIENCE = 10.0
"""Seconds after which a caller asks again."""


@record(frozen=True, slots=True, kw_only=True)
class Weather:
    """How likely what goes wrong is, while faults last.

    Parameters
    ----------
    drop_request, drop_answer, double
        Of each message.
    slowest
        Seconds that a message may take; a doubled one may take four times as long.
    crash_after
        Of each request: the server dies when it has committed and before it has answered.
    trouble_every
        Mean seconds between two misfortunes of hosts, links or the server.
    """

    drop_request: float = 0.0
    drop_answer: float = 0.0
    double: float = 0.0
    slowest: float = 0.2
    crash_after: float = 0.0
    trouble_every: float = 0.0


CALM = Weather(slowest=0.01)


class World:
    """One thread of events in virtual time; everything that happens is a function of the seed.

    It is the clock of the store as well (`Clock`).
    """

    def __init__(self, seed: int, weather: Weather) -> None:
        self.dice = Random(seed)
        self.weather = weather
        self.time = 0.0
        self._ids = Random(f"ids {seed}")
        self._next: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def now(self) -> int:
        """Milliseconds since 1970."""
        return BEGIN + round(self.time * 1000)

    def monotonic(self) -> float:
        """Seconds."""
        return self.time

    def uuid(self) -> str:
        """A UUID that nobody else gets."""
        return f"{self._ids.getrandbits(128):032x}"

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen later."""
        self._number += 1
        heappush(self._next, (self.time + seconds, self._number, what))

    def run(self, until: float, over: Callable[[], bool]) -> None:
        """Let happen what happens until this time, or until it is over."""
        while self._next and self._next[0][0] <= until:
            self.time, _, what = heappop(self._next)
            what()
            if over():
                return
        self.time = max(self.time, until)

    def chance(self, likely: float) -> bool:
        """Throw the dice."""
        return self.dice.random() < likely


class Link:
    """The way of one host to the server.

    Parameters
    ----------
    up, down
        Whether requests, and answers, pass.
    """

    def __init__(self) -> None:
        self.up = True
        self.down = True


class Service:
    """The store behind a network: it may be away, and it may die between a commit and its answer.

    Parameters
    ----------
    watch
        Called after each request that was carried out.
    """

    def __init__(self, world: World, store: Store, watch: Callable[[], None]) -> None:
        self.world = world
        self.store = store
        self.is_up = True
        self._watch = watch

    def ask(self, link: Link, request: Callable[[Store], Any], answered: Callable[[Any], None]) -> None:
        """Send a request; `answered` gets the answer or the error, perhaps twice, perhaps never."""
        world = self.world
        copies = 2 if world.chance(world.weather.double) else 1
        for copy in range(copies):
            if link.up and not world.chance(world.weather.drop_request):
                delay = world.dice.uniform(0.001, world.weather.slowest) * (4 if copy else 1)
                world.after(delay, lambda: self._carry_out(link, request, answered))

    def _carry_out(
        self, link: Link, request: Callable[[Store], Any], answered: Callable[[Any], None]
    ) -> None:
        world = self.world
        if not self.is_up:
            return
        try:
            answer = request(self.store)
        except TorcError as error:
            answer = error
        self._watch()
        if world.chance(world.weather.crash_after):
            self.crash(world.dice.uniform(0, 90))
            return
        if link.down and not world.chance(world.weather.drop_answer):
            world.after(world.dice.uniform(0.001, world.weather.slowest), lambda: answered(answer))

    def crash(self, seconds: float) -> None:
        """Die, and be started again after so long: what was committed is there, every lease begins anew."""
        if self.is_up:
            self.is_up = False
            self.world.after(seconds, self.start)

    def start(self) -> None:
        """Begin to serve."""
        if not self.is_up:
            self.is_up = True
            self.store.renew_leases()

    def sweep(self) -> None:
        """What a server does every ten seconds."""
        if self.is_up:
            self.store.sweep()
            self._watch()
        self.world.after(10, self.sweep)
