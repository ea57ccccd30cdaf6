"""The child that asks NVIDIA's driver, with a library in the place of the driver's that tells of a divided device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_psutil import devices
from torc_psutil.gpus import Gpus, Reading

LIBRARY = """
from types import SimpleNamespace
class NVMLError(Exception):
    pass
NVML_DEVICE_MIG_ENABLE = 1
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return 3
def nvmlDeviceGetHandleByIndex(index): return ("device", index)
def nvmlDeviceGetMigMode(handle):
    if handle[1] == 0:
        raise NVMLError("not supported")
    return (1, 1) if handle[1] == 1 else (0, 0)
def nvmlDeviceGetMaxMigDeviceCount(handle): return 7
def nvmlDeviceGetMigDeviceHandleByIndex(handle, position):
    if position > 1:
        raise NVMLError("no such part")
    return ("part", position)
def nvmlDeviceGetUUID(handle):
    return b"GPU-%d" % handle[1] if handle[0] == "device" else "MIG-%d" % handle[1]
def nvmlDeviceGetName(handle): return "H100"
def nvmlDeviceGetMemoryInfo(handle, version=None):
    if version:
        raise NVMLError("too old")
    return SimpleNamespace(total=80 << 30, used=(handle[1] + 1) << 30)
def nvmlDeviceGetUtilizationRates(handle):
    if handle[0] == "part":
        raise NVMLError("not supported")
    return SimpleNamespace(gpu=42)
def nvmlDeviceGetComputeRunningProcesses(handle):
    return [SimpleNamespace(pid=7, usedGpuMemory=1 << 20)] if handle == ("device", 0) else []
def nvmlDeviceGetGraphicsRunningProcesses(handle): raise NVMLError("not supported")
"""


@pytest.fixture(autouse=True)
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pynvml.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def asked() -> Iterator[Gpus]:
    one = Gpus([*devices.NVML, "serve"])
    yield one
    one.close()


def test_a_divided_device_is_offered_by_its_parts():
    assert devices.by_nvml() == ("0", "MIG-0", "MIG-1", "2")


def test_devices_are_described_with_memory_and_what_they_are_part_of():
    found = devices.described()

    assert [(one["id"], one["uuid"], one["part_of"]) for one in found] == [
        ("0", "GPU-0", None),
        ("MIG-0", "MIG-0", "GPU-1"),
        ("MIG-1", "MIG-1", "GPU-1"),
        ("2", "GPU-2", None),
    ]
    assert {one["memory_bytes"] for one in found} == {80 << 30}


def test_what_is_used_is_told_as_far_as_the_driver_does(asked):
    reading, end = Reading(), time.monotonic() + 20
    while not reading.devices and time.monotonic() < end:
        reading = asked.read()
        time.sleep(0.05)

    whole, part = reading.of(["0"]), reading.of(["MIG-1"])
    assert (whole.percent, whole.memory) == (42.0, 1 << 30)
    assert reading.of(["0"], [7]).memory == 1 << 20
    assert (part.percent, part.memory) == (None, 2 << 30)


def test_a_library_in_the_working_directory_is_not_taken_for_the_drivers(tmp_path, monkeypatch):
    """Jobs are started where the user stands, and so is the child."""
    (tmp_path / "pynvml.py").write_text("raise SystemExit(3)")
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.chdir(tmp_path)

    assert "-P" in devices.NVML
    assert devices.by_nvml() == ()
