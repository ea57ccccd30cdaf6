"""Who hears of which workflow on an event stream, as rights come and go while it is open (`wire.md` §7.4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until
from torc_core.errors import Unavailable
from torc_core.model import GroupLink, Initialize, Query, WorkflowId
from torc_core.testing import plans
from torc_http.app import create_app
from torc_http.call import Service
from torc_http.hub.streams import Streams

from .conftest import BASE, Api, Credential, basic


class Line:
    """The connection of a reader, and the one request that asks for it."""

    unsent = 0

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.on_gone: Callable[[Any], None] | None = None

    def stream(self, *, user: str, on_gone: Callable[[Any], None] | None = None) -> Line:
        self.on_gone = on_gone
        return self

    def send(self, piece: bytes) -> bool:
        self.sent += piece
        return not self.closed

    def close(self) -> None:
        self.closed = True

    def heard(self, category: str) -> list[int]:
        """The workflows of which such an event was told."""
        lines = [line[6:] for line in self.sent.decode().splitlines() if line.startswith("data: ")]
        told = [one for one in map(json.loads, lines) if one.get("event_type") == category]
        return [one["workflow_id"] for one in told]


@pytest.fixture
def streams(rooms: Api) -> Streams:
    found = Streams(rooms.store)
    rooms.store.listen(found.heard)  # type: ignore[attr-defined]  # this store tells of its commits
    return found


@pytest.fixture
def follow(rooms: Api, streams: Streams) -> Callable[..., Line]:
    """Opens a stream as somebody; what was before is read back when it returns."""
    service = Service(store=rooms.store, clock=rooms.clock, parts={"streams": streams})
    call = rooms.security.front(create_app(rooms.security.complete(service)))

    def opened(user: str, path: str = "/x/events/stream", query: str = "") -> Line:
        line = Line()
        rooms.call = lambda environ, start: call({"torc.hold": line, **environ}, start)
        reply = rooms.ask("GET", BASE + path, Credential(headers=basic(user)), query=query)
        assert reply.status == 200, reply.raw
        until(lambda: all(reader.live or reader.gone for reader in streams._readers))
        return line

    return opened


def begin(api: Api, workflow: WorkflowId) -> None:
    """Something happens in a workflow."""
    api.store.initialize(workflow, Initialize(force=True))


def test_a_workflow_that_is_made_while_a_stream_is_open_is_told_of(rooms: Api, follow: Any) -> None:
    line = follow("ann")

    mine, others = (rooms.store.create(plans.fan(1), user).id for user in ("ann", "eve"))
    for workflow in (mine, others):
        begin(rooms, workflow)

    assert line.heard("workflow_started") == [mine]


def test_a_workflow_that_is_linked_while_a_stream_is_open_is_told_of_soon(rooms: Api, follow: Any) -> None:
    line = follow("bob")
    rooms.store.add([GroupLink(workflow_id=rooms.theirs, group_id=_team(rooms))])
    rooms.clock.move(6)

    begin(rooms, rooms.theirs)

    assert line.heard("workflow_started") == [rooms.theirs]


@pytest.mark.parametrize("path", ["/x/events/stream", "/workflows/1/events/stream"])
def test_who_may_not_read_a_workflow_any_more_hears_no_more_of_it(rooms: Api, follow: Any, path: str) -> None:
    line = follow("bob", path)
    begin(rooms, rooms.ours)
    links = rooms.store.find(GroupLink, Query(workflow=rooms.ours)).items
    rooms.store.remove(GroupLink, [one.id for one in links])
    rooms.clock.move(6)

    begin(rooms, rooms.ours)

    assert line.heard("workflow_started") == [rooms.ours]


def test_that_a_workflow_was_deleted_is_told_to_those_who_could_read_it(rooms: Api, follow: Any) -> None:
    line = follow("bob")
    rooms.clock.move(6)

    rooms.store.delete(rooms.ours, force=True)
    rooms.store.delete(rooms.theirs, force=True)

    assert line.heard("workflow_deleted") == [rooms.ours]


def test_a_stream_that_cannot_be_begun_ends(
    rooms: Api, follow: Any, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newest(store: Any) -> int:
        raise Unavailable("too many files are open")

    follow("ann")
    line, call = Line(), rooms.call
    monkeypatch.setattr("torc_http.hub.streams.newest_event", newest)
    rooms.call = lambda environ, start: call({**environ, "torc.hold": line}, start)
    rooms.ask("GET", BASE + "/x/events/stream", Credential(headers=basic("ann")))

    assert line.closed


def test_a_reader_that_has_hung_up_is_forgotten_though_nothing_happens(follow: Any, streams: Streams) -> None:
    line = follow("ann")
    assert len(streams) == 1

    assert line.on_gone is not None
    line.on_gone(line)

    assert len(streams) == 0


def test_a_reader_that_cannot_be_read_back_is_let_go_and_the_others_are_served(
    rooms: Api, follow: Any, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise Unavailable("the file system reports an error")

    with monkeypatch.context() as patched:
        patched.setattr("torc_http.hub.streams.events_after", broken)
        line = follow("ann", query="after=0")
        until(lambda: line.closed)
    other = follow("ann", query="after=0")

    assert len(streams) == 1
    assert other.heard("workflow_started") == [rooms.ours]


def _team(rooms: Api) -> Any:
    return rooms.store.find(GroupLink, Query(workflow=rooms.ours)).items[0].group_id
