"""What is asked for with a key keeps nobody from writing before it writes itself (`promises.md` Q6, `wire.md` T16)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.waiting import SOON
from torc_core.errors import Invalid
from torc_core.model import AccessGroup, Query
from torc_core.testing.plugin import SetClock
from torc_http.keeping import Answers, Sent, once
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


class Desk:
    """Takes requests that add a group, one of which is overtaken by another one with the same key."""

    def __init__(self, folder: Path, clock: SetClock) -> None:
        self.store = open_sqlite(f"sqlite://{folder}/torc.db", SqliteSettings(), clock)
        self.done: list[str] = []

    def ask(self, name: str, overtaken_by: str = "", raw: bytes = b"{}") -> Sent:
        def do() -> Sent:
            if overtaken_by:
                with ThreadPoolExecutor(1) as other:
                    other.submit(self.ask, overtaken_by).result(10)
            added = self.store.add([AccessGroup(name=name)])[0]
            self.done.append(name)
            return Sent(status=200, raw=str(added.id).encode())

        return once(self.store, "ann", "POST /groups", "k", raw, do)


@pytest.fixture
def desk(tmp_path: Path, clock: SetClock) -> Desk:
    return Desk(tmp_path, clock)


def test_a_request_that_has_not_written_yet_lets_another_one_with_its_key_overtake_it(desk: Desk) -> None:
    sent = desk.ask("slow", overtaken_by="fast")
    again = desk.ask("again")

    assert desk.done == ["fast"]
    assert [one.name for one in desk.store.find(AccessGroup, Query()).items] == ["fast"]
    assert sent == again


def test_a_request_that_is_overtaken_by_another_one_with_its_key_is_refused(desk: Desk) -> None:
    with pytest.raises(Invalid, match="came with another body before"):
        desk.ask("slow", overtaken_by="fast", raw=b"other")

    assert desk.done == ["fast"]


class Slow(Answers):
    """Keeps an answer when somebody else has asked, or has had time to."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(clock, 60.0)
        self.asked = threading.Event()

    def keep(self, *what: str, sent: Sent) -> None:
        self.asked.set()
        threading.Event().wait(0.3)
        super().keep(*what, sent=sent)


def test_a_secret_is_told_to_each_of_two_requests_that_come_together(desk: Desk, clock: SetClock) -> None:
    secrets = Slow(clock)

    def ask() -> Sent:
        def do() -> Sent:
            desk.store.add([AccessGroup(name="made")])
            return Sent(status=200, raw=b"secret")

        return once(desk.store, "ann", "POST /tokens", "k", b"{}", do, secrets)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask)
        secrets.asked.wait(SOON)
        second = pool.submit(ask)

    assert first.result() == second.result() == Sent(status=200, raw=b"secret")
