"""The arithmetic of allocations: the vectors of the reference (`slurm.md` PL8-PL18), and what goes beyond them."""

from dataclasses import replace

import pytest
from works import DAY, GIB, HOUR, ONE, STANDARD, chains, fan, stages, work

from torc_core.errors import BadValue, Conflict, UsageError
from torc_slurm.planning.plan import Circumstances, Wishes
from torc_slurm.planning.planner import planned
from torc_slurm.planning.times import Overhead, before_end, walltime
from torc_slurm.profiles.builtin import DANE, KESTREL
from torc_slurm.profiles.model import Partition, Profile
from torc_slurm.scheduler.times import written

MIB = 1024**2


def only(plan):
    """The one group of a plan, which is proven."""
    assert plan.proof.simulated
    (group,) = plan.groups
    return group


def waves(group):
    return [(wave.allocations, len(wave.trigger)) for wave in group.waves]


def test_an_hour_on_whole_nodes_is_one_round_of_ninety_minutes():
    group = only(planned(fan(100, cpus=104), ONE, Wishes()))

    assert (written(group.walltime), group.rounds, group.allocations) == ("01:30:00", 1, 100)


def test_the_longest_walltime_needs_few_allocations():
    group = only(planned(fan(100, cpus=104), ONE, Wishes(strategy="max-partition-time")))

    assert (written(group.walltime), group.rounds, group.allocations) == ("2-00:00:00", 47, 3)


def test_four_jobs_share_a_node():
    group = only(planned(fan(100, cpus=26), ONE, Wishes()))

    assert (group.concurrent, group.allocations) == (4, 25)


def test_jobs_of_several_nodes_get_allocations_of_as_many():
    group = only(planned(fan(10, 2 * HOUR, cpus=104, nodes=4), ONE, Wishes(walltime=3 * HOUR)))

    assert (group.allocations, group.nodes, written(group.walltime)) == (10, 4, "03:00:00")


def test_a_cap_makes_allocations_longer():
    group = only(planned(fan(100, cpus=104), ONE, Wishes(max_allocations=10)))

    assert (written(group.walltime), group.allocations) == ("10:03:00", 10)


def test_a_partition_without_room_for_the_overhead_is_skipped():
    short = replace(STANDARD, name="short", max_walltime_secs=4 * HOUR)

    group = only(planned(fan(1, 4 * HOUR), Profile(name="two", partitions=[short, STANDARD]), Wishes()))

    assert group.partition.name == "standard"
    with pytest.raises(BadValue, match="at most 3h 57m 30s fit"):
        planned(fan(1, 4 * HOUR), Profile(name="one", partitions=[short]), Wishes())


def test_a_cap_that_cannot_be_kept_is_refused():
    with pytest.raises(Conflict, match=r"needs at least 3 allocations of 2-00:00:00 on 'standard' \(cap 2\)"):
        planned(fan(100, cpus=104), ONE, Wishes(max_allocations=2))


def test_caps_on_nodes_and_node_hours():
    assert only(planned(fan(100, cpus=104), ONE, Wishes(max_nodes=20))).allocations == 20
    with pytest.raises(Conflict, match=r"150\.0 node-hours \(cap 100\)"):
        planned(fan(100, cpus=104), ONE, Wishes(max_node_hours=100))


def test_the_overhead_is_what_runners_keep_for_themselves():
    assert Overhead().seconds == 150
    assert before_end({"sigterm_lead_seconds": 100, "sigkill_headroom_seconds": 50}, None) == 150
    assert before_end(None, 600) == 600


def test_a_staggered_start_takes_its_time_from_the_jobs():
    work = fan(100, 5_400 - 150, cpus=104)

    together = planned(work, ONE, Wishes(multiplier=1.0), Circumstances(staggered=False))
    spread = planned(work, ONE, Wishes(multiplier=1.0))

    assert [written(only(plan).walltime) for plan in (together, spread)] == ["01:30:00", "01:31:00"]


