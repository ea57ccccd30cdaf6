"""Measure what torc promises about speed, beside a bare process-spawn loop in the same run, as one table.

    python tests/bench/figures.py            # every figure
    python tests/bench/figures.py --quick    # a tenth of the work, to see that the benchmarks run
    python tests/bench/figures.py --only flat chain

Timings are compared with a loop that does nothing but spawn and wait, measured before and after in the same run;
machines differ and are noisy, so only the ratios mean something. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SLOTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table; `held` compares `value` with `goal`."""

    work: str
    value: float
    unit: str
    goal: float
    more_is_better: bool = False
    detail: str = ""

    @property
    def held(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal

    def __str__(self) -> str:
        sign = "≥" if self.more_is_better else "≤"
        mark = "held" if self.held else "NOT HELD"
        return f"{self.work:<52} {self.value:>9.2f} {self.unit:<10} {sign} {self.goal:<8g} {mark:<9} {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where to work, and how much of the full size."""

    folder: Path
    scale: float

    def size(self, full: int) -> int:
        """A number of jobs, scaled."""
        return max(10, round(full * self.scale))

    def torc(self, *words: str, folder: Path) -> tuple[float, int]:
        """Run torc as a whole process in its own home: seconds, peak resident bytes."""
        env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "USER": "bench",
            "XDG_RUNTIME_DIR": str(folder),
        }
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "torc.log"
        begin = time.perf_counter()
        with log.open("ab") as out:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("torc"), *words], cwd=folder, env=env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"torc {' '.join(words)}: exit {process.returncode}\n{log.read_text()[-2000:]}")
        return time.perf_counter() - begin, usage.ru_maxrss * 1024


SHELL_TRUE = ("/bin/sh", "-c", "true")
"""What the bare loop of the comparison with peers spawns."""
JUST_TRUE = ("/usr/bin/true",)
"""The least that can be spawned at all."""


def bare(jobs: int, folder: Path, width: int = SLOTS, argv: Sequence[str] = SHELL_TRUE) -> float:
    """Seconds per job of a loop that only spawns with stdio files of its own and waits, `width` at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    started = ended = 0
    begin = time.perf_counter()
    while ended < jobs:
        while started - ended < width and started < jobs:
            files = [(os.POSIX_SPAWN_OPEN, fd, f"{folder}/{started}.{fd}", flags, 0o600) for fd in (1, 2)]
            os.posix_spawn(argv[0], argv, os.environ, file_actions=files)
            started += 1
        os.wait()
        ended += 1
    return (time.perf_counter() - begin) / jobs


def write(folder: Path, spec: object) -> str:
    """Write a spec and give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return str(path)


