"""A store that does not hold turns is asked ever more rarely, and one that wants a pause gets it (`runner.md` §3)."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.waiting import SOON
from torc_core.model import Orders
from torc_core.runner.report import Leaving


def listening(site: Any, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[float]:
    """When a runner asks for work; it gets its answers at once."""
    turn, asked = site.store.turn, []

    def at_once(one: Any) -> Orders:
        if one.offer is None or not one.offer.wait_ms:
            return turn(one)
        asked.append(site.clock.monotonic())
        return replace(turn(replace(one, offer=replace(one.offer, wait_ms=0))), **changes)

    monkeypatch.setattr(site.store, "turn", at_once)
    return asked


def test_a_store_that_does_not_hold_turns_is_asked_ever_more_rarely(site, monkeypatch) -> None:
    asked = listening(site, monkeypatch)
    site.create("sleep 4")

    site.runner(poll_interval=1.0).run()

    gaps = [later - before for before, later in itertools.pairwise(asked)]
    assert len(gaps) >= 1
    assert all(gap > 0.15 for gap in gaps[1:])
    assert all(gap > 0.75 for gap in gaps[4:])


def test_a_store_that_wants_a_pause_gets_it(site, monkeypatch) -> None:
    asked = listening(site, monkeypatch, pause_ms=1_500)
    site.create("sleep 4")

    site.runner().run()

    gaps = [later - before for before, later in itertools.pairwise(asked)]
    assert len(gaps) >= 1
    assert all(gap > 1.4 for gap in gaps)


def test_while_the_answer_to_a_held_turn_is_lost_others_come_ever_more_rarely(site, monkeypatch) -> None:
    turn, taken, for_good = site.store.turn, [], threading.Event()

    def on_a_dead_line(one: Any) -> Orders:
        taken.append(one)
        orders = turn(one)
        if one.offer is not None and one.offer.wait_ms:
            for_good.wait(SOON)
        return orders

    monkeypatch.setattr(site.store, "turn", on_a_dead_line)
    site.create("sleep 0.5", "sleep 4")

    report = site.runner().run()
    for_good.set()

    assert report.leaving is Leaving.COMPLETE
    assert len(taken) < 15
