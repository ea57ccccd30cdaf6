"""Capacity always suffices: any workflow, any way to plan it (`slurm.md` PL7, PL23)."""

import os

import pytest
from lives import Life
from works import DAY, Partition, Profile, anything, chains, stages

from torc_slurm.planning.plan import Wishes
from torc_slurm.planning.planner import planned
from torc_slurm.profiles.builtin import KESTREL

COUNT = int(os.environ.get("TORC_TEST_PLANS", "4"))
"""Workflows drawn by lot for each way to plan; the full count is a hundred."""

TOGETHER = Profile(
    name="together",
    partitions=[
        Partition(
            name="all",
            cpus_per_node=104,
            memory_mb=240_000,
            max_walltime_secs=DAY,
            gpus_per_node=4,
            gpus_on_some_nodes=True,
        )
    ],
)
WAYS = {
    "partition": (KESTREL, Wishes()),
    "requirement": (KESTREL, Wishes(group_by="resource-requirements")),
    "long": (KESTREL, Wishes(strategy="max-partition-time")),
    "tight": (KESTREL, Wishes(multiplier=1.0)),
    "one group": (TOGETHER, Wishes()),
    "one node": (TOGETHER, Wishes(single_allocation=True)),
}


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("way", WAYS)
def test_no_job_is_left_without_an_allocation(way, newest_first):
    profile, wishes = WAYS[way]
    for seed in range(COUNT):
        work = anything(seed)
        plan = planned(work, profile, wishes)

        life = Life(work, plan, newest_first=newest_first)

        assert plan.proof.simulated, seed
        assert life.run() == 0, seed
        # No job was cut off either: what is claimed has time to end.
        assert set(life.status) == {"done"}, seed


@pytest.mark.parametrize(("way", "seed"), [("tight", 70), ("one group", 231), ("one node", 202)])
def test_of_all_allocations_the_oldest_is_asked_first_on_paper_too(way, seed):
    """5: one that only some kinds of jobs could take was asked before older ones, and took what they take in life."""
    work = anything(seed)
    plan = planned(work, *WAYS[way])

    left = [Life(work, plan, newest_first=newest_first).run() for newest_first in (False, True)]

    assert left == [0, 0]


@pytest.mark.parametrize("way", ["partition", "one group", "tight"])
def test_the_keeper_helps_where_run_times_and_the_queue_are_other_than_thought(way):
    profile, wishes = WAYS[way]
    for seed in range(COUNT):
        work = anything(seed, most=40)

        life = Life(work, planned(work, profile, wishes), seed=seed, stretch=1.5, wait=4 * 3_600, keeper=True)

        assert life.run() == 0, seed


def test_a_plan_and_its_plain_life_agree_on_how_long_it_takes():
    for work in (chains(3, 20, cpus=104), stages(2, 30, 1, cpus=26), stages(1, 50, 5, cpus=104)):
        plan = planned(work, TOGETHER, Wishes())
        life = Life(work, plan)

        life.run()

        last = max(one.idle_since for one in life.allocations)
        assert last == plan.proof.makespan_seconds
