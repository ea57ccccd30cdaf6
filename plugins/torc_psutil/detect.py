"""Finds out what this process may use of its machine (`runner.md` §2.3)."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

from torc_core.detection import Detected
from torc_core.model import Resources
from torc_psutil import cgroup, devices


def detect(environ: Mapping[str, str]) -> Detected:
    """CPUs, memory in bytes and GPUs: what the machine has, or less where the kernel or the user has set bounds."""
    gpus, amd = devices.devices(environ)
    return Detected(
        capacity=Resources(cpus=cpus(), memory=memory(), gpus=len(gpus)),
        gpus=gpus,
        amd=amd,
    )


def cpus(limits: cgroup.Limits | None = None) -> int:
    """How many CPUs this process may run on, and is given time for; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else (psutil.cpu_count() or 1)
    quota = (limits or cgroup.limits()).cpus
    return max(1, usable if quota is None else min(usable, int(quota)))


def memory(limits: cgroup.Limits | None = None) -> int:
    """Bytes: physical memory, or the control group's limit if that is less."""
    physical = int(psutil.virtual_memory().total)
    limit = (limits or cgroup.limits()).memory
    return physical if limit is None else min(physical, limit)
