"""Reads the bounds that control groups, version 1 or 2, set to this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

ROOT = "/sys/fs/cgroup"
UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of the page size."""


class Limits(NamedTuple):
    """CPUs of quota per period, bytes; None: no bound."""

    cpus: float | None
    memory: int | None


def limits(proc: str = "/proc/self/cgroup", root: str = ROOT) -> Limits:
    """The tightest bounds of this process's groups and of all groups above them.

    Sources: cgroups(7) for `/proc/self/cgroup`; the kernel's cgroup-v2 guide for `cpu.max` and `memory.max`, its
    cgroup-v1 guides for `cpu.cfs_quota_us`, `cpu.cfs_period_us` and `memory.limit_in_bytes`.
    """
    cpus: list[float] = []
    memory: list[int] = []
    for line in _text(proc).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",")
        if number == "0" and not controllers:
            for folder in (*_upwards(root, path), *_upwards(f"{root}/unified", path)):
                written, _, each = _text(f"{folder}/cpu.max").strip().partition(" ")
                if written.isdigit() and each.isdigit():
                    cpus.append(int(written) / int(each))
                memory += _number(f"{folder}/memory.max")
        if "cpu" in names:
            for folder in (*_upwards(f"{root}/{controllers}", path), *_upwards(f"{root}/cpu", path)):
                for quota, period in zip(
                    _number(f"{folder}/cpu.cfs_quota_us"),
                    _number(f"{folder}/cpu.cfs_period_us"),
                    strict=False,
                ):
                    cpus.append(quota / period)
        if "memory" in names:
            for folder in _upwards(f"{root}/memory", path):
                memory += [limit for limit in _number(f"{folder}/memory.limit_in_bytes") if limit < UNLIMITED]
    return Limits(min(cpus, default=None), min(memory, default=None))


def _upwards(mount: str, path: str) -> Iterator[str]:
    """The folder of a group, and of all above it. In a container the path may lie outside of what is mounted."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for end in range(len(parts), -1, -1):
        yield "/".join((mount, *parts[:end]))


def _number(path: str) -> list[int]:
    """The one positive number in a file; nothing when there is none."""
    text = _text(path).strip()
    return [int(text)] if text.isdigit() and int(text) > 0 else []


def _text(path: str) -> str:
    try:
        with open(os.path.normpath(path), encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""
