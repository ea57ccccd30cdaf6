"""A runner's hand on another node of its allocation: starts, signals and reaps jobs there as the runner says.

It is started by srun, one on each node, and speaks with its runner over standard input and output. It ends with the
runner: when its input ends, everything that it has started is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from dataclasses import fields, replace
from threading import Thread
from typing import Any, BinaryIO

from torc_core.protocols import Executor, Exit, Guarding, Limiting, Task
from torc_core.runner.place import Place
from torc_core.store.codec import dumps, loads

BEGIN = b"\n\0torc-agent\0"
"""Comes before the first message: what a site's prolog prints comes before it."""
NOISE = 1 << 20
"""Bytes that may."""
HEAD = 4
OWN = ("SLURMD_NODENAME", "SLURM_TOPOLOGY_ADDR", "HOSTNAME")
"""What jobs are told of the node by Slurm."""


KINDS: dict[str, type[Any]] = {"Task": Task, "Exit": Exit}
"""Records that are told beside those of the model."""


def packed(message: object) -> bytes:
    """A message as it is sent; both ends are the same release of torc, of the same user."""
    body = dumps(_told(message))
    return len(body).to_bytes(HEAD) + body


def send(stream: BinaryIO, message: object) -> None:
    """Send a message."""
    stream.write(packed(message))
    stream.flush()


def begun(stream: BinaryIO) -> bool:
    """Pass over what comes before the first message; False: none comes."""
    last = b""
    for _ in range(NOISE):
        byte = stream.read(1)
        last = last[1 - len(BEGIN) :] + byte
        if last == BEGIN or not byte:
            return bool(byte)
    return False


def receive(stream: BinaryIO) -> Any:
    """The next message; None: the other end is gone."""
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    size = int.from_bytes(head)
    body = stream.read(size)
    return _heard(loads(body)) if len(body) == size else None


def _told(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    if isinstance(value, Task | Exit):
        return {
            "record": type(value).__name__,
            "of": {one.name: getattr(value, one.name) for one in fields(value)},
        }
    return value


def _heard(value: Any) -> Any:
    if isinstance(value, list):
        return [_heard(one) for one in value]
    if isinstance(value, dict) and value.keys() == {"record", "of"}:
        return KINDS[value["record"]](**value["of"])
    return value


class Agent:
    """Does on this node what its runner says."""

    def __init__(self, executor: Executor, given: BinaryIO, told: BinaryIO) -> None:
        self._executor = executor
        self._given = given
        self._told = told
        self._orders: deque[Any] = deque()
        self._base: dict[str, str] = {}
        self._ended = False

    def interrupt(self, number: int, frame: object) -> None:
        """Slurm ends the allocation: what is to follow is for the runner to say."""
        self._orders.append(("slurm", number))
        self._executor.wake()

    def run(self) -> None:
        """Work until the runner says that it is over, or is gone."""
        limits = isinstance(self._executor, Limiting) and self._executor.limits_memory
        self._told.write(BEGIN)
        send(self._told, ("hello", os.uname().nodename, limits))
        Thread(target=self._read, daemon=True).start()
        while not self._ended:
            exits = self._executor.wait(None)
            told = False
            while self._orders:
                told |= self._obey(*self._orders.popleft())
            if exits:
                send(self._told, ("exits", exits))
        self._executor.close()

    def _read(self) -> None:
        while (order := receive(self._given)) is not None:
            self._orders.append(order)
            self._executor.wake()
        self._orders.append(("close",))
        self._executor.wake()

    def _obey(self, what: str, *args: Any) -> bool:
        """Do one thing; whether it was told to the runner."""
        executor = self._executor
        match what:
            case "base":
                self._base = self._local(*args)
            case "start":
                executor.start([replace(task, base=self._base, env=self._env(task)) for task in args[0]])
            case "signal":
                executor.signal(*args)
            case "kill":
                executor.kill(*args)
            case "sweep":
                executor.sweep(*args)
            case "fence" if isinstance(executor, Guarding):
                seconds, lead = args
                import time

                executor.fence(time.clock_gettime(time.CLOCK_BOOTTIME) + seconds, lead)
            case "slurm":
                send(self._told, ("slurm", *args))
                return True
            case "close":
                self._ended = True
        return False

    def _local(self, base: dict[str, str], position: int) -> dict[str, str]:
        """The environment of jobs, as it is on this node."""
        here = {name: os.environ[name] for name in OWN if name in os.environ and name in base}
        place = Place.here()
        return {**base, **here, "SLURM_NODEID": str(position), "TORC_RUNNER": f"{place.pid}.{place.start}"}

    def _env(self, task: Task) -> dict[str, str]:
        return {**task.env, **{name: self._base[name] for name in ("TORC_RUNNER",) if name in task.env}}


def main() -> int:
    """Serve the runner at the other end of standard input and output."""
    from torc_core.config import Config
    from torc_core.host import Host

    given = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    # NOTE: what a library prints must not get between the messages.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    host = Host.load(Config.load())
    provider = host.executors["subprocess"]
    executor = provider.open(host.settings("executors", provider))
    agent = Agent(executor, given, told)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, agent.interrupt)
    try:
        agent.run()
    except BrokenPipeError:
        executor.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