def flat(bench: Bench) -> Iterator[Figure]:
    """Independent no-op jobs, each with its own stdio files, `torc run` as a whole process."""
    jobs = bench.size(5_000)
    spec = {"name": "flat", "jobs": [{"name": "j{i}", "command": "true", "parameters": {"i": f"1:{jobs}"}}]}
    ratios, strict, rates = [], [], []
    for turn in range(3):
        folder = bench.folder / f"flat{turn}"
        path = write(folder, spec)
        before, plain = bare(jobs, folder / "bare"), bare(jobs // 5, folder / "bare", argv=JUST_TRUE)
        seconds, _ = bench.torc("run", path, "--num-cpus", str(SLOTS), "-q", folder=folder)
        # As much work as ours: a virtual machine runs faster when it has been busy for a while.
        shell = (before + bare(jobs, folder / "bare")) / 2
        plain = (plain + bare(jobs // 5, folder / "bare", argv=JUST_TRUE)) / 2
        ratios.append(shell / (seconds / jobs))
        strict.append(plain / (seconds / jobs))
        rates.append(jobs / seconds)
    yield Figure(
        work=f"{jobs:,} `true` jobs, torc run as a process",
        value=statistics.median(ratios),
        unit="of bare",
        goal=0.75,
        more_is_better=True,
        detail=f"{statistics.median(rates):.0f} jobs/s; ratios {', '.join(f'{r:.2f}' for r in ratios)}; "
        f"of a loop without a shell {statistics.median(strict):.2f}",
    )


def chain(bench: Bench) -> Iterator[Figure]:
    """A chain of no-op jobs: what a hop costs beyond spawning."""
    jobs = bench.size(1_000)
    links = [
        {"name": f"j{i}", "command": "true", **({"depends_on": [f"j{i - 1}"]} if i else {})}
        for i in range(jobs)
    ]
    folder = bench.folder / "chain"
    path = write(folder, {"name": "chain", "jobs": links})
    before = bare(jobs, folder / "bare1", width=1, argv=JUST_TRUE)
    seconds, _ = bench.torc("run", path, "--num-cpus", str(SLOTS), "-q", folder=folder)
    after = bare(jobs, folder / "bare2", width=1, argv=JUST_TRUE)
    spawn = (before + after) / 2
    yield Figure(
        work=f"chain of {jobs:,} jobs, per hop beyond the spawn", value=1000 * (seconds / jobs - spawn), unit="ms", goal=3,
        detail=f"{1000 * seconds / jobs:.2f} ms a hop, bare spawn {1000 * spawn:.2f} ms",
    )  # fmt: skip


def large(bench: Bench, name: str, full: int, seconds_goal: float, mib_goal: float) -> Iterator[Figure]:
    """Parse, plan, create and initialise a parameterised spec."""
    jobs = bench.size(full)
    spec = {
        "name": "large",
        "resource_requirements": [{"name": "small", "num_cpus": 1, "memory": "100m", "runtime": "PT5M"}],
        "parameters": {"i": f"1:{jobs}"},
        "jobs": [
            {
                "name": "work_{i:07d}", "command": "python work.py --index {i} --out out_{i}.csv",
                "use_parameters": ["i"], "resource_requirements": "small",
            }
        ],
    }  # fmt: skip
    folder = bench.folder / name
    path = write(folder, spec)
    created, peak = bench.torc("create", path, folder=folder)
    initialized, peak_too = bench.torc("workflows", "initialize", "last", "--yes", folder=folder)
    figures = (created + initialized, max(peak, peak_too) / 2**20)
    detail = f"create {created:.1f} s, initialize {initialized:.1f} s"
    yield Figure(
        work=f"{jobs:,} jobs: parse, plan, create, initialize",
        value=figures[0],
        unit="s",
        goal=seconds_goal,
        detail=detail,
    )
    yield Figure(work=f"{jobs:,} jobs: peak memory", value=figures[1], unit="MiB", goal=mib_goal)


def hundred_thousand(bench: Bench) -> Iterator[Figure]:
    """100,000 jobs, and their deletion."""
    yield from large(bench, "100k", 100_000, 8, 400)
    folder = bench.folder / "100k"
    seconds, _ = bench.torc("delete", "last", "--yes", folder=folder)
    yield Figure(work=f"delete of {bench.size(100_000):,} jobs", value=seconds, unit="s", goal=5)


def million(bench: Bench) -> Iterator[Figure]:
    """1,000,000 jobs, and what a claim costs among them."""
    yield from large(bench, "1m", 1_000_000, 90, 3 * 1024)
    list(large(Bench(folder=bench.folder, scale=1), "10k", 10_000, 8, 400))
    among_few = claim_of_64(bench.folder / "10k")
    among_many = claim_of_64(bench.folder / "1m")
    yield Figure(
        work=f"claim of 64: {bench.size(1_000_000):,} ready against 10,000", value=among_many / among_few, unit="times",
        goal=2, detail=f"{1000 * among_many:.2f} ms against {1000 * among_few:.2f} ms",
    )  # fmt: skip


def claim_of_64(folder: Path) -> float:
    """Median seconds of a claim of 64 jobs, of 25."""
    from torc_core.config import Config
    from torc_core.host import Host
    from torc_core.model import Offer, Query, Resources, Workflow
    from torc_core.model.resources import GIB
    from torc_core.system import SystemClock

    clock = SystemClock()
    provider = Host.load(Config.load()).stores["sqlite"]
    path = folder / ".local/share/torc/torc.db"
    store = provider.open(f"sqlite://{path}", provider.settings(), clock)
    try:
        (workflow,) = store.find(Workflow, Query(limit=1, sort="id", reverse=True)).items
        spans = []
        for _ in range(25):
            offer = Offer(claim_id=clock.uuid(), free=(Resources(cpus=64, memory=1000 * GIB),), limit=64)
            begin = time.perf_counter()
            given = store.claim(workflow.id, offer)
            spans.append(time.perf_counter() - begin)
            assert len(given) == 64
        return statistics.median(spans)
    finally:
        store.close()


def barrier(bench: Bench) -> Iterator[Figure]:
    """Everyone of the second stage waits for everyone of the first, by regex and by files."""
    jobs = bench.size(10_000)
    stages: list[dict[str, object]] = [
        {"name": "one_{i}", "command": "true", "parameters": {"i": f"1:{jobs}"}},
        {
            "name": "two_{i}", "command": "true", "parameters": {"i": f"1:{jobs}"},
            "depends_on_regexes": ["^one_"],
        },
    ]  # fmt: skip
    by_regex = {"name": "barrier", "jobs": stages}
    files = [{"name": "f_{i}", "path": "f/{i}", "parameters": {"i": f"1:{jobs}"}}]
    first = {**stages[0], "output_files": ["f_{i}"]}
    second = {key: value for key, value in stages[1].items() if key != "depends_on_regexes"}
    by_files = {"name": "barrier", "files": files, "jobs": [first, {**second, "input_file_regexes": ["^f_"]}]}
    for kind, spec in (("regex", by_regex), ("files", by_files)):
        folder = bench.folder / f"barrier_{kind}"
        seconds, _ = bench.torc("create", write(folder, spec), folder=folder)
        yield Figure(
            work=f"barrier {jobs:,} x {jobs:,} by {kind}: plan, create", value=seconds, unit="s", goal=5,
            detail=f"{rows_of_dependencies(folder):,} dependency rows",
        )  # fmt: skip


def rows_of_dependencies(folder: Path) -> int:
    """How many rows hold the dependencies of the one workflow in this home."""
    import sqlite3

    with sqlite3.connect(folder / ".local/share/torc/torc.db") as database:
        tables = ("dep_set", "dep_member", "dep_use")
        return sum(database.execute(f"select count(*) from {table}").fetchone()[0] for table in tables)


def startup(bench: Bench) -> Iterator[Figure]:
    """Small commands, as a user waits for them."""
    folder = bench.folder / "startup"
    path = write(folder, {"name": "small", "jobs": [{"name": "a", "command": "true"}]})
    bench.torc("run", path, folder=folder)
    for words, goal in ((("--version",), 120), (("status", "last"), 250)):
        spans = sorted(bench.torc(*words, folder=folder)[0] for _ in range(11))
        yield Figure(
            work=f"torc {' '.join(words)}", value=1000 * spans[5], unit="ms", goal=goal, detail="median of 11"
        )


def planning(bench: Bench) -> Iterator[Figure]:
    """Allocations for many jobs, proven on paper: independent ones, and chains of ten (`slurm.md` PL7)."""
    from torc_core.engine.dag import Dag, Step
    from torc_core.model.resources import GIB
    from torc_slurm.planning.plan import Wishes
    from torc_slurm.planning.planner import planned
    from torc_slurm.planning.work import Work
    from torc_slurm.profiles.builtin import KESTREL

    jobs = bench.size(100_000)
    steps = [Step(name=f"job_{n}", seconds=600.0, cpus=26, memory=GIB) for n in range(jobs)]
    links = [n for n in range(jobs) if n % 10]
    chains = Dag(
        name="chains", steps=steps, waits=[[n - n // 10 - 1] if n % 10 else [] for n in range(jobs)],
        groups=[[n - 1] for n in links],
    )  # fmt: skip
    for what, dag in (
        ("independent jobs", Dag(name="fan", steps=steps, waits=[()] * jobs, groups=())),
        ("jobs in chains of ten", chains),
    ):
        begin = time.perf_counter()
        plan = planned(Work(dag=dag, requirements=["need"] * jobs), KESTREL, Wishes())
        seconds = time.perf_counter() - begin
        (group,) = plan.groups
        detail = f"{group.allocations:,} allocations in {len(group.waves)} waves"
        yield Figure(
            work=f"plan allocations of {jobs:,} {what}", value=seconds, unit="s", goal=5, detail=detail
        )


WORKS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "flat": flat,
    "chain": chain,
    "100k": hundred_thousand,
    "1m": million,
    "barrier": barrier,
    "planning": planning,
    "startup": startup,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work; goals are still those of all of it"
    )
    parser.add_argument("--only", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is not reached")
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="torc-bench-") as folder:
        bench = Bench(folder=Path(folder), scale=0.1 if options.quick else 1.0)
        for name in options.only:
            for figure in WORKS[name](bench):
                figures.append(figure)
                print(figure, flush=True)
    print(json.dumps([{**asdict(figure), "held": figure.held} for figure in figures]))
    if options.strict and not all(figure.held for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
