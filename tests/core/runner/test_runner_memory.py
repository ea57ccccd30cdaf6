"""Memory limits of jobs, kept by control groups where these can be made, and by sampling: `runner.md` §8."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import SOON
from torc_core.model import JobStatus, Plan, PlannedJob, PlannedRequirement, PlannedWorkflow
from torc_core.runner.limits import KernelKills
from torc_local import cgroups
from torc_local.executor import Subprocesses
from torc_psutil.monitor import Trees

MIB = 1024**2
LIMIT = 100
COUNT = int(os.environ.get("TORC_TEST_OVERUSERS", "3"))
"""Jobs that exceed their memory at once; the promise is about 20."""
KILLS = 50 if COUNT >= 20 else COUNT
"""Kills of each of two kinds that have nothing to do with memory; the promise is about 100 together."""
PLACE = cgroups.find((os.getpid(),))
OUTLAST = "time.sleep(600)"


def python(program: str) -> str:
    return f"exec '{sys.executable}' -S -c 'import os, time; {program}'"


HOG = python(f"x = bytearray(180 * 1024 ** 2); {OUTLAST}")
SHARING = python(
    "x = bytearray(60 * 1024 ** 2); n = [os.fork() for _ in range(2)]; sum(x[::4096]); time.sleep(2.5)"
)
MANY = f"for i in $(seq 8); do '{sys.executable}' -S -c 'import time; x = bytearray(20 * 1024 ** 2); {OUTLAST}' & done; wait"
FAST = python(f"x = [bytearray(10 * 1024 ** 2) for _ in range(60)]; {OUTLAST}")
CHILD = f"trap '' TERM; '{sys.executable}' -S -c 'import time; x = bytearray(180 * 1024 ** 2); {OUTLAST}'; sleep 600"
INNOCENT = python("x = bytearray(60 * 1024 ** 2); time.sleep(2.5)")


@pytest.fixture(params=["groups", "sampling"])
def enforced(request: pytest.FixtureRequest, site: Any) -> Iterator[Any]:
    """A site that keeps jobs within their memory in one of the two ways."""
    if request.param == "groups" and PLACE is None:
        pytest.skip("no control groups can be made here")
    site.executor.close()
    site.executor = Subprocesses(groups=request.param == "groups")
    yield site
    if PLACE is not None:
        assert [
            name for name in os.listdir(PLACE[1]) if name.startswith(f"torc-{site.executor.guardian}-")
        ] == []


def run(site: Any, *commands: str, memory: int = LIMIT, sampler: Any = Trees, **config: Any) -> list[Any]:
    jobs = [
        PlannedJob(name=f"job{number}", command=command, requirement=1)
        for number, command in enumerate(commands, 1)
    ]
    asked = PlannedRequirement(name="asked", memory=f"{memory}m", memory_bytes=memory * MIB, runtime_s=3_600)
    plan = Plan(
        workflow=PlannedWorkflow(name="memory", execution_config=config or None),
        jobs=jobs,
        requirements=[PlannedRequirement(name="default"), asked],
    )
    site.create(plan=plan)
    runner = site.runner(max_parallel_jobs=len(commands))
    runner._sampler = sampler
    runner.run()
    return site.results()


@pytest.mark.parametrize("command", [HOG, MANY, FAST, CHILD], ids=["one", "many", "fast", "child"])
def test_a_job_that_uses_more_than_it_stated_is_killed_and_says_so(enforced: Any, command: str) -> None:
    begin = time.monotonic()

    (result,) = run(enforced, command)

    assert time.monotonic() - begin < SOON
    assert (result.status, result.return_code) == (JobStatus.FAILED, 137)
    assert result.reason.startswith("oom: peak ")
    assert result.reason.endswith(" of 100m")
    assert result.usage.peak_memory_bytes >= 90 * MIB


class HeldUp(Trees):
    """Looks once, and is long about it, as where there is more to do than one machine can."""

    looks = 0

    def sample(self, *words: Any, **more: Any) -> Any:
        self.looks += 1
        time.sleep(1.0 if self.looks == 1 else 0.0)
        return [] if self.looks == 1 else super().sample(*words, **more)


def test_a_look_that_was_held_up_does_not_put_off_the_next(site: Any) -> None:
    site.executor.close()
    site.executor = Subprocesses(groups=False)
    begin = time.monotonic()

    (result,) = run(site, HOG, sampler=HeldUp)

    assert time.monotonic() - begin < SOON
    assert result.return_code == 137


def test_over_users_are_killed_and_their_neighbours_live(enforced: Any) -> None:
    results = run(enforced, *[HOG, INNOCENT] * COUNT)

    assert [one.status for one in results] == [JobStatus.FAILED, JobStatus.COMPLETED] * COUNT
    assert [one.return_code for one in results] == [137, 0] * COUNT
    assert {(one.reason or "").partition(":")[0] for one in results} == {"oom", ""}


def test_memory_that_processes_share_is_counted_once(enforced: Any) -> None:
    (result,) = run(enforced, SHARING)

    assert (result.status, result.reason) == (JobStatus.COMPLETED, None)


def test_a_kill_that_has_nothing_to_do_with_memory_is_a_signal(enforced: Any) -> None:
    near = python("x = bytearray(85 * 1024 ** 2); os.kill(os.getpid(), 9)")

    results = run(enforced, *["kill -KILL $$", near] * KILLS)

    assert len(results) == 2 * KILLS
    assert {(one.return_code, one.reason) for one in results} == {(-9, "signal:KILL")}


def test_the_code_of_such_an_end_can_be_chosen(enforced: Any) -> None:
    (result,) = run(enforced, HOG, oom_exit_code=42)

    assert (result.status, result.return_code) == (JobStatus.FAILED, 42)


def test_nothing_is_killed_where_resources_are_no_limits(enforced: Any) -> None:
    (result,) = run(
        enforced, python("x = bytearray(180 * 1024 ** 2); time.sleep(1.5)"), limit_resources=False
    )

    assert result.status is JobStatus.COMPLETED


def test_memory_that_nobody_stated_is_no_limit(enforced: Any) -> None:
    (result,) = run(enforced, python("x = bytearray(180 * 1024 ** 2); time.sleep(1.5)"), memory=1)

    assert result.status is JobStatus.COMPLETED


@pytest.mark.skipif(
    PLACE is None or PLACE[0] != 1, reason="needs a control group that the executor knows nothing of"
)
def test_a_kill_by_the_kernel_is_recognised(site: Any) -> None:
    site.executor.close()
    site.executor = Subprocesses(groups=False)
    assert PLACE is not None
    group = Path(PLACE[1]) / f"test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(150 * MIB))
        results = run(site, f"echo $$ > {group}/cgroup.procs; {HOG}", memory=160)
    finally:
        group.rmdir()

    (result,) = results
    assert (result.status, result.return_code, result.reason.partition(":")[0]) == (
        JobStatus.FAILED,
        137,
        "oom",
    )


def test_kills_of_the_kernel_count_from_the_start_of_a_job(site: Any) -> None:
    path = site.folder / "vmstat"
    path.write_text("nr_free_pages 1\noom_kill 7\n")
    kills = KernelKills(site.clock, str(path))
    begun = site.clock.monotonic()
    assert not kills.since(begun)
    path.write_text("nr_free_pages 1\noom_kill 8\n")
    assert kills.since(begun)

    kills.note()

    assert not kills.since(site.clock.monotonic())
