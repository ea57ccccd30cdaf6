"""Watches what the jobs of a runner and its node use, in a thread of its own (`runner.md` §12)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Error as SqlError

from torc_core import __version__
from torc_core.model import JobId, JobUsage, Json, Node, Usage, Workflow
from torc_core.protocols import Clock, Executor, Locating, Monitor, NodeSample, Sample
from torc_core.record import record
from torc_core.runner.attempt import Attempt
from torc_core.runner.attempts import Attempts
from torc_core.runner.log import log
from torc_core.runner.place import process_start
from torc_core.runner.series import Series
from torc_core.system import cpu_seconds

FIRST_SAMPLE = 0.5
"""Seconds after the start of a job until it is sampled first, whatever the interval."""
LOOK = 0.2
"""Seconds between two looks for jobs that have started."""
CHEAP = 100
"""A look for new jobs may cost one part in so many of a core."""
DEAR = 0.1
"""A sample that takes a greater part of the interval doubles it."""
CLOSE_WITHIN = 15.0
DRAW_WITHIN = 60.0
"""Seconds that the plots may take when a runner leaves."""
TICK = os.sysconf("SC_CLK_TCK")


@record(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """What `resource_monitor` (`workflow-spec.md` §9) asks for; times in seconds."""

    jobs: bool = False
    job_series: bool = False
    node: bool = False
    node_series: bool = False
    node_cpu: bool = True
    node_memory: bool = True
    interval: float = 10.0
    flush: float = 300.0
    plots: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Json] | None) -> Monitoring:
        """Read a validated `resource_monitor`; `jobs` replaces the older two fields at the top."""
        known = config or {}
        own, node = known.get("jobs"), known.get("compute_node")
        jobs = own if isinstance(own, Mapping) else known
        node = node if isinstance(node, Mapping) else {}
        return cls(
            jobs=bool(jobs.get("enabled")),
            job_series=_is_series(jobs),
            node=bool(node.get("enabled")),
            node_series=_is_series(node),
            node_cpu=node.get("cpu") is not False,
            node_memory=node.get("memory") is not False,
            interval=_seconds(known.get("sample_interval_seconds"), 10.0),
            flush=_seconds(known.get("flush_interval_seconds"), 300.0),
            plots=bool(known.get("generate_plots")),
        )

    @property
    def series(self) -> bool:
        """Whether samples are written to a file."""
        return self.job_series or self.node_series


@dataclass(slots=True)
class Followed:
    """A job that is watched, and when it is due for its first sample; None: it had it."""

    mark: str
    attempt: Attempt
    due: float | None


class Meter:
    """Samples in a thread of its own from `start` to `close`; all else is called by the runner's loop.

    Parameters
    ----------
    attempts
        What is here; only asked, by the thread, for one job and for the number of all.
    node
        The devices and the output directory of this runner.
    environ
        The environment of the program that makes the plots.
    """

    def __init__(
        self,
        monitor: Monitor,
        executor: Executor,
        clock: Clock,
        wanted: Monitoring,
        node: Node,
        attempts: Attempts,
        environ: Mapping[str, str],
        series: Series | None,
    ) -> None:
        self._monitor = monitor
        self._executor = executor if isinstance(executor, Locating) and wanted.jobs else None
        self._clock = clock
        self._wanted = wanted
        self._attempts = attempts
        self._series = series
        self._environ = environ
        self._gpus = node.gpus
        self._folder = node.output_dir or "."
        self._followed: dict[JobId, Followed] = {}
        self._interval = wanted.interval
        self._look = LOOK
        self._processes: Mapping[str, int] = {}
        self._average = Average()
        self._stop = threading.Event()
        self._busy = threading.Event()
        self._thread = threading.Thread(target=self._run, name="torc-monitor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def begun(self) -> None:
        """Jobs were started."""
        if not self._busy.is_set():
            self._busy.set()

    def ended(self, job: JobId, kernel: JobUsage) -> JobUsage:
        """What a job used that has ended: what the kernel says of it, and what was seen."""
        followed = self._followed.pop(job, None)
        seen = self._monitor.unwatch(job) if followed else JobUsage()
        return joined(kernel, seen) if self._wanted.jobs else kernel

    def close(self, *, draws: bool) -> Usage | None:
        """Stop, write what is left, and draw it if that is wanted; what the node used, if it was watched."""
        self._stop.set()
        self._busy.set()
        self._thread.join(CLOSE_WITHIN)
        if draws and self._wanted.plots and self._series and os.path.exists(self._series.path):
            draw(self._series.path, self._environ)
        return self._average.usage() if self._wanted.node else None

    def _run(self) -> None:
        try:
            self._follow()
        except Exception:
            # An observer: whatever is wrong with it, the jobs run on.
            log.exception("monitor_failed")
        self._flush()
        if self._series:
            self._series.close()
        self._monitor.close()

    def _follow(self) -> None:
        clock, wanted = self._clock, self._wanted
        if wanted.node:
            self._monitor.node(self._gpus)
        now = clock.monotonic()
        next_sample, next_flush, next_look = now + self._interval, now + wanted.flush, now
        while not self._stop.is_set():
            now = clock.monotonic()
            if self._executor and now >= next_look:
                self._find(self._executor)
                next_look = clock.monotonic() + self._look
            now = clock.monotonic()
            if now >= next_sample:
                self._sample(None)
                took = clock.monotonic() - now
                if took > DEAR * self._interval:
                    self._interval *= 2
                    log.warning("sampling_slowed seconds=%.2f interval=%g", took, self._interval)
                next_sample = now + self._interval
            elif due := [job for job, one in list(self._followed.items()) if one.due and one.due <= now]:
                self._sample(due)
            if now >= next_flush:
                self._flush()
                next_flush = now + wanted.flush
            self._sleep(next_sample, next_look, next_flush)

    def _sleep(self, next_sample: float, next_look: float, next_flush: float) -> None:
        """Until something is due; without jobs that is the node, and without the node nothing."""
        busy = self._busy.is_set()
        times = [one.due for one in list(self._followed.values()) if one.due]
        if busy or self._wanted.node:
            times += [next_sample, next_flush]
        if busy and self._executor:
            times.append(next_look)
        left = max(0.0, min(times) - self._clock.monotonic()) if times else None
        (self._stop if busy else self._busy).wait(left)

    def _find(self, executor: Locating) -> None:
        """Watch the jobs that have started since the look before, and forget those that are gone."""
        begin = cpu_seconds()
        processes = executor.processes()
        if not processes:
            self._busy.clear()
            if len(self._attempts):
                self._busy.set()
        if processes is self._processes:
            return
        self._processes = processes
        for mark, pid in processes.items():
            job = JobId(int(mark.rsplit(".", 3)[1]))
            followed, attempt = self._followed.get(job), self._attempts.get(job)
            if attempt is not None and (followed is None or followed.attempt is not attempt):
                self._watch(mark, pid, attempt)
        for job, one in list(self._followed.items()):
            if one.mark not in processes and self._attempts.get(job) is not one.attempt:
                self._followed.pop(job, None)
                self._monitor.unwatch(job)
        self._look = max(LOOK, CHEAP * (cpu_seconds() - begin))

    def _watch(self, mark: str, pid: int, attempt: Attempt) -> None:
        job, start = attempt.given.job, process_start(pid)
        if start is None or not mark.endswith(f".{job.id}.{job.run_id}.{job.attempt_id}"):
            return
        now = self._clock.monotonic()
        age = now - start / TICK if start else 0.0
        due = now + max(0.0, min(FIRST_SAMPLE, FIRST_SAMPLE - age))
        own = attempt.slot.gpus if attempt.slot else ()
        # In queue-depth mode devices are not counted: a job may use any of them.
        shared = bool(attempt.shape.gpus and not own)
        self._monitor.watch(job.id, pid, mark=mark, gpus=self._gpus if shared else own, shared=shared)
        self._followed[job.id] = Followed(mark, attempt, due)
        if self._series and self._wanted.job_series:
            shape = attempt.shape
            self._series.job((job.id, job.name, shape.cpus, shape.memory, shape.gpus))

    def _sample(self, jobs: Sequence[JobId] | None) -> None:
        """Look at all jobs and the node, or at some jobs for the first time."""
        wanted = self._wanted
        full = self._series is not None and wanted.job_series
        samples = self._monitor.sample(jobs, full=full) if self._executor else ()
        time = self._clock.now() / 1000
        for job in list(self._followed) if jobs is None else jobs:
            if followed := self._followed.get(job):
                followed.due = None
        rows = []
        for one in samples if full else ():
            if followed := self._followed.get(one.job):
                rows.append(_job_row(one, followed.attempt, time))
        nodes = []
        if wanted.node and jobs is None:
            seen = self._monitor.node(self._gpus)
            cpu = seen.cpu_percent if wanted.node_cpu else None
            memory = seen.memory_bytes if wanted.node_memory else None
            self._average.add(cpu, memory)
            if wanted.node_series:
                nodes.append((time, cpu, memory, *_rest(seen), _free(self._folder)))
        if self._series:
            self._series.samples(rows, nodes)

    def _flush(self) -> None:
        """Write what was kept; what cannot be written waits for the next time."""
        if self._series:
            try:
                self._series.flush()
            except (OSError, SqlError) as error:
                log.warning("samples_not_written path=%s reason=%r", self._series.path, str(error))


def metered(
    monitor: Monitor | None,
    executor: Executor,
    clock: Clock,
    workflow: Workflow,
    node: Node,
    attempts: Attempts,
    environ: Mapping[str, str],
    name: str = "",
) -> Meter | None:
    """Watch the jobs of a runner from now on, if its workflow wants it; None: it does not.

    `name` is that of the file of samples, if not by host, workflow and run.
    """
    wanted = Monitoring.of(workflow.resource_monitor_config)
    if monitor is None or not (wanted.jobs or wanted.node):
        return None
    series = None
    if wanted.series:
        label = name or f"{node.hostname}_{workflow.id}_{workflow.run_id}"
        folder = f"{node.output_dir or '.'}/resource_utilization"
        info = {
            "hostname": node.hostname,
            "workflow_id": str(workflow.id),
            "run_id": str(workflow.run_id),
            "node_id": str(node.id),
            "interval": f"{wanted.interval:g}",
            "version": __version__,
        }
        series = Series(f"{folder}/resource_metrics_{label}.db", info)
    meter = Meter(monitor, executor, clock, wanted, node, attempts, environ, series)
    attempts.observer = meter
    meter.start()
    return meter


class Average:
    """Means and peaks of the node."""

    def __init__(self) -> None:
        self._count = self._cpus = self._memories = 0
        self._cpu = self._memory = 0.0
        self._peak_cpu: float | None = None
        self._peak_memory: int | None = None

    def add(self, cpu: float | None, memory: int | None) -> None:
        """One sample."""
        self._count += 1
        if cpu is not None:
            self._cpus += 1
            self._cpu += cpu
            self._peak_cpu = max(self._peak_cpu or 0.0, cpu)
        if memory is not None:
            self._memories += 1
            self._memory += memory
            self._peak_memory = max(self._peak_memory or 0, memory)

    def usage(self) -> Usage:
        """The summary."""
        return Usage(
            avg_cpu_percent=self._cpu / self._cpus if self._cpus else None,
            peak_cpu_percent=self._peak_cpu,
            avg_memory_bytes=int(self._memory / self._memories) if self._memories else None,
            peak_memory_bytes=self._peak_memory,
            sample_count=self._count,
        )


def joined(kernel: JobUsage, seen: JobUsage) -> JobUsage:
    """One account of the two: the kernel's mean of CPU is exact, and its peak the largest of the processes."""
    peaks = [one for one in (kernel.peak_memory_bytes, seen.peak_memory_bytes) if one is not None]
    cpu = seen.avg_cpu_percent if kernel.avg_cpu_percent is None else kernel.avg_cpu_percent
    cpus = [one for one in (cpu, seen.peak_cpu_percent) if one is not None]
    peak = max(peaks, default=None)
    return JobUsage(
        peak_memory_bytes=peak,
        avg_memory_bytes=peak if seen.avg_memory_bytes is None else seen.avg_memory_bytes,
        peak_cpu_percent=max(cpus, default=None),
        avg_cpu_percent=cpu,
    )


