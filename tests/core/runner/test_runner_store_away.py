"""A store that is away, silent, or gives this runner's place to another."""

from __future__ import annotations

import signal
import threading

import pytest

from torc_core.errors import Fenced, NotFound, Unavailable
from torc_core.model import JobStatus
from torc_core.runner import caller, runner
from torc_core.runner.report import Leaving
from torc_core.testing.executors import survivors


class Troubled:
    """A queue that goes wrong in the turns in which `trouble` says so."""

    def __init__(self, queue, trouble) -> None:
        self._queue = queue
        self._trouble = trouble
        self.turns = 0

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def turn(self, turn):
        self.turns += 1
        self._trouble(self.turns, turn)
        return self._queue.turn(turn)


def run(site, trouble, *commands, **settings):
    site.create(*commands, **settings)
    one = site.runner()
    one._store = Troubled(site.store, trouble)
    return one.run()


def test_a_store_that_is_away_for_a_while_loses_nothing(site, monkeypatch) -> None:
    monkeypatch.setattr(caller, "FIRST_PAUSE", 0.01)

    def trouble(number, turn) -> None:
        if number % 3:
            raise Unavailable("away")

    report = run(site, trouble, *["echo x >> ran"] * 30)

    assert report.leaving is Leaving.COMPLETE
    assert len(site.results()) == len((site.folder / "ran").read_text().split()) == 30


def test_a_store_that_stays_away_makes_the_runner_end_its_jobs_and_leave(site, monkeypatch) -> None:
    monkeypatch.setattr(caller, "FIRST_PAUSE", 61.0)

    def trouble(number, turn) -> None:
        if number > 1:
            raise Unavailable("no answer from the store")

    settings = {"compute_node_wait_for_healthy_database_minutes": 1}
    report = run(site, trouble, "exit 0", "sleep 600", **settings)

    assert (report.leaving, report.exit_code) == (Leaving.AWAY, 4)
    assert report.detail == "no answer from the store"
    assert survivors(f"{site.store.server_id}.{site.workflow.id}.2.1.1") == []


def test_a_fenced_runner_ends_its_jobs_and_leaves(site) -> None:
    def trouble(number, turn) -> None:
        if number > 1:
            raise Fenced("another runner has taken the place of this one")

    report = run(site, trouble, "exit 0", "sleep 600")

    assert (report.leaving, report.exit_code) == (Leaving.FENCED, 4)


def test_another_refusal_is_an_error_and_no_job_is_left(site) -> None:
    def trouble(number, turn) -> None:
        if number > 1:
            raise NotFound("no workflow 1")

    with pytest.raises(NotFound):
        run(site, trouble, "exit 0", "sleep 600")

    site.executor.close()
    assert survivors(f"{site.store.server_id}.{site.workflow.id}.2.1.1") == []


def test_a_store_that_never_answers_does_not_keep_an_interrupted_runner(site, later, monkeypatch) -> None:
    monkeypatch.setattr(runner, "LEAVE_WITHIN", 0.3)
    monkeypatch.setattr(runner, "LAST_CALL", 0.2)
    for_good = threading.Event()

    def trouble(number, turn) -> None:
        if turn.endings:
            for_good.wait(30)

    site.create("echo up")
    one = site.runner()
    one._store = Troubled(site.store, trouble)
    later(0.5, lambda: one.interrupt(signal.SIGINT))

    report = one.run()

    for_good.set()
    assert report.exit_code == 130
    assert [job.status for job in site.jobs()] == [JobStatus.RUNNING]
