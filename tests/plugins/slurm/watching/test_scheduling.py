"""When `torc watch --auto-schedule` asks for allocations, and the line that says why, or why not (`slurm.md` WA1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_slurm.watching.scheduling import Figures, Rules, judge

RULES = Rules()
BUSY = Figures(ready=20, retries=14, oldest=60, live=3, longest=1_500, since=10_000)


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (Figures(ready=3), "scheduling: 3 jobs are ready, and there is no live or queued allocation"),
        (Figures(ready=1), "scheduling: 1 job is ready, and there is no live or queued allocation"),
        (
            Figures(ready=3, since=20),
            "not scheduling: cooldown 40.0s left (3 jobs are ready, and there is no live or queued allocation)",
        ),
        (BUSY, "scheduling: 14 retry jobs ready, none of 3 live allocations has more than 25m left"),
        (
            replace(BUSY, spawned=2, live=1),
            "scheduling: 14 retry and 2 spawned jobs ready, the only live allocation has only 25m left",
        ),
        (
            replace(BUSY, live=0, queued=2, longest=None),
            "scheduling: 14 retry jobs ready, 2 allocations queued, none live",
        ),
        (
            replace(BUSY, since=1_100),
            "not scheduling: cooldown 12m left (14 retry jobs ready, none of 3 live allocations has more than 25m left)",
        ),
        (
            replace(BUSY, retries=4),
            "not scheduling: 4 retry jobs ready, worth an allocation from 5 on, or waiting for 2h",
        ),
        (
            replace(BUSY, retries=1, oldest=7_300),
            "scheduling: 1 retry job ready, the first for 2h 1m 40s, none of 3 live allocations has more than 25m left",
        ),
    ],
    ids=lambda value: value[:40].replace(" ", "_") if isinstance(value, str) else "seen",
)
def test_each_decision_is_one_line(seen: Figures, line: str) -> None:
    assert judge(seen, RULES).line() == line.replace("40.0s", "40s")


@pytest.mark.parametrize(
    "seen",
    [
        Figures(),
        Figures(ready=20, live=2),
        Figures(ready=20, queued=1),
        Figures(ready=20, runners=1),
    ],
    ids=["nothing_ready", "live", "queued", "local_runner"],
)
def test_where_all_goes_as_planned_nothing_is_said(seen: Figures) -> None:
    found = judge(seen, RULES)

    assert (found.go, found.reason) == (False, "")


def test_stranded_jobs_may_wait_for_ever() -> None:
    seen = replace(BUSY, retries=1, oldest=1e9)

    assert judge(seen, Rules(stranded=0)).line() == (
        "not scheduling: 1 retry job ready, worth an allocation from 5 on"
    )


def test_node_hours_have_an_end() -> None:
    seen = Figures(ready=3, node_hours=100.5)

    found = judge(seen, Rules(max_node_hours=100))

    assert not found.go
    assert found.line().endswith("but 100.5 of 100 node-hours are used")


def test_how_many_are_asked_for_is_said() -> None:
    assert judge(Figures(ready=1), RULES).line(1).startswith("scheduling 1 allocation: 1 job")
    assert judge(Figures(ready=9), RULES).line(2).startswith("scheduling 2 allocations: 9 jobs")