def draw(path: str, environ: Mapping[str, str]) -> None:
    """Make the plots of a file of samples beside it, as `torc plot-resources` does; at most a minute."""
    folder, name = os.path.split(path)
    prefix = name.removeprefix("resource_metrics_").removesuffix(".db")
    command = [sys.executable, "-P", "-m", "torc_core", "plot-resources", path, "-o", folder]
    try:
        subprocess.run(
            [*command, "-p", f"resource_plot_{prefix}"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DRAW_WITHIN,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        log.warning("plots_not_made path=%s reason=%r", path, str(told).strip()[-500:])


def _job_row(one: Sample, attempt: Attempt, time: float) -> Sequence[object]:
    job = attempt.given.job
    return (
        *(job.id, time, one.cpu_percent, one.memory_bytes, one.num_processes, job.run_id, job.attempt_id),
        *(one.gpu_percent, one.gpu_memory_bytes, one.read_bytes, one.write_bytes),
    )


def _rest(seen: NodeSample) -> Sequence[object]:
    return seen.gpu_percent, seen.gpu_memory_bytes, seen.load1


def _free(folder: str) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _is_series(scope: Mapping[str, Json]) -> bool:
    return (
        bool(scope.get("enabled")) and str(scope.get("granularity")).lower().replace("_", "") == "timeseries"
    )


def _seconds(value: Json, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else default
