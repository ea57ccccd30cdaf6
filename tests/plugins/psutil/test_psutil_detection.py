"""What a machine is found to have, from what its kernel, its drivers and its environment say."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from torc_psutil import cgroup, detect, devices

NO_BOUNDS = cgroup.Limits(None, None)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_has_cpus_and_memory() -> None:
    found = detect.detect({"CUDA_VISIBLE_DEVICES": ""})

    assert 1 <= found.capacity.cpus <= (os.cpu_count() or 1)
    assert 0 < found.capacity.memory <= psutil.virtual_memory().total
    assert (found.capacity.gpus, found.gpus, found.num_nodes) == (0, (), 1)


def test_cpus_are_those_of_the_affinity_mask() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})

    found = detect.cpus(NO_BOUNDS)

    os.sched_setaffinity(0, before)
    assert found == 1


@pytest.mark.parametrize(("quota", "cpus"), [(0.5, 1), (1.0, 1), (1.9, 1), (1000.0, None), (None, None)])
def test_a_quota_is_rounded_down_to_at_least_one(quota, cpus) -> None:
    assert detect.cpus(cgroup.Limits(quota, None)) == (cpus or len(os.sched_getaffinity(0)))


def test_memory_is_what_the_group_may_use_if_that_is_less() -> None:
    assert detect.memory(cgroup.Limits(None, 1024)) == 1024
    assert detect.memory(cgroup.Limits(None, 2**60)) == psutil.virtual_memory().total


def test_version_two_groups_are_read_up_to_the_root(tmp_path) -> None:
    root = tree(
        tmp_path,
        {
            "proc": "0::/user/job\n",
            "cg/user/job/cpu.max": "max 100000\n",
            "cg/user/job/memory.max": "4096\n",
            "cg/user/cpu.max": "250000 100000\n",
            "cg/user/memory.max": "2048\n",
        },
    )

    assert cgroup.limits(str(root / "proc"), str(root / "cg")) == (2.5, 2048)


def test_version_one_groups_are_read_and_no_limit_is_none(tmp_path) -> None:
    root = tree(
        tmp_path,
        {
            "proc": "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n",
            "cg/cpu,cpuacct/job/cpu.cfs_quota_us": "150000\n",
            "cg/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "cg/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "cg/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "cg/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
            "cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )

    assert cgroup.limits(str(root / "proc"), str(root / "cg")) == (1.5, None)


def test_a_container_whose_group_lies_outside_of_its_view_has_the_bounds_of_the_root(tmp_path) -> None:
    root = tree(
        tmp_path, {"proc": "0::/../../elsewhere\n", "cg/cpu.max": "100000 100000", "cg/memory.max": "512"}
    )

    assert cgroup.limits(str(root / "proc"), str(root / "cg")) == (1.0, 512)


def test_a_machine_without_groups_has_no_bounds(tmp_path) -> None:
    assert cgroup.limits(str(tmp_path / "none"), str(tmp_path)) == (None, None)


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("0,1", ("0", "1")),
        ("3", ("3",)),
        (" GPU-8932f937 , MIG-17f8", ("GPU-8932f937", "MIG-17f8")),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0,-1,1", ("0",)),
        ("0,1,0,2", ("0", "1")),
    ],
)
def test_what_the_environment_shows_is_taken_as_it_is(value, ids) -> None:
    assert devices.devices({"CUDA_VISIBLE_DEVICES": value}) == (ids, False)
    assert devices.devices({"ROCR_VISIBLE_DEVICES": value}) == (ids, True)


LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-2222)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-33333333-4444)
  MIG 3g.20gb     Device  0: (UUID: MIG-aaaaaaaa-bbbb)
  MIG 3g.20gb     Device  1: (UUID: MIG-cccccccc-dddd)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-55555555-6666)
"""


def test_a_divided_device_is_listed_by_its_parts() -> None:
    assert devices.of_listing(LISTING) == ("0", "MIG-aaaaaaaa-bbbb", "MIG-cccccccc-dddd", "2")


def test_nvidia_smi_is_asked(tmp_path, monkeypatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && cat <<'END'\n{LISTING}END\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert len(devices.by_nvidia_smi()) == 4


def test_a_driver_that_hangs_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(devices, "PATIENCE", 0.3)

    begin = time.monotonic()
    found = devices.by_nvml([sys.executable, "-S", "-c", "import time; time.sleep(600)"])

    assert found == ()
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("program", ["import os; os.abort()", "raise SystemExit(1)", "print('nonsense')", ""])
def test_a_driver_that_crashes_or_talks_nonsense_has_no_devices(program) -> None:
    assert devices.by_nvml([sys.executable, "-S", "-c", program]) == ()


def test_what_nvml_says_is_taken(monkeypatch) -> None:
    assert devices.by_nvml([sys.executable, "-S", "-c", 'print(\'["0", "MIG-x"]\')']) == ("0", "MIG-x")


def test_a_machine_without_a_driver_answers_without_error() -> None:
    assert isinstance(devices.by_nvml(), tuple)


def test_amd_devices_are_the_nodes_with_vector_units(tmp_path) -> None:
    nodes = tree(
        tmp_path,
        {
            "0/properties": "cpu_cores_count 64\nsimd_count 0\n",
            "1/properties": "cpu_cores_count 0\nsimd_count 416\n",
            "2/properties": "cpu_cores_count 0\nsimd_count 416\n",
            "10/gpu_id": "7\n",
        },
    )

    assert devices.by_kernel(str(nodes)) == ("0", "1")
    assert devices.by_kernel(str(tmp_path / "none")) == ()
