"""Which GPUs this process may use, in the form in which they go into `CUDA_VISIBLE_DEVICES`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

PATIENCE = 10.0
"""Seconds that a driver has to answer."""
NVIDIA = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")
"""Where one of these exists, it is worth the time to ask NVIDIA's driver."""
NVML = (sys.executable, "-P", "-m", "torc_psutil.nvml")
KFD = "/sys/class/kfd/kfd/topology/nodes"

NOBODY = frozenset({"", "-1", "none", "void", "nodevfiles"})
GPU_LINE = re.compile(r"GPU (\d+):")
MIG_LINE = re.compile(r"\s+MIG .*\(UUID:\s*(MIG-[^)]+)\)")


def devices(environ: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    """The ids of the devices, and whether they are AMD's.

    What the environment says is taken as it is, empty for none; else the NVIDIA driver is asked through NVML, then
    through `nvidia-smi`, and then the kernel about AMD's devices.
    """
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        if name in environ:
            return listed(environ[name]), "ROCR_VISIBLE_DEVICES" in environ
    if any(map(os.path.exists, NVIDIA)):
        found = by_nvml() or by_nvidia_smi()
        if found:
            return found, False
    found = by_kernel()
    return found, bool(found)


def listed(value: str) -> tuple[str, ...]:
    """The ids in a variable; those behind an invalid one are not visible (CUDA's rule), nor is one named twice."""
    ids: list[str] = []
    for one in map(str.strip, value.split(",")):
        if one.lower() in NOBODY or one in ids:
            break
        ids.append(one)
    return tuple(ids)


def described() -> list[dict[str, object]]:
    """What NVML knows of each device: id, UUID, name, bytes of memory, and what it is a part of (MIG)."""
    try:
        return list(json.loads(_answer((*NVML, "describe"))))
    except ValueError:
        return []


def by_nvml(command: Sequence[str] = NVML) -> tuple[str, ...]:
    """What NVML says, asked in a child process: a driver can hang or crash whoever asks it."""
    try:
        return tuple(map(str, json.loads(_answer(command))))
    except ValueError:
        return ()


def by_nvidia_smi(program: str = "nvidia-smi") -> tuple[str, ...]:
    """What `nvidia-smi -L` lists: indices, and ids of the parts where a device is divided (MIG)."""
    path = shutil.which(program)
    return of_listing(_answer((path, "-L"))) if path else ()


def of_listing(text: str) -> tuple[str, ...]:
    """Read the output of `nvidia-smi -L`."""
    ids: list[str] = []
    last = ""
    for line in text.splitlines():
        if gpu := GPU_LINE.match(line):
            last = gpu[1]
            ids.append(last)
        elif part := MIG_LINE.match(line):
            if ids and ids[-1] == last:
                ids.pop()
            ids.append(part[1])
    return tuple(ids)


def by_kernel(nodes: str = KFD) -> tuple[str, ...]:
    """AMD devices that the kernel knows: the nodes of its topology that have vector units, numbered from 0.

    Source: the amdkfd driver, which lists CPUs (`simd_count 0`) among the nodes.
    """
    try:
        names = sorted(os.listdir(nodes), key=lambda name: (len(name), name))
    except OSError:
        return ()
    count = 0
    for name in names:
        try:
            with open(f"{nodes}/{name}/properties", encoding="ascii") as file:
                values = dict(line.split(None, 1) for line in file if " " in line)
        except OSError:
            # A container sees the topology, but only the properties of the devices that it was given.
            continue
        count += values.get("simd_count", "0").strip() not in ("", "0")
    return tuple(map(str, range(count)))


def _answer(command: Sequence[str]) -> str:
    """What a program prints within `PATIENCE`; empty when it fails, or does not answer."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    except OSError:
        return ""
    with child:
        try:
            out, _ = child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            try:
                child.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                # Stuck inside the driver, not even to be killed: it is left alone.
                child.returncode = -9
            return ""
    return out if child.returncode == 0 else ""
