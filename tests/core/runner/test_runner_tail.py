"""Runners of very different speeds end together: what a slow one holds in advance goes to the fast one (`engine.md` §7.7)."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from torc_core.runner.options import Options
from torc_core.runner.report import End, Report, Tally
from torc_core.runner.runner import Runner
from torc_local.executor import Subprocesses

JOBS = 1_200
SLOTS = 4


class Ends:
    """When the jobs of a runner ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def last(self) -> float:
        return self.times[-1]

    def ended(self, ends: Sequence[End]) -> None:
        self.times += [time.monotonic()] * len(ends)

    def turned(self, tally: Tally) -> None:
        pass


@pytest.mark.parametrize("slow", [0.04, 0.3, 0.9])
def test_two_runners_of_very_different_speeds_end_together(site: Any, slow: float) -> None:
    site.create(*["sleep $PACE"] * JOBS)
    executors = [site.executor, Subprocesses()]
    ends = [Ends(), Ends()]
    runners = [
        Runner(
            site.store, executor, site.clock, site.workflow, site.detected,
            environ={**site.environ, "PACE": str(pace)}, watcher=watcher,
            options=Options(output_dir=str(site.folder / f"out{pace}")),
        )
        for executor, watcher, pace in zip(executors, ends, (0.001, slow), strict=True)
    ]  # fmt: skip
    reports: list[Report] = []
    begin = time.monotonic()
    threads = [threading.Thread(target=lambda one=one: reports.append(one.run())) for one in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    executors[1].close()

    tail = ends[1].last - ends[0].last
    after = [at for at in ends[1].times if at > ends[0].last]
    print(
        f"{ends[0].count} and {ends[1].count} jobs in {max(one.last for one in ends) - begin:.2f} s, tail {tail:.2f} s"
    )
    assert ends[0].count + ends[1].count == JOBS
    assert ends[1].count > 0
    # A slot of the slow one has at most the job that it runs, and one that was started on record: so many end late,
    # or else within the time of two, and what a turn takes.
    assert len(after) <= 2 * SLOTS or tail < 2 * slow + 1
