"""What is drawn: from samples to charts, as plain values that a page embeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

from torc_cli.plots.samples import Key, Point, Samples, Track
from torc_core.model import Json
from torc_core.record import record

MOST_POINTS = 1_600
"""Points of a line; more cannot be told apart on a screen."""
MOST_LINES = 60
"""Lines of a chart, and pairs of bars."""
MOST_PAGES = 200
"""Pages of single jobs, unless jobs are named."""
STATED = 1024**2
"""Bytes of memory above which a requirement is a limit."""

CPU, MEMORY = "CPU", "Memory"


@record(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart; times in seconds since 1970."""

    name: str
    points: Sequence[Point]


@record(frozen=True, slots=True, kw_only=True)
class Bar:
    """A pair of bars."""

    name: str
    peak: float
    mean: float


@record(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over time, or pairs of bars.

    Parameters
    ----------
    unit
        `percent`, `bytes`, `rate` (bytes per second) or `count`.
    limits
        Horizontal lines with a name.
    """

    title: str
    unit: str
    lines: Sequence[Line] = ()
    limits: Sequence[tuple[str, float]] = ()
    bars: Sequence[Bar] = ()

    def plain(self) -> dict[str, Json]:
        """The chart as JSON."""
        return {
            "title": self.title,
            "unit": self.unit,
            "lines": [
                {"name": one.name, "points": [[time, value] for time, value in one.points]}
                for one in self.lines
            ],
            "limits": [{"name": name, "value": value} for name, value in self.limits],
            "bars": [{"name": one.name, "peak": one.peak, "mean": one.mean} for one in self.bars],
        }


@record(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What one file shows."""

    name: str
    title: str
    charts: Sequence[Chart]
    note: str = ""


def sheets(samples: Samples, *, chosen: bool) -> Iterator[Sheet]:
    """A sheet for each job, then those of all jobs and of the nodes; only what was measured.

    Parameters
    ----------
    chosen
        The jobs were named, so that each gets its sheet however many they are.
    """
    by_job: dict[int, list[tuple[Key, Track]]] = {}
    for key, track in samples.jobs.items():
        by_job.setdefault(key.job, []).append((key, track))
    names = _names(samples)
    shown = sorted(by_job) if chosen else sorted(by_job, key=lambda job: -_peak(by_job[job]))[:MOST_PAGES]
    for job in sorted(shown):
        attempts = by_job[job]
        title = f"{attempts[0][1].name} (job {job})"
        charts = [
            chart for key, track in attempts for chart in _of_job(key, track, several=len(attempts) > 1)
        ]
        yield Sheet(name=f"job_{job}", title=title, charts=charts)
    if samples.jobs:
        yield _together("cpu_all_jobs", CPU, "percent", "cpu_percent", samples, names)
        yield _together("memory_all_jobs", MEMORY, "bytes", "memory_bytes", samples, names)
        yield _summary(samples, names)
    if samples.nodes:
        yield Sheet(name="nodes", title="Nodes", charts=list(_of_nodes(samples)))


def left_out(samples: Samples, *, chosen: bool) -> int:
    """How many jobs get no sheet of their own."""
    return 0 if chosen else max(0, len({key.job for key in samples.jobs}) - MOST_PAGES)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """So few points that look the same: of each stretch of time the least and the greatest."""
    if len(points) <= most:
        return list(points)
    size = len(points) / (most // 2)
    kept: list[Point] = []
    for step in range(most // 2):
        stretch = points[int(step * size) : int((step + 1) * size)]
        kept += sorted({min(stretch, key=itemgetter(1)), max(stretch, key=itemgetter(1))})
    return kept


def rates(points: Sequence[Point]) -> list[Point]:
    """From totals to amounts per second."""
    found: list[Point] = []
    for (before, one), (time, other) in pairwise(points):
        if time > before:
            found.append((time, max(0.0, other - one) / (time - before)))
    return found


def _of_job(key: Key, track: Track, *, several: bool) -> Iterator[Chart]:
    which = f", run {key.run}, attempt {key.attempt}, {key.host}" if several else ""

    def chart(
        title: str, unit: str, *names: tuple[str, str], limit: tuple[str, float] | None = None
    ) -> Iterator[Chart]:
        lines = []
        for value, label in names:
            points = track.points(value)
            if points:
                lines.append(Line(name=label, points=thinned(rates(points) if unit == "rate" else points)))
        if any(value or unit != "rate" for one in lines for _, value in one.points):
            yield Chart(title=title + which, unit=unit, lines=lines, limits=[limit] if limit else [])

    cpus, memory = track.cpus, track.memory_limit
    yield from chart(
        "CPU", "percent", ("cpu_percent", "CPU"),
        limit=(f"{cpus} CPU{'s' if cpus > 1 else ''}", 100.0 * cpus) if cpus else None,
    )  # fmt: skip
    yield from chart(
        "Memory",
        "bytes",
        ("memory_bytes", "memory"),
        limit=("limit", memory) if memory and memory > STATED else None,
    )
    yield from chart("Processes", "count", ("num_processes", "processes"))
    yield from chart("GPU", "percent", ("gpu_percent", "GPU"))
    yield from chart("GPU memory", "bytes", ("gpu_memory_bytes", "GPU memory"))
    yield from chart("Storage", "rate", ("read_bytes", "read"), ("write_bytes", "written"))


def _together(name: str, what: str, unit: str, value: str, samples: Samples, names: dict[Key, str]) -> Sheet:
    tracks = [(key, track) for key, track in samples.jobs.items() if track.peak(value) is not None]
    tracks.sort(key=lambda one: -(one[1].peak(value) or 0.0))
    few = max(100, MOST_POINTS * 8 // max(1, min(len(tracks), MOST_LINES)))
    lines = [
        Line(name=names[key], points=thinned(track.points(value), min(MOST_POINTS, few)))
        for key, track in tracks[:MOST_LINES]
    ]
    note = f"The {MOST_LINES} of {len(tracks)} with the highest peaks." if len(tracks) > MOST_LINES else ""
    chart = Chart(title=f"{what} of all jobs", unit=unit, lines=sorted(lines, key=lambda one: one.name))
    return Sheet(name=name, title=f"{what} of all jobs", charts=[chart], note=note)


def _summary(samples: Samples, names: dict[Key, str]) -> Sheet:
    def chart(title: str, unit: str, value: str) -> Iterator[Chart]:
        bars = []
        for key, track in samples.jobs.items():
            if (peak := track.peak(value)) is not None:
                bars.append(Bar(name=names[key], peak=peak, mean=mean(track.points(value))))
        bars.sort(key=lambda one: -one.peak)
        if bars:
            yield Chart(title=title, unit=unit, bars=bars[:MOST_LINES])

    charts = [
        *chart("CPU, peak and average", "percent", "cpu_percent"),
        *chart("Memory, peak and average", "bytes", "memory_bytes"),
        *chart("GPU, peak and average", "percent", "gpu_percent"),
        *chart("GPU memory, peak and average", "bytes", "gpu_memory_bytes"),
    ]
    note = (
        f"The {MOST_LINES} of {len(samples.jobs)} with the highest peaks."
        if len(samples.jobs) > MOST_LINES
        else ""
    )
    return Sheet(name="summary", title="Summary", charts=charts, note=note)


def _of_nodes(samples: Samples) -> Iterator[Chart]:
    for title, unit, value in (
        ("CPU", "percent", "cpu_percent"), ("Memory", "bytes", "memory_bytes"), ("GPU", "percent", "gpu_percent"),
        ("GPU memory", "bytes", "gpu_memory_bytes"), ("Load", "count", "load1"),
        ("Free space of the output directory", "bytes", "output_free_bytes"),
    ):  # fmt: skip
        lines = [
            Line(name=host, points=thinned(track.points(value)))
            for host, track in sorted(samples.nodes.items())[:MOST_LINES]
            if track.peak(value) is not None
        ]
        if lines:
            yield Chart(title=title, unit=unit, lines=lines)


def mean(points: Sequence[Point]) -> float:
    """The mean by time: a sample stands for the time since the one before."""
    area = sum(value * (time - before) for (before, _), (time, value) in pairwise(points))
    lasted = points[-1][0] - points[0][0]
    return area / lasted if lasted > 0 else sum(value for _, value in points) / len(points)


def _peak(attempts: Sequence[tuple[Key, Track]]) -> float:
    return max(track.peak("memory_bytes") or 0.0 for _, track in attempts)


def _names(samples: Samples) -> dict[Key, str]:
    """How each attempt is called: no more than is needed to tell it from the others."""
    kinds: tuple[Callable[[Key], str], ...] = (
        lambda key: f" r{key.run}",
        lambda key: f" a{key.attempt}",
        lambda key: f" on {key.host}",
    )
    told = [kind for kind in kinds if len({kind(key) for key in samples.jobs}) > 1]
    several = len({(track.name) for track in samples.jobs.values()}) < len({key.job for key in samples.jobs})
    return {
        key: track.name + (f" ({key.job})" if several else "") + "".join(kind(key) for kind in told)
        for key, track in samples.jobs.items()
    }
