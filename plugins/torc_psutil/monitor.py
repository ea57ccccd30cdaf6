"""Measures process trees with psutil: memory and CPU of a job's main process and all that descends from it."""

from __future__ import annotations

import time

import psutil

from torc_core.model import JobId, JobUsage


class Watched:
    """What was seen of one job; bytes and seconds."""

    __slots__ = ("area", "first", "last", "main", "peak_cpu", "peak_memory", "samples", "total")

    def __init__(self, main: psutil.Process) -> None:
        self.main = main
        self.samples = 0
        self.first = self.last = 0.0
        self.area = 0.0
        self.peak_memory = 0
        self.peak_cpu: float | None = None
        self.total = 0.0

    def take(self, now: float) -> None:
        """Look once. CPU time of children that have ended is in their parents' account, so nothing is lost."""
        memory, spent = 0, 0.0
        try:
            family = [self.main, *self.main.children(recursive=True)]
        except psutil.Error:
            return
        for one in family:
            try:
                with one.oneshot():
                    memory += one.memory_info().rss
                    times = one.cpu_times()
            except psutil.Error:
                continue
            used = times.user + times.system
            used += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            spent += used
        if self.samples:
            gap = now - self.last
            if gap > 0:
                self.area += memory * gap
                percent = max(0.0, spent - self.total) / gap * 100
                self.peak_cpu = percent if self.peak_cpu is None else max(self.peak_cpu, percent)
        else:
            self.first = now
        self.samples += 1
        self.last, self.total = now, spent
        self.peak_memory = max(self.peak_memory, memory)

    def usage(self) -> JobUsage:
        """The summary: means are weighted by time; a single sample is both mean and peak."""
        if not self.samples:
            return JobUsage()
        lasted = self.last - self.first
        mean = int(self.area / lasted) if lasted > 0 else self.peak_memory
        return JobUsage(
            peak_memory_bytes=self.peak_memory, avg_memory_bytes=mean, peak_cpu_percent=self.peak_cpu
        )


class Trees:
    """Watches the process trees of jobs; see `Monitor`."""

    def __init__(self) -> None:
        self._watched: dict[JobId, Watched] = {}

    def watch(self, job: JobId, pid: int) -> None:
        """Measure this job from now on; a process that has ended already is measured as nothing."""
        try:
            self._watched[job] = Watched(psutil.Process(pid))
        except psutil.Error:
            self._watched.pop(job, None)

    def sample(self) -> None:
        """Look at every watched job once."""
        now = time.monotonic()
        for one in self._watched.values():
            one.take(now)

    def unwatch(self, job: JobId) -> JobUsage:
        """Stop, and say what was seen; nothing about a job that was not watched."""
        watched = self._watched.pop(job, None)
        return watched.usage() if watched else JobUsage()
