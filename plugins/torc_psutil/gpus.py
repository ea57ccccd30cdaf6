"""What NVIDIA's devices use, asked of a child process that can hang or crash without doing harm."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field

from torc_core.record import record
from torc_psutil.devices import NVIDIA, NVML

ANSWER_WITHIN = 0.3
"""Seconds that a sample waits for the driver; what comes later is thrown away."""
GIVE_UP = 30.0
"""Seconds without an answer after which the driver is not asked again."""
FRESH = 0.2
"""Seconds for which an answer is good for a second question."""
COMMAND = (*NVML, "serve")

log = logging.getLogger(__name__)


@record(frozen=True, slots=True, kw_only=True)
class Device:
    """What one device, or a part of one, uses now; None: the driver does not tell."""

    id: str
    uuid: str
    percent: float | None
    memory: int | None
    processes: Mapping[int, int | None]


@record(frozen=True, slots=True, kw_only=True)
class Used:
    """Of some devices together: percent of one device, bytes."""

    percent: float | None = None
    memory: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class Reading:
    """What all devices use at one moment."""

    devices: Sequence[Device] = field(default=())

    def of(self, ids: Collection[str], pids: Collection[int] = (), *, shared: bool = False) -> Used:
        """What these devices use, named as `CUDA_VISIBLE_DEVICES` names them.

        Parameters
        ----------
        pids
            Whose memory it is; where the driver knows none of them (in a container it has other numbers for them),
            all memory that is in use on the devices counts.
        shared
            Others use the devices too, so that only the memory of these processes can be told.
        """
        mine = [one for one in self.devices if any(_is(one, id) for id in ids)]
        percents = [one.percent for one in mine if one.percent is not None]
        memory = [one.memory for one in mine if one.memory is not None]
        theirs = [
            amount
            for one in mine
            for pid, amount in one.processes.items()
            if pid in pids and amount is not None
        ]
        if shared:
            return Used(memory=sum(theirs) if theirs else None)
        return Used(
            percent=sum(percents) if percents else None,
            memory=sum(theirs) if theirs else sum(memory) if memory else None,
        )


class Gpus:
    """Asks when it is asked; starts its child at the first time. Used by one thread."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._dead = False
        self._asked_at: float | None = None
        self._text = b""
        self._last = Reading()
        self._last_at = 0.0

    def read(self) -> Reading:
        """What the devices use now; nothing when the driver is slow, or there is none."""
        now = time.monotonic()
        if self._dead:
            return Reading()
        if self._last_at and now - self._last_at < FRESH:
            return self._last
        if not self._started():
            return Reading()
        late = self._asked_at
        if late is not None and self._answer(0.0) is None and now - late > GIVE_UP:
            self._give_up(f"no answer for {now - late:.0f} s")
        if self._dead or self._asked_at is not None or not self._ask(now):
            return Reading()
        # NOTE: the first answer takes a second or more, while the driver wakes up; it is waited for by nobody.
        reading = self._answer(ANSWER_WITHIN)
        if reading is None:
            return Reading()
        self._last, self._last_at = reading, time.monotonic()
        return reading

    def close(self) -> None:
        """End the child."""
        child, self._child, self._dead = self._child, None, True
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            # Stuck inside the driver, not even to be killed: it is left alone.
            child.returncode = -9

    def _started(self) -> bool:
        if self._child is not None:
            return True
        if self._command is COMMAND and not any(map(os.path.exists, NVIDIA)):
            self._dead = True
            return False
        try:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._give_up(str(error))
            return False
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        return True

    def _ask(self, now: float) -> bool:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(b"\n")
        except OSError:
            self._give_up("it has ended")
            return False
        self._asked_at, self._text = now, b""
        return True

    def _answer(self, patience: float) -> Reading | None:
        """The answer to the last question; None: it is not there yet, or makes no sense."""
        assert self._child is not None
        assert self._child.stdout is not None
        deadline = time.monotonic() + patience
        poll = select.poll()
        poll.register(self._child.stdout, select.POLLIN)
        while not self._text.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            part = self._child.stdout.read(1 << 16)
            if not part:
                self._give_up("it has ended")
                return None
            self._text += part
        self._asked_at = None
        try:
            return Reading(devices=[_device(one) for one in json.loads(self._text)])
        except (ValueError, TypeError, KeyError, AttributeError):
            self._give_up("it talks nonsense")
            return None

    def _give_up(self, why: str) -> None:
        log.warning("gpus_not_measured reason=%r", why)
        self.close()


def _device(told: Mapping[str, object]) -> Device:
    percent, memory, processes = told["percent"], told["memory"], told["processes"]
    return Device(
        id=str(told["id"]),
        uuid=str(told["uuid"]),
        percent=float(percent) if isinstance(percent, int | float) else None,
        memory=memory if isinstance(memory, int) else None,
        processes=dict(processes) if isinstance(processes, list) else {},
    )


def _is(device: Device, id: str) -> bool:
    """Whether an id of `CUDA_VISIBLE_DEVICES` means this device: an index, or the beginning of a UUID."""
    return id == device.id or (len(id) > 4 and device.uuid.lower().startswith(id.lower()))
