"""Makes a plan fit into limits by longer allocations (`slurm.md` PL18)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torc_core.errors import Conflict
from torc_slurm.planning.plan import SlurmPlan, Wishes
from torc_slurm.scheduler.times import written

if TYPE_CHECKING:
    from torc_slurm.planning.planner import Planner


def capped(planner: Planner) -> SlurmPlan:
    """The plan with the shortest allocations that keeps within the limits.

    Raises
    ------
    Conflict
        If even the longest allocations are too many, or they cost too many node-hours.
    """
    wishes = planner.wishes
    rounds: dict[int, int] = {}
    plan = planner.plan(rounds)
    while (over := _over(plan, wishes)) > 0:
        growing = [
            place
            for place, one in enumerate(plan.groups)
            if one.allocations > len(one.waves) and one.rounds < planner.most_rounds(place)
        ]
        if not growing:
            raise Conflict(_refusal(planner, plan))
        place = max(growing, key=lambda one: plan.groups[one].allocations * plan.groups[one].nodes)
        group = plan.groups[place]
        less = over if wishes.max_nodes is None else -(-over // group.nodes)
        target = max(1, group.allocations - less)
        low, high = group.rounds + 1, planner.most_rounds(place)
        while low < high:
            middle = (low + high) // 2
            if planner.plan({**rounds, place: middle}).groups[place].allocations <= target:
                high = middle
            else:
                low = middle + 1
        rounds[place] = high
        plan = planner.plan(rounds)
    limit = wishes.max_node_hours
    if limit is not None and plan.node_hours > limit:
        raise Conflict(
            f"the plan takes {plan.node_hours:.1f} node-hours (cap {limit:g}): {_told(plan)}; raise "
            "--max-node-hours or make the allocations shorter with --walltime-multiplier"
        )
    return plan


def _over(plan: SlurmPlan, wishes: Wishes) -> int:
    """How many allocations, or nodes, are too many."""
    too_many = 0
    if wishes.max_allocations is not None:
        too_many = plan.allocations - wishes.max_allocations
    if wishes.max_nodes is not None:
        too_many = max(too_many, plan.nodes - wishes.max_nodes)
    return too_many


def _refusal(planner: Planner, plan: SlurmPlan) -> str:
    wishes = planner.wishes
    told = _told(plan, [planner.most_rounds(place) <= one.rounds for place, one in enumerate(plan.groups)])
    if wishes.max_allocations is not None and plan.allocations > wishes.max_allocations:
        return f"needs at least {told} (cap {wishes.max_allocations})"
    return f"needs at least {plan.nodes} nodes in {told} (cap {wishes.max_nodes})"


def _told(plan: SlurmPlan, longest: Sequence[bool] = ()) -> str:
    """`14 allocations of 2-00:00:00 on 'standard'`; `longest`: which groups have as long ones as there can be."""
    return " and ".join(
        f"{one.allocations} allocation{'s' if one.allocations != 1 else ''} of "
        f"{written(one.partition.max_walltime_secs if any(longest[place : place + 1]) else one.walltime)} "
        f"on '{one.partition.name}'"
        for place, one in enumerate(plan.groups)
    )
