"""Requests for events that wait are answered, whatever happens to the store or to those who commit."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from tests.waiting import SOON
from torc_core.errors import Unavailable
from torc_core.model import Event, Page, WorkflowId
from torc_core.protocols import Store
from torc_http.hub.streams import Streams


class Events:
    """A store of events that can be read, or not."""

    def __init__(self) -> None:
        self.readable = True
        self.items: list[Event] = []

    def find(self, kind: type[Event], query: Any) -> Page[Event]:
        if not self.readable:
            raise Unavailable("too many files are open")
        return Page(items=self.items, total=len(self.items), offset=0)


class Request:
    """A request that waits elsewhere, and remembers its answer."""

    request_id = "r"

    def __init__(self) -> None:
        self.told: list[tuple[int, Any]] = []

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> bool:
        self.told.append((status, json.loads(body)))
        return True


@pytest.fixture
def store() -> Events:
    return Events()


@pytest.fixture
def streams(store: Events) -> Streams:
    return Streams(cast("Store", store))


@pytest.fixture
def event() -> Event:
    return Event(workflow_id=WorkflowId(1), category="job_started", data={})


def held(streams: Streams, later: Callable[..., Any]) -> bool:
    return streams.hold(WorkflowId(1), 0, 10, 20.0, later)


def test_who_commits_is_not_told_that_others_cannot_read(
    streams: Streams, store: Events, event: Event
) -> None:
    request = Request()
    held(streams, lambda **how: request)

    store.readable = False
    streams.heard([event])

    assert [(status, body["error"]["message"]) for status, body in request.told] == [
        (503, "too many files are open")
    ]


def test_a_request_whose_time_is_over_at_once_is_answered(streams: Streams) -> None:
    request, over = Request(), threading.Event()

    def later(*, on_deadline: Callable[[Any], None], **how: Any) -> Request:
        def due() -> None:
            on_deadline(request)
            over.set()

        threading.Thread(target=due).start()
        over.wait(0.2)
        return request

    held(streams, later)
    over.wait(SOON)

    assert request.told == [(200, {"events": [], "after": 0})]
