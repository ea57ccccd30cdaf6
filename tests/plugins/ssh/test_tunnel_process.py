"""The process that holds tunnels: no machine's trouble is another's, and it ends when nobody needs it (`remote.md` RW57)."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from torc_core.engine.addresses import Address
from torc_core.errors import NotFound, Unavailable
from torc_core.model import WorkflowId
from torc_ssh.connection import Ran
from torc_ssh.trouble import Unreachable
from torc_ssh.tunnel import process
from torc_ssh.tunnel.process import Holder, watch
from torc_ssh.tunnel.relay import Route


class Line:
    """A connection on which forwards come about, unless the host forbids them or something unforeseen happens."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.alive = True
        self.port = 4711

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.alive = False

    def forward(self, target: tuple[str, int], port: int = 0) -> Line:
        if self.host == "forbids":
            raise Unreachable(self.host, "it does not allow forwarding")
        if self.host == "odd":
            raise RuntimeError("nobody has thought of this")
        return self

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        return Ran(status=0, stdout=b"", stderr=b"")

    def close(self) -> None:
        self.alive = False


class Lines:
    """Makes them."""

    def connection(self, address: Address, *, timeout: float | None = None) -> Line:
        return Line(address.host)


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Holder]:
    monkeypatch.setattr(process, "safe_route", lambda url: Route(host="127.0.0.1", port=9))
    monkeypatch.setattr(process, "LOOK", 0.05)
    made = Holder(Lines(), "http://127.0.0.1:9")  # type: ignore[arg-type]  # as much of a connector as it needs
    yield made
    made.close()


class Stores:
    """Opens stores that say one thing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def open_store(self, url: str, clock: object) -> Stores:
        return self

    def totals(self, workflows: list[WorkflowId]) -> Any:
        raise self.error

    def close(self) -> None:
        pass


def test_a_machine_that_forbids_tunnels_ends_no_others(holder: Holder) -> None:
    refused = holder.answer({"add": "forbids"})
    over = holder.over.is_set()
    made = holder.answer({"add": "fine"})

    assert "does not allow forwarding" in refused["error"]
    assert not over
    assert made == {"port": 4711}


def test_whatever_happens_to_a_tunnel_who_asked_is_answered(holder: Holder) -> None:
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.append(holder.answer({"add": "odd"})), daemon=True)
    asking.start()
    asking.join(5)

    assert [one["error"] for one in told] == ["no tunnel; see the log of the tunnel process"]


def test_who_comes_when_it_is_ending_is_told_so(holder: Holder) -> None:
    holder.answer({"add": "fine"})
    holder.answer({"drop": "fine"})

    assert holder.answer({"add": "other"}) == {"over": True}


def test_it_ends_when_the_workflow_is_deleted(holder: Holder) -> None:
    holder.answer({"add": "fine"})
    watching = threading.Thread(
        target=watch, args=(holder, Stores(NotFound("no workflow 7")), 7, "x"), daemon=True
    )
    watching.start()
    watching.join(5)

    assert not watching.is_alive()


def test_it_outlives_a_store_that_is_away(holder: Holder) -> None:
    holder.answer({"add": "fine"})
    watching = threading.Thread(target=watch, args=(holder, Stores(Unavailable("away")), 7, "x"), daemon=True)
    watching.start()
    watching.join(0.5)
    lives = watching.is_alive()
    holder.over.set()
    watching.join(5)

    assert lives
    assert not watching.is_alive()


def test_it_ends_when_it_has_held_no_tunnel_for_a_while(
    holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LEAVE", 0.2)
    holder.answer({"add": "forbids"})
    watching = threading.Thread(target=watch, args=(holder, Stores(Unavailable("away")), 7, "x"), daemon=True)
    watching.start()
    watching.join(5)

    assert not watching.is_alive()


def test_one_that_begins_waits_for_a_former_one_that_is_ending(tmp_path: Path) -> None:
    told = {
        "socket": str(tmp_path / "s"), "lock": str(tmp_path / "lock"), "here": "http://127.0.0.1:9", "workflow": 7,
        "flags": {},
    }  # fmt: skip
    with open(tmp_path / "lock", "w") as former:
        fcntl.flock(former, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-m", process.__name__], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert second.stdin is not None
        second.stdin.write(json.dumps(told).encode() + b"\n")
        second.stdin.close()
        time.sleep(1.5)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "s").exists() and second.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert second.poll() is None
    finally:
        second.kill()
        second.wait()
