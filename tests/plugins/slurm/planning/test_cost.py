"""What a plan costs grows with the number of jobs, whatever they wait for: calls are counted, not seconds (`slurm.md` PL7)."""

import sys
from dataclasses import replace

import pytest
from works import ONE, chains, fan, linked, work

from torc_core.engine.dag import Dag, Step
from torc_core.spec.names import Names
from torc_core.spec.resolve import Matcher
from torc_slurm.planning.naming import Numbered
from torc_slurm.planning.plan import Wishes
from torc_slurm.planning.planner import planned
from torc_slurm.planning.writing import actions

BY_REQUIREMENT = Wishes(group_by="resource-requirements")


def calls_of(function):
    """How many calls of functions, ours and those of Python, something makes."""
    counted = 0

    def count(frame, event, argument):
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


def gathered(count):
    """A reducer for each nine jobs of different lengths."""
    steps, waits, groups = [], [], []
    for k in range(count // 10):
        groups.append(list(range(len(steps), len(steps) + 9)))
        steps += [Step(name=f"w_{k}_{j}", seconds=60.0 + j, cpus=4) for j in range(9)]
        steps.append(Step(name=f"r_{k}", seconds=120.0, cpus=8))
        waits += [()] * 9 + [[k]]
    return work(steps, waits, groups)


def many_needs(count):
    """Chains of ten, each with a requirement of its own."""
    found = linked(10, count // 10)
    steps = [replace(one, seconds=60.0 + place // 10) for place, one in enumerate(found.dag.steps)]
    names = [f"need_{place // 10}" for place in range(count)]
    dag = Dag(name="w", steps=steps, waits=found.dag.waits, groups=found.dag.groups)
    return replace(found, dag=dag, requirements=names)


SHAPES = {
    "flat": (lambda count: fan(count, seconds=60, cpus=4), Wishes(), 50),
    "chains": (lambda count: linked(10, count // 10), Wishes(), 220),
    "one chain": (lambda count: linked(count, 1), Wishes(), 720),
    "gathered": (gathered, Wishes(), 340),
    "groups": (many_needs, BY_REQUIREMENT, 780),
}
"""Workflows of so many jobs, and the most calls for each of them; where every job has a wave of its own it is the most."""


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_jobs_take_four_times_the_calls(shape):
    make, wishes, most = SHAPES[shape]

    small, large = (calls_of(lambda count=count: planned(make(count), ONE, wishes)) for count in (100, 400))

    # Sorting and heaps add a little; each job looked at for each wave or group would make it sixteen times.
    assert large <= 5 * small
    assert large <= most * 400


def test_a_wave_is_named_without_looking_at_all_jobs():
    names = [f"chain_{chain}_{stage}" for chain in range(20) for stage in range(100)]
    numbered = Numbered(names)
    numbered.chosen([1, 101])

    calls = calls_of(lambda: numbered.chosen(range(7, 2_000, 100)))

    assert calls < 300
    assert numbered.chosen(range(7, 2_000, 100)) == {"job_name_regexes": [r"^chain_\d+_7$"]}


def test_an_expression_of_few_jobs_is_searched_without_a_call_for_each_name():
    names = Names("job")
    names.positions = {f"chain_{place // 100}_{place % 100}": place for place in range(3_000)}
    matcher = Matcher(names)
    matcher.matches(r"^chain_\d+_6$")

    calls = calls_of(lambda: matcher.matches(r"^chain_\d+_7$"))

    # One for each name would be three thousand and more.
    assert calls < 1_500
    assert matcher.matches(r"^chain_\d+_7$") == tuple(range(7, 3_000, 100))


def test_equal_waves_of_several_chains_are_named_by_one_expression():
    found = chains(3, 30, cpus=4)
    plan = planned(found, ONE, Wishes())

    named = [one.get("job_name_regexes") for one in actions(plan, [step.name for step in found.dag.steps])]

    assert named == [None, [r"^b_\d+$"], [r"^c_\d+$"]]
