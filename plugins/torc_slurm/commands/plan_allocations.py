"""`torc slurm plan-allocations`: one large allocation or many small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torc_core.given import Given
from torc_core.model import Json
from torc_slurm.commands.planner_options import PlannerOptions
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.target import Kind, Stdin, named, target_of

if TYPE_CHECKING:
    from torc_core.session import Session
    from torc_slurm.planning.plan import Group, SlurmPlan
    from torc_slurm.scheduler.slurm import Slurm

SCHEMA = "torc.slurm.plan-allocations/1"


def plan_allocations(
    what: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    options: PlannerOptions | None = None,
    offline: Flag = False,
    skip_test_only: Flag = False,
    session: Given,
) -> Report:
    """Compare one large allocation with many small ones, by what Slurm says it would do; nothing is submitted.

    Parameters
    ----------
    what
        Specification, id of a workflow, `last`, or - for a specification on standard input.
    stdin
        Read the specification from standard input.
    offline
        Do not ask the cluster anything.
    skip_test_only
        Do not ask when allocations would start.
    """
    from torc_slurm.scheduler.slurm import Slurm

    refuse_csv(session)
    given = options or PlannerOptions()
    target = target_of(named(what, stdin, "slurm plan-allocations"), lists=False)
    plan, account, line = _planned(session, target.kind, target.text, given, offline=offline)
    for warning in plan.warnings:
        session.warn(warning)
    slurm = None if offline else Slurm.of(session.config, session.clock)
    if slurm is not None and not slurm.here():
        slurm = None
    found = [
        _compared(session, slurm, group, account, ask=not skip_test_only)
        for group in plan.groups
        if group.waves
    ]
    large = any(one["recommendation"] == "one-large" for one in found)
    line += " --single-allocation" if large else ""
    text = [
        f"{one['scheduler']}: {one['recommendation']}\n  {one['reason']}\n"
        f"  many small: {_told(one['many_small'])}\n  one large:  {_told(one['one_large'])}"
        for one in found
    ]
    return Report(
        schema=SCHEMA,
        data={
            "profile": plan.profile.name,
            "account": account,
            "recommendations": found,
            "generate": line,
            "warnings": list(plan.warnings),
        },
        text="\n".join([*text, f"go on with: {line}"]),
    )


def _planned(
    session: Session, kind: Kind, text: str, given: PlannerOptions, *, offline: bool
) -> tuple[SlurmPlan, str, str]:
    """The plan with many small allocations, whom it charges, and the command that makes it."""
    from torc_terminal.creating import Creating

    more = "".join(
        f" {name} {value}" for name, value in (("-a", given.account), ("--profile", given.profile)) if value
    )
    if kind is Kind.SPEC:
        from torc_slurm.generating import generated

        made = generated(session, text, Creating(), given, overwrite=True)
        return made.plan, made.account, f"torc slurm generate {text}{more}"
    from torc_slurm.profiles.reading import profile_for
    from torc_slurm.regenerating import regenerated
    from torc_terminal.selector import found

    profile = profile_for(session, given.profile, ask=not offline)
    again = regenerated(
        session.store(), found(session, text), profile, given.wishes(session), now=session.clock.now(),
        account=given.account, session=session,
    )  # fmt: skip
    return again.plan, again.account, f"torc slurm regenerate {text}{more}"


def _compared(
    session: Session, slurm: Slurm | None, group: Group, account: str, *, ask: bool
) -> dict[str, Json]:
    from torc_slurm.estimating import Estimate, estimate, idle_nodes, last_end, own_nodes
    from torc_slurm.scheduler.times import written

    count = max(wave.allocations for wave in group.waves)
    now = session.clock.now() / 1000
    name = group.partition.name
    idle = own = None
    small = large = Estimate(message="the cluster was not asked")
    if slurm is not None:
        idle, own = idle_nodes(slurm, name), own_nodes(slurm, name)
        if ask:
            small = estimate(slurm, group, account, group.nodes, now)
            large = estimate(slurm, group, account, count * group.nodes, now) if count > 1 else small
    ends = (
        last_end(small.waits, count, group.walltime),
        None if large.waits is None else large.waits + group.walltime,
    )
    limit = group.partition.max_nodes_per_user
    choice, reason = _choice(count, group.nodes, ends, idle, limit)
    return {
        "scheduler": group.name,
        "partition": name,
        "jobs": len(group.jobs),
        "recommendation": choice,
        "reason": reason,
        "many_small": {
            "allocations": count, "nodes": group.nodes, "walltime": written(group.walltime),
            "starts_in_seconds": small.waits, "message": small.message, "last_end_seconds": ends[0],
        },
        "one_large": {
            "allocations": 1, "nodes": count * group.nodes, "walltime": written(group.walltime),
            "starts_in_seconds": large.waits, "message": large.message, "last_end_seconds": ends[1],
        },
        "idle_nodes": idle,
        "own_nodes": own,
        "max_nodes_per_user": limit,
    }  # fmt: skip


def _choice(
    count: int, nodes: int, ends: tuple[float | None, float | None], idle: int | None, limit: int | None
) -> tuple[str, str]:
    """What to do, and why."""
    if count == 1:
        return "same", "there is one allocation either way"
    if nodes > 1:
        return "many-small", "each job takes several nodes, so that each allocation is for one of them"
    if limit is not None and count > limit:
        return "many-small", f"{count} nodes at once are more than the {limit} of one user"
    if None not in ends and ends[0] is not None and ends[1] is not None:
        if ends[1] < ends[0]:
            return "one-large", "the last small one would end later, as each waits for itself"
        return "many-small", "the first start sooner, and none waits for all nodes to be free together"
    if idle is not None and idle >= count:
        return "one-large", f"{idle} nodes are idle, enough for all of it at once"
    return "many-small", "small allocations fit into gaps, and none waits for all nodes to be free together"


def _told(one: Json) -> str:
    from torc_core.model.resources import duration_text

    assert isinstance(one, dict)
    starts, ends = one["starts_in_seconds"], one["last_end_seconds"]
    told = f"{one['allocations']} x {one['nodes']} nodes x {one['walltime']}"
    if isinstance(starts, float):
        told += f", would start in {duration_text(starts)}"
    if isinstance(ends, float):
        told += f", over in {duration_text(ends)}"
    return told if starts is not None or not one["message"] else f"{told} ({one['message']})"