def test_walltimes_are_whole_minutes_within_the_partition():
    assert walltime(3_601, 150, DAY) == 5_460
    assert walltime(HOUR, 150, 3_800) == 3_800
    with pytest.raises(UsageError, match="give at least 01:03:00"):
        walltime(HOUR, 150, DAY, fixed=HOUR)


def test_a_chain_in_one_group_gets_a_wave_for_each_link():
    group = only(planned(chains(3, cpus=104), ONE, Wishes()))

    assert waves(group) == [(1, 0), (1, 1), (1, 1)]


def test_a_chain_fits_into_one_long_allocation():
    group = only(planned(chains(3, cpus=104), ONE, Wishes(strategy="max-partition-time")))

    assert waves(group) == [(1, 0)]


def test_later_waves_are_sized_for_what_is_short():
    group = only(planned(stages(4, 100, 1, cpus=104), ONE, Wishes(strategy="max-partition-time")))

    # The four nodes of the first stage run 4 x 46 jobs of the second in the time that they have left.
    assert waves(group) == [(1, 0), (2, 100)]


def test_many_small_and_few_large_jobs_share_allocations():
    small = fan(200, 600, cpus=1, memory=GIB).dag.steps
    large = fan(3, 2 * HOUR, cpus=104, memory=GIB).dag.steps

    group = only(planned(work([*small, *large]), ONE, Wishes()))

    # Each large job leaves an hour less overhead behind it, in which five rounds of 104 small ones fit.
    assert (written(group.walltime), group.allocations) == ("03:00:00", 3)


def test_small_jobs_fill_the_nodes_of_large_ones():
    small = fan(8, cpus=104).dag.steps
    large = fan(2, cpus=104, nodes=4).dag.steps

    group = only(planned(work([*small, *large]), ONE, Wishes()))

    assert (group.nodes, group.allocations, group.per_node) == (4, 4, False)


def test_a_single_allocation_has_all_nodes_and_a_runner_on_each():
    group = only(planned(fan(25, cpus=104), ONE, Wishes(single_allocation=True)))

    assert (group.allocations, group.nodes, group.per_node) == (1, 25, True)


def test_a_single_allocation_is_split_where_the_partition_is_smaller():
    profile = Profile(name="one", partitions=[replace(STANDARD, max_nodes_per_user=10)])

    group = only(planned(fan(25, cpus=104), profile, Wishes(single_allocation=True)))

    assert (group.allocations, group.nodes) == (3, 9)


def test_gpus_on_whole_nodes_and_on_shared_ones():
    whole = Partition(name="gpu", cpus_per_node=64, memory_mb=256_000, max_walltime_secs=DAY, gpus_per_node=4)
    shared = replace(whole, shared=True)
    jobs = fan(2, gpus=1, cpus=8, memory=16 * GIB)

    exclusive = only(planned(jobs, Profile(name="p", partitions=[whole]), Wishes()))
    part = only(planned(jobs, Profile(name="p", partitions=[shared]), Wishes()))

    assert (exclusive.gres, exclusive.memory, exclusive.cpus) == ("gpu:4", 256_000 * MIB, None)
    assert (part.gres, part.memory, part.cpus) == ("gpu:2", 32 * GIB + 256 * MIB, 16)


def test_a_shared_node_is_asked_for_no_more_than_keeps_the_number():
    shared = replace(STANDARD, shared=True)

    group = only(
        planned(
            fan(5, 600, cpus=26, memory=GIB), Profile(name="p", partitions=[shared]), Wishes(walltime=1_600)
        )
    )

    # Two rounds fit, so three at a time are enough for five jobs, though four have room.
    assert (group.rounds, group.concurrent, group.cpus, group.allocations) == (2, 3, 78, 1)


