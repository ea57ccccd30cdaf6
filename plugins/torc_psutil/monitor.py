"""Measures process trees, their devices and the node: one pass for all jobs, whatever their number."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Sequence

import psutil

from torc_core.model import JobId, JobUsage
from torc_core.protocols import NodeSample, Sample
from torc_psutil import portable, proc
from torc_psutil.gpus import Gpus, Reading

SHORTEST = 0.1
"""Seconds below which CPU time, which the kernel counts in hundredths, says nothing of a rate."""


class Watched:
    """What was seen of one job; bytes and seconds."""

    __slots__ = (
        "age", "area", "cpu_at", "gpus", "last", "last_cpu", "lasted", "peak_cpu", "peak_memory", "samples", "shared", "spent",
    )  # fmt: skip

    def __init__(self, now: float, age: float, gpus: Sequence[str], *, shared: bool) -> None:
        self.gpus = gpus
        self.shared = shared
        self.age = age
        self.samples = 0
        self.last = self.cpu_at = now - age
        self.lasted = self.area = 0.0
        self.peak_memory = 0
        self.spent = 0.0
        self.last_cpu: float | None = None
        self.peak_cpu: float | None = None

    def take(self, begun: float, now: float, account: proc.Account) -> None:
        """Add one look; memory stands for the time since the look before, at first since the start.

        A look may be held up: CPU time is that from the beginning of the one to the end of the next, never less.
        """
        gap = now - self.last
        self.samples += 1
        self.last = now
        self.lasted += gap
        self.area += account.memory * gap
        self.peak_memory = max(self.peak_memory, account.memory)
        since = now - self.cpu_at
        if since >= SHORTEST:
            self.last_cpu = max(0.0, account.spent - self.spent) / since * 100
            self.peak_cpu = max(self.peak_cpu or 0.0, self.last_cpu)
            self.cpu_at, self.spent = begun, account.spent

    def usage(self) -> JobUsage:
        """The summary: means are weighted by time; a single sample is both mean and peak."""
        if not self.samples:
            return JobUsage()
        mean = int(self.area / self.lasted) if self.samples > 1 and self.lasted > 0 else self.peak_memory
        spent = self.spent / self.lasted * 100 if self.lasted >= SHORTEST else None
        return JobUsage(
            peak_memory_bytes=self.peak_memory,
            avg_memory_bytes=mean,
            peak_cpu_percent=self.peak_cpu,
            avg_cpu_percent=spent,
        )


class Trees:
    """Watches the process trees of jobs; see `Monitor`."""

    def __init__(self, gpus: Gpus | None = None) -> None:
        self._table: proc.Table | portable.Table = (
            proc.Table() if os.path.isdir("/proc/self") else portable.Table()
        )
        self._gpus = gpus or Gpus()
        self._lock = threading.Lock()
        self._watched: dict[JobId, Watched] = {}
        self._dropped: list[JobId] = []
        self._busy: float | None = None
        self._busy_at = 0.0

    def watch(
        self, job: JobId, pid: int, *, mark: str = "", gpus: Sequence[str] = (), shared: bool = False
    ) -> None:
        """Measure this job from now on; a process that has ended already is measured as nothing."""
        with self._lock:
            self._drop()
            if self._watched.pop(job, None):
                self._table.drop(job)
            age = self._table.add(job, pid, mark)
            if age is not None:
                self._watched[job] = Watched(time.monotonic(), age, tuple(gpus), shared=shared)

    def sample(self, jobs: Collection[JobId] | None = None, *, full: bool = True) -> Sequence[Sample]:
        """Look at every watched job once, or at some of them."""
        with self._lock:
            self._drop()
            wanted = {job: one for job, one in list(self._watched.items()) if jobs is None or job in jobs}
            begun = time.monotonic()
            accounts = self._table.look(wanted, io=full)
            now = time.monotonic()
            for job, account in accounts.items():
                wanted[job].take(begun, now, account)
        devices = any(one.gpus for one in wanted.values())
        reading = self._gpus.read() if full and devices and accounts else Reading()
        return [_sample(job, wanted[job], account, reading, full=full) for job, account in accounts.items()]

    def shared(self, job: JobId, counted: int) -> int:
        """The memory of a job, with what its processes share counted once."""
        with self._lock:
            return counted if isinstance(self._table, portable.Table) else self._table.shared(job)

    def unwatch(self, job: JobId) -> JobUsage:
        """Stop, and say what was seen; nothing about a job that was not watched."""
        # NOTE: no lock: the one who asks is the runner's loop, which must not wait until a pass is over.
        watched = self._watched.pop(job, None)
        if watched is None:
            return JobUsage()
        self._dropped.append(job)
        return watched.usage()

    def node(self, gpus: Sequence[str] = ()) -> NodeSample:
        """Look at the whole node; CPU time is that since the look before, so the first has none."""
        begun = time.monotonic()
        times, now = psutil.cpu_times(), time.monotonic()
        busy = sum(times[:]) - times.idle - getattr(times, "iowait", 0.0)
        # Time of guests is in that of the users who run them too.
        busy -= getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        gap = now - self._busy_at
        percent = None
        if self._busy is None or gap >= SHORTEST:
            percent = None if self._busy is None else max(0.0, busy - self._busy) / gap * 100
            self._busy, self._busy_at = busy, begun
        reading = self._gpus.read() if gpus else Reading()
        used = reading.of(gpus)
        return NodeSample(
            cpu_percent=percent,
            memory_bytes=int(psutil.virtual_memory().used),
            gpu_percent=used.percent,
            gpu_memory_bytes=used.memory,
            load1=os.getloadavg()[0],
        )

    def close(self) -> None:
        """Let go of open files and of the process that asks the driver."""
        with self._lock:
            self._watched.clear()
            self._table.close()
        self._gpus.close()

    def _drop(self) -> None:
        while self._dropped:
            job = self._dropped.pop()
            if job not in self._watched:
                self._table.drop(job)


def _sample(job: JobId, watched: Watched, account: proc.Account, reading: Reading, *, full: bool) -> Sample:
    used = reading.of(watched.gpus, account.pids, shared=watched.shared)
    return Sample(
        job=job,
        cpu_percent=watched.last_cpu,
        memory_bytes=account.memory,
        num_processes=len(account.pids),
        gpu_percent=used.percent,
        gpu_memory_bytes=used.memory,
        read_bytes=account.read if full else None,
        write_bytes=account.written if full else None,
    )
