"""What devices use, told by a driver that may be slow, dead or confused."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.waiting import until
from torc_psutil import gpus
from torc_psutil.gpus import Device, Gpus, Reading

TWO = [
    {"id": "0", "uuid": "GPU-aaaa-1", "percent": 40, "memory": 3000, "processes": [[11, 1000], [12, 1500]]},
    {"id": "1", "uuid": "GPU-bbbb-2", "percent": 60, "memory": 5000, "processes": [[13, None]]},
]


def program(body: str) -> list[str]:
    return [sys.executable, "-S", "-c", f"import sys, time\nfor line in sys.stdin:\n    {body}"]


@pytest.fixture
def asked() -> Iterator[Callable[[list[str]], Gpus]]:
    opened = []

    def make(command: list[str]) -> Gpus:
        opened.append(Gpus(command))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def answered(one: Gpus, seconds: float = 60.0) -> Reading:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (reading := one.read()).devices:
            return reading
        time.sleep(0.05)
    return Reading()


def reading() -> Reading:
    return Reading(devices=[gpus._device(one) for one in TWO])


def test_what_the_driver_tells_is_taken(asked):
    found = answered(asked(program(f"print({json.dumps(TWO)!r}, flush=True)")))

    assert [one.id for one in found.devices] == ["0", "1"]
    assert found.devices[0].processes == {11: 1000, 12: 1500}


def test_a_driver_that_is_slow_holds_nobody_up(asked):
    one = asked(program("time.sleep(600)"))

    begin = time.monotonic()
    found = [one.read() for _ in range(5)]

    assert time.monotonic() - begin < 30
    assert not any(each.devices for each in found)


def test_a_late_answer_is_not_taken_for_one_to_a_later_question(asked):
    body = f"time.sleep(0.5); print({json.dumps(TWO)!r}, flush=True)"
    one = asked(program(body))

    one.read()
    time.sleep(1.5)

    assert not one.read().devices
    assert one._asked_at is not None


@pytest.mark.parametrize("body", ["sys.exit(1)", "print('nonsense', flush=True)", "print('[1]', flush=True)"])
def test_a_driver_that_dies_or_talks_nonsense_is_not_asked_again(asked, body):
    one = asked(program(body))

    until(lambda: one.read().devices or one._dead)

    assert one._dead


def test_a_driver_that_never_answers_is_given_up(asked, monkeypatch):
    monkeypatch.setattr(gpus, "GIVE_UP", 0.2)
    one = asked(program("time.sleep(600)"))

    one.read()
    time.sleep(0.3)
    one.read()

    assert one._dead


def test_a_program_that_cannot_be_started_means_no_devices(asked):
    assert not asked(["/nowhere/at/all"]).read().devices


def test_a_job_has_what_is_used_on_its_own_devices():
    assert reading().of(["1"]) == gpus.Used(percent=60.0, memory=5000)
    assert reading().of(["0", "1"]) == gpus.Used(percent=100.0, memory=8000)
    assert reading().of([]) == gpus.Used()


def test_memory_is_that_of_its_own_processes_where_the_driver_knows_them():
    assert reading().of(["0"], [12, 99]).memory == 1500
    assert reading().of(["0"], [99]).memory == 3000
    assert reading().of(["1"], [13]).memory == 5000


def test_of_devices_that_others_use_too_only_its_own_memory_is_told():
    assert reading().of(["0", "1"], [12], shared=True) == gpus.Used(percent=None, memory=1500)
    assert reading().of(["0", "1"], [99], shared=True) == gpus.Used()


def test_devices_are_named_by_index_or_by_the_beginning_of_a_uuid():
    assert reading().of(["GPU-bbbb"]).percent == 60.0
    assert reading().of(["gpu-aaaa-1"]).percent == 40.0
    assert reading().of(["MIG-aaaa"]) == gpus.Used()


def test_what_the_driver_does_not_tell_is_unknown():
    part = Device(id="MIG-1", uuid="MIG-1", percent=None, memory=7, processes={})

    assert Reading(devices=[part]).of(["MIG-1"]) == gpus.Used(percent=None, memory=7)
