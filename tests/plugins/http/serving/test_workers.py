"""The threads of a server: what yields never takes all of them, and is done nevertheless."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from torc_http.app import yields
from torc_http.serving.workers import Call, Workers

SOON = 20.0


class Crowd:
    """Tasks that are under way until they are let go."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.count = 0
        self.done = threading.Semaphore(0)
        self.lock = threading.Lock()

    def add(self, number: int, *, yielding: bool) -> None:
        for _ in range(number):
            self.workers.add_task(Call(self.work), yields=yielding)

    def work(self) -> None:
        with self.lock:
            self.count += 1
        self.begun.release()
        assert self.go.wait(SOON)
        self.done.release()


@pytest.fixture
def workers() -> Iterator[Workers]:
    found = Workers(8)
    yield found
    found.shutdown(SOON)


def taken(semaphore: threading.Semaphore, times: int) -> bool:
    return all(semaphore.acquire(timeout=SOON) for _ in range(times))


def call(workers: Workers) -> Callable[[], bool]:
    """Have something done that does not yield; what waits for it."""
    done = threading.Event()
    workers.run(done.set)
    return lambda: done.wait(SOON)


def test_what_yields_takes_a_quarter_of_the_threads_and_others_are_served_meanwhile(workers: Workers) -> None:
    crowd = Crowd(workers)
    crowd.add(9, yielding=True)
    assert taken(crowd.begun, 2)

    served = [call(workers)() for _ in range(5)]

    assert all(served)
    assert (crowd.count, workers.waiting) == (2, 7)
    crowd.go.set()
    assert taken(crowd.done, 9)


def test_what_yields_is_done_by_others_when_its_thread_goes_another_way(workers: Workers) -> None:
    crowd, others = Crowd(workers), Crowd(workers)
    crowd.add(4, yielding=True)
    assert taken(crowd.begun, 2)
    others.add(8, yielding=False)
    assert taken(others.begun, 6)

    crowd.go.set()

    assert taken(others.begun, 2)
    others.go.set()
    assert taken(crowd.done, 4)
    assert taken(others.done, 8)


def test_a_single_thread_does_everything() -> None:
    workers = Workers(1)
    crowd = Crowd(workers)
    crowd.go.set()
    crowd.add(3, yielding=True)
    crowd.add(3, yielding=False)

    assert taken(crowd.done, 6)
    assert workers.shutdown(SOON)


def test_threads_are_started_again_when_the_host_has_room_for_them(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        for _ in range(workers.count):
            workers.run(lambda: None)
    crowd = Crowd(workers)
    crowd.add(workers.count, yielding=False)

    assert taken(crowd.begun, workers.count)
    crowd.go.set()


def test_at_the_end_what_waits_is_done_or_canceled() -> None:
    workers = Workers(2)
    crowd = Crowd(workers)
    crowd.go.set()
    crowd.add(20, yielding=True)

    assert workers.shutdown(SOON)
    assert workers.waiting == 0


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/torc-service/v1/x/store/turn", True),
        ("POST", "/torc-service/v1/x/nodes/7/turn", True),
        ("POST", "/torc-service/v1/x/store/join", True),
        ("POST", "/torc-service/v1/x/nodes", True),
        ("POST", "/torc-service/v1/x/nodes/7/leave", True),
        ("POST", "/torc-service/v1/x/nodes/7/beat", False),
        ("POST", "/torc-service/v1/x/store/find", False),
        ("GET", "/torc-service/v1/workflows/1", False),
    ],
)
def test_what_runners_say_yields_but_for_beats(method: str, path: str, expected: bool) -> None:
    assert yields(method, path) is expected
