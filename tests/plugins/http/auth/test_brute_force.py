"""Whoever guesses passwords keeps nobody else waiting (`promises.md` C27; `TORC_BRUTE_FORCE_SECONDS` for the full count)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import is_quick
from torc_core.system import SystemClock
from torc_http.auth.passwords import hashed
from torc_http.auth.settings import AuthSettings
from torc_http.serving.identity import Peer
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

SECONDS = float(os.environ.get("TORC_BRUTE_FORCE_SECONDS", "1"))
BASE = "/torc-service/v1"


@pytest.fixture
def slow(tmp_path: Path, make_api: Any) -> Iterator[Any]:
    """A server by the real clock, whose passwords take as long to check as they do outside of tests."""
    users = tmp_path / "users"
    users.write_text(f"ann:{hashed('secret', 10)}\n")
    users.chmod(0o600)
    clock: Any = SystemClock()
    settings = AuthSettings(owner="alice", host="kl3", auth_file=str(users))
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        yield make_api(store, clock, settings, tmp_path)


def test_a_flood_of_wrong_passwords_keeps_nobody_waiting(slow: Any, world: Any) -> None:
    ann = world[1]["the owner of the workflow"]
    guess = replace(
        world[1]["a wrong password"], peer=lambda: Peer(kind="tcp", address="10.9.9.9", why="remote")
    )
    assert slow.ask("GET", f"{BASE}/workflows", ann).status == 200
    stop, answers, started = threading.Event(), list[int](), time.monotonic()

    def flood() -> None:
        while not stop.is_set():
            answers.append(slow.ask("GET", f"{BASE}/workflows", guess).status)
            time.sleep(0.04)

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()

    def longest() -> float:
        took = []
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            begun = time.perf_counter()
            assert slow.ask("GET", f"{BASE}/workflows", ann).status == 200
            took.append(time.perf_counter() - begun)
            time.sleep(0.01)
        took.sort()
        return took[int(len(took) * 0.99)]

    quick = is_quick(longest, 0.2)
    stop.set()
    for thread in threads:
        thread.join()

    assert quick
    assert {*answers} <= {401, 429}
    assert answers.count(401) <= 5 + 4 + time.monotonic() - started


def test_a_stranger_costs_what_a_user_costs(slow: Any) -> None:
    verifier = slow.security.gate._verifier

    def cost(user: str) -> float:
        begun = time.process_time()
        verifier.verify(user, "wrong")
        return time.process_time() - begun

    known, unknown = (min(cost(user) for _ in range(3)) for user in ("ann", "zoe"))

    assert 0.5 < known / unknown < 2