def test_jobs_that_state_no_memory_get_that_of_their_cpus():
    shared = replace(STANDARD, shared=True)

    group = only(planned(fan(1, cpus=26, memory=MIB), Profile(name="p", partitions=[shared]), Wishes()))

    assert group.memory == 60_000 * MIB + 256 * MIB


def test_at_least_as_many_nodes_as_the_partition_gives():
    group = only(planned(fan(10, cpus=104), KESTREL, Wishes(partition="hbw")))

    assert (group.nodes, group.allocations, group.per_node) == (2, 5, True)


def test_kestrel_finds_partitions_by_itself_unless_they_have_to_be_named():
    jobs = work(
        [*fan(1, cpus=104).dag.steps, *fan(1, 5 * HOUR, cpus=104).dag.steps, *fan(1, gpus=4).dag.steps]
    )

    plan = planned(jobs, KESTREL, Wishes())

    assert [(one.partition.name, one.named_partition) for one in plan.groups] == [
        ("short", False), ("standard", False), ("gpu-h100s", False),
    ]  # fmt: skip
    assert only(planned(fan(1), KESTREL, Wishes(partition="shared"))).named_partition


def test_dane_jobs_go_to_the_batch_partition():
    assert only(planned(fan(3, cpus=112), DANE, Wishes())).partition.name == "pbatch"


def test_each_requirement_may_have_its_own_scheduler():
    jobs = replace(fan(4), requirements=["small", "small", "large", "large"])

    together = planned(jobs, ONE, Wishes())
    apart = planned(jobs, ONE, Wishes(group_by="resource-requirements"))

    assert [one.name for one in together.groups] == ["standard_scheduler"]
    assert [one.name for one in apart.groups] == ["small_scheduler", "large_scheduler"]


def test_names_of_schedulers_that_exist_are_not_taken():
    plan = planned(fan(1), ONE, Wishes(), Circumstances(taken=["standard_scheduler"]))

    assert plan.groups[0].name == "standard_scheduler-2"


def test_jobs_with_labels_get_no_allocation():
    plan = planned(replace(stages(1, 3, cpus=104), elsewhere=frozenset({0})), ONE, Wishes())

    assert waves(plan.groups[0]) == [(3, 3)]
    assert any("1 job is left out: it has a label" in warning for warning in plan.warnings)


def test_every_kind_of_job_that_fits_nowhere_is_named():
    jobs = work(
        [*fan(2, cpus=200).dag.steps, *fan(1, gpus=1).dag.steps], requirements=["wide", "wide", "graphics"]
    )

    with pytest.raises(BadValue) as error:
        planned(jobs, ONE, Wishes())

    assert "work_{1..2} (wide): nearest is 'standard': 200 CPUs are more than its 104" in str(error.value)
    assert "work_1 (graphics): nearest is 'standard': it has no GPUs" in str(error.value)


def test_a_partition_that_does_not_exist_is_named():
    with pytest.raises(UsageError, match="has no partition 'standart'; did you mean 'standard'"):
        planned(fan(1), ONE, Wishes(partition="standart"))


def test_many_allocations_come_with_the_alternative():
    plan = planned(fan(101, cpus=104), ONE, Wishes())

    assert plan.warnings == [
        "many allocations: 101 \u00d7 01:30:00, or 3 \u00d7 2-00:00:00: add --walltime-strategy max-partition-time"
    ]


def test_nodes_that_lie_idle_are_told():
    used = "only 1% of the time of the nodes is used; ask for less of a node with --partition"

    assert planned(fan(1, cpus=1), ONE, Wishes()).warnings[0] == used
    assert planned(fan(1, cpus=1), ONE, Wishes(group_by="resource-requirements")).warnings[0] == (
        f"{used}, or put jobs together with --group-by partition"
    )


def test_a_hundred_thousand_jobs_are_planned_by_counting():
    plan = planned(fan(100_000, cpus=1), ONE, Wishes())

    assert (only(plan).allocations, only(plan).concurrent) == (962, 104)
