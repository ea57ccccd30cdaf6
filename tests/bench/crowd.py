"""A crowd of runners on other machines, in one process that takes from this machine as little as it can.

The crowd stands for a thousand machines. Their processors would not be those of the server, so what a runner does
between an answer and its next request may not be paid from the two cores on which the server and the measured command
run: one process and one thread write raw requests and read raw answers, and it runs with `SCHED_IDLE`, whenever nobody
else wants to. What the server sees is a runner in full: its own connection, its own session with its own proof of the
key, every request signed, the routes that our runner uses, and the next request as soon as the answer is there.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

from torc_core.config.credentials import Credentials
from torc_core.model import Ending, JobStatus, NewNode, Offer, Orders, Resources, Turn
from torc_core.system import SystemClock
from torc_http.auth import keyfile
from torc_http.auth.encoding import as_bytes, as_text, digest, mac
from torc_http.auth.session import handshake
from torc_http.routes import BASE
from torc_http.wire import values

CLOCK = SystemClock()
CAPACITY = Resources(cpus=4, memory=2**36, gpus=0)
WAIT_MS = 5_000

Life = Generator[tuple[str, bytes], Any, None]
"""A runner: gives a path and a body, and is sent the answer."""


def step_back() -> None:
    """Run only when nobody else wants to."""
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def endings(orders: Orders) -> list[Ending]:
    """The ends of the jobs that were given, as a runner that runs nothing reports them."""
    return [
        Ending(
            job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease,
            status=JobStatus.COMPLETED, return_code=0,
        )
        for one in orders.jobs
    ]  # fmt: skip


class Runner:
    """One runner: what it says next, and the session in which it says so."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.life = self._live()
        self.socket: socket.socket | None = None
        self.sent: bytes = b""
        self.got = bytearray()
        self.told = False
        self._session: tuple[str, bytes] | None = None
        self._requests = itertools.count(1)

    def request(self, path: str, body: bytes) -> bytes:
        """The bytes of a request."""
        target = BASE + path
        head = f"POST {target} HTTP/1.1\r\nHost: {self.crowd.host}\r\nAccept: application/json\r\n"
        if self._session is not None:
            number = next(self._requests)
            signed = as_text(mac(self._session[1], "q", number, "POST", target, digest(body)))
            head += f"Authorization: Torc s={self._session[0]}, n={number}, m={signed}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def _live(self) -> Life:
        crowd, key = self.crowd, self.crowd.key
        nonce = os.urandom(32)
        asked = json.dumps({"key_id": key.key_id, "client_nonce": as_text(nonce)}).encode()
        told = json.loads((yield "/x/auth/session", asked))
        about = handshake(key.server_id, told["session_id"], nonce, as_bytes(told["server_nonce"]) or b"")
        self._session = told["session_id"], mac(key.key, "torc-k1", *about)
        epoch = CLOCK.uuid()
        node = NewNode(
            workflow_id=crowd.workflow, epoch=epoch, hostname=f"n{self.number}", pid=1, boot_id="b", process_start=1,
            capacity=CAPACITY,
        )  # fmt: skip
        joined = values.loads((yield "/x/store/join", _call(node)))
        ends: list[Ending] = []
        while True:
            wait = 0 if ends else WAIT_MS
            offer = Offer(claim_id=CLOCK.uuid(), free=[CAPACITY], limit=4, wait_ms=wait)
            turn = Turn(node=joined.id, epoch=epoch, endings=ends, offer=offer)
            orders = values.loads((yield "/x/store/turn", _call(turn)))
            crowd.counts["ended"] += len(ends)
            if not self.told:
                self.told = True
                crowd.counts["last_served"] = int((time.time() - crowd.at) * 1000)
            if orders.complete:
                break
            ends = endings(orders)
            if orders.pause_ms:
                yield "", orders.pause_ms.to_bytes(4)
        yield "/x/store/leave", _call(joined.id, None)
        crowd.counts["joined"] += 1


class Crowd:
    """So many runners, each with a connection of its own, that come within a second."""

    def __init__(self, url: str, port: int, folder: Path, workflow: int, at: float) -> None:
        credentials = Credentials(username="bench", key_folder=folder / ".config/torc/servers")
        (self.key,) = keyfile.found(credentials.key_folder, url)
        self.host = f"127.0.0.1:{port}"
        self.port = port
        self.workflow: Any = workflow
        self.at = at
        self.counts: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Runner, bytes | None]] = []
        self._alive = 0

    def run(self, runners: int) -> Counter[str]:
        """Live all lives; what was counted."""
        for number in range(runners):
            heapq.heappush(self._due, (self.at + 0.9 * number / runners, number, Runner(self, number), b""))
        self._alive = runners
        while self._alive:
            wait = max(0.0, self._due[0][0] - time.time()) if self._due else 5.0
            for key, _ in self._selector.select(wait):
                self._safely(key.data, self._read)
            while self._due and self._due[0][0] <= time.time():
                _, _, runner, answer = heapq.heappop(self._due)
                self._safely(runner, lambda one, answer=answer: self._go_on(one, answer or None))
        self.counts["wall"] = int((time.time() - self.at) * 1000)
        return self.counts

    def _safely(self, runner: Runner, function: Any) -> None:
        try:
            function(runner)
        except StopIteration:
            self._end(runner)
        except Exception as error:  # the table shows it
            self.counts[f"error {type(error).__name__}: {error}"[:150]] += 1
            self._end(runner)

    def _end(self, runner: Runner) -> None:
        self._alive -= 1
        self._hang_up(runner)

    def _hang_up(self, runner: Runner) -> None:
        if runner.socket is not None:
            self._selector.unregister(runner.socket)
            runner.socket.close()
            runner.socket = None

    def _go_on(self, runner: Runner, answer: bytes | None) -> None:
        path, body = next(runner.life) if answer is None else runner.life.send(answer)
        if not path:
            pause = int.from_bytes(body) / 1000
            heapq.heappush(self._due, (time.time() + pause, runner.number, runner, None))
            return
        if runner.socket is None:
            runner.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            runner.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(runner.socket, selectors.EVENT_READ, runner)
        runner.got.clear()
        runner.socket.sendall(runner.request(path, body))

    def _read(self, runner: Runner) -> None:
        assert runner.socket is not None
        piece = runner.socket.recv(262_144)
        if not piece:
            raise ConnectionError("the server hung up")
        runner.got += piece
        head, end, body = runner.got.partition(b"\r\n\r\n")
        if not end:
            return
        fields = head.lower()
        length = int(fields.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if b" 200 " not in head[:16]:
            raise ValueError(bytes(body[:100]).decode())
        if b"connection: close" in fields:
            self._hang_up(runner)
        self._go_on(runner, bytes(body))


def _call(*args: object) -> bytes:
    return values.dumps({"args": list(args), "named": {}})


def work(url: str, port: int, folder: str, workflow: int, runners: int, at: float, told: Any) -> None:
    """A process of its own: so many runners that come at a moment; what was counted is put into a queue."""
    step_back()
    told.put(dict(Crowd(url, port, Path(folder), workflow, at).run(runners)))
