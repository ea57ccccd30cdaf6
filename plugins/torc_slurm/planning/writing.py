"""A plan written into the document that it is for: schedulers, which job has which, and when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torc_core.spec.document import Plain
from torc_slurm.planning.naming import Numbered
from torc_slurm.planning.plan import Group, SlurmPlan, Wave
from torc_slurm.scheduler.sizes import as_mebibytes
from torc_slurm.scheduler.times import written

Tree = dict[str, Any]

MOST_AT_ONCE = 10_000
"""Allocations of one action (`workflow-spec.md` §11)."""

SCHEDULERS, ACTIONS = "slurm_schedulers", "actions"


def scheduler_fields(group: Group, account: str) -> Tree:
    """A scheduler as documents and stores have it; only what is not the default."""
    fields: Tree = {"name": group.name, "account": account}
    if group.named_partition:
        fields["partition"] = group.partition.name
    if group.partition.default_qos is not None:
        fields["qos"] = group.partition.default_qos
    fields |= {"nodes": group.nodes, "walltime": written(group.walltime), "mem": as_mebibytes(group.memory)}
    if group.gres is not None:
        fields["gres"] = group.gres
    if group.cpus is None:
        # NOTE: what a partition does by itself is not known; without this an allocation may get one CPU of a node.
        fields["extra"] = "--exclusive"
    else:
        fields["ntasks_per_node"] = group.cpus
    return fields


def actions(plan: SlurmPlan, names: Sequence[str]) -> Iterator[Tree]:
    """When allocations are asked for; `names` are those of all jobs."""
    numbered = Numbered(names)
    waves = [(group, wave) for group in plan.groups for wave in group.waves]
    for group, wave in sorted(waves, key=lambda pair: bool(pair[1].trigger)):
        yield from _actions(group, wave, numbered)


def _actions(group: Group, wave: Wave, names: Numbered) -> Iterator[Tree]:
    left = wave.allocations
    while left:
        count = min(left, MOST_AT_ONCE)
        left -= count
        when: Tree = {"trigger_type": "on_workflow_start"}
        if wave.trigger:
            when = {"trigger_type": "on_jobs_ready", "trigger_mode": "any", **names.chosen(wave.trigger)}
        action: Tree = {
            **when,
            "action_type": "schedule_nodes",
            "scheduler": group.name,
            "scheduler_type": "slurm",
            "num_allocations": count,
        }
        if group.per_node and group.nodes > 1:
            action["start_one_worker_per_node"] = True
        yield action


def scheduled(tree: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a document has schedulers or asks for allocations already."""
    return bool(tree.get(SCHEDULERS)) or any(_schedules(one) for one in tree.get(ACTIONS) or ())


def rewritten(
    tree: Mapping[str, Any],
    plan: SlurmPlan,
    account: str,
    names: Sequence[str],
    schedulers: Mapping[int, str],
    *,
    with_actions: bool = True,
) -> Tree:
    """The document with the plan in it, in place of schedulers and allocations that it had.

    Parameters
    ----------
    names
        Of all jobs of the plan.
    schedulers
        By place in the `jobs` of the document, the scheduler; jobs that are not in it get none.
    with_actions
        Whether allocations are asked for by the document itself.
    """
    jobs = [_bound(one, schedulers.get(place)) for place, one in enumerate(tree["jobs"])]
    others = [one for one in tree.get(ACTIONS) or () if not _schedules(one)]
    added = list(actions(plan, names)) if with_actions else []
    new: Tree = {key: jobs if key == "jobs" else value for key, value in tree.items()}
    found = [scheduler_fields(group, account) for group in plan.groups]
    for key, value in ((SCHEDULERS, found), (ACTIONS, [*others, *added])):
        if value:
            new[key] = value
        else:
            new.pop(key, None)
    return new


def _bound(job: Mapping[str, Any], scheduler: str | None) -> Tree:
    """A job of the document with its scheduler, after its name and command if it had none."""
    if scheduler is None:
        return {key: value for key, value in job.items() if key != "scheduler"}
    if "scheduler" in job:
        return {key: scheduler if key == "scheduler" else value for key, value in job.items()}
    return {**job, "scheduler": scheduler}


def _schedules(action: object) -> bool:
    if not isinstance(action, Mapping):
        return False
    return action.get("action_type") == "schedule_nodes" and action.get("scheduler_type") != "local"


TEXTS = frozenset({
    "name", "command", "invocation_script", "description", "project", "path", "label", "recovery_script", "scheduler",
    "resource_requirements", "failure_handler", "memory", "account", "partition", "qos", "identifier", "user",
})  # fmt: skip
"""Keys whose values are text, also where YAML let them stand without quotes."""

TEXT_MAPS = frozenset({"env", "variables"})


def bare(value: Any, *, text: bool = False, all_text: bool = False) -> Any:
    """A tree without notes on how its values were written, for formats that have none.

    Parameters
    ----------
    text, all_text
        Whether what stands here is text however it looks; also when it is a map.
    """
    if isinstance(value, Plain):
        return value.text if text and value.value is not None else value.value
    if isinstance(value, Mapping):
        return {
            key: bare(one, text=all_text or key in TEXTS, all_text=key in TEXT_MAPS)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [bare(one, text=text) for one in value]
    return value
