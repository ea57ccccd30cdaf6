"""Plans of well-known shapes, for tests of stores and runners."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from torc_core.model import (
    InputKind,
    Plan,
    PlannedFile,
    PlannedInput,
    PlannedJob,
    PlannedRequirement,
    PlannedWorkflow,
    Source,
)
from torc_core.model.resources import MIB, memory_text

DEFAULT = PlannedRequirement(name="default")


def jobs(*blockers: Sequence[int], **fields: object) -> Plan:
    """One job for each list of blockers (positions), named `job0`, `job1`, ...; `fields` are set on all of them."""
    groups: dict[tuple[int, ...], int] = {}
    planned = []
    for position, waits in enumerate(blockers):
        members = tuple(sorted(set(waits)))
        uses = [(groups.setdefault(members, len(groups)), Source.EXPLICIT)] if members else []
        planned.append(job(position, groups=uses, num_blockers=len(members), **fields))
    return Plan(workflow=PlannedWorkflow(name="planned"), jobs=planned, groups=list(groups))


def job(position: int, **fields: object) -> PlannedJob:
    """A job that does nothing."""
    return PlannedJob(**{"name": f"job{position}", "command": "true", **fields})  # type: ignore[arg-type]  # any field


def chain(count: int, command: str = "true") -> Plan:
    """Jobs that each wait for the one before."""
    return jobs(*([position - 1] if position else [] for position in range(count)), command=command)


def fan(count: int, command: str = "true") -> Plan:
    """Independent jobs."""
    return jobs(*([] for _ in range(count)), command=command)


def diamond() -> Plan:
    """One job, two that wait for it, one that waits for both; tied by files."""
    names = ("a", "b", "c", "d")
    files = [PlannedFile(name=name, path=f"{name}.txt") for name in names]
    groups = [(0,), (1, 2)]
    inputs = [
        PlannedInput(kind=InputKind.FILE, items=(0,), group=0),
        PlannedInput(kind=InputKind.FILE, items=(1, 2), group=1),
    ]
    after_a = {"groups": [(0, Source.FILE)], "inputs": [0], "num_blockers": 1}
    after_both = {"groups": [(1, Source.FILE)], "inputs": [1], "num_blockers": 2}
    needs: list[dict[str, object]] = [{}, after_a, after_a, after_both]
    planned = [
        job(at, name=names[at], command=f"touch {names[at]}.txt", output_files=[at], **needs[at])
        for at in range(4)
    ]
    return Plan(
        workflow=PlannedWorkflow(name="diamond"), jobs=planned, files=files, groups=groups, inputs=inputs
    )


def barrier(before: int, after: int) -> Plan:
    """All of the later jobs wait for all of the earlier ones: one group, `before` members, `after` uses."""
    first = [job(position) for position in range(before)]
    last = [
        job(before + position, groups=[(0, Source.EXPLICIT)], num_blockers=before)
        for position in range(after)
    ]
    workflow = PlannedWorkflow(name="barrier")
    return Plan(workflow=workflow, jobs=first + last, groups=[tuple(range(before))])


def shaped(
    *needs: PlannedRequirement, priorities: Sequence[int] = (), labels: Sequence[str | None] = ()
) -> Plan:
    """Independent jobs, one for each requirement, with priorities and labels as far as they are given."""
    planned = [
        job(
            at,
            requirement=at,
            priority=priorities[at] if at < len(priorities) else 0,
            label=labels[at] if at < len(labels) else None,
        )
        for at in range(len(needs))
    ]
    return Plan(workflow=PlannedWorkflow(name="shaped"), jobs=planned, requirements=needs)


def need(
    name: str = "need", *, cpus: int = 1, memory: int = MIB, gpus: int = 0, nodes: int = 1, runtime: int = 60
) -> PlannedRequirement:
    """A requirement in bytes and seconds."""
    return PlannedRequirement(
        name=name, num_cpus=cpus, num_gpus=gpus, num_nodes=nodes, memory=memory_text(memory),
        runtime=f"PT{runtime}S", memory_bytes=memory, runtime_s=runtime,
    )  # fmt: skip


def random_plan(seed: int, count: int = 12) -> Plan:
    """Up to `count` jobs that wait for random earlier ones, by several groups each, some whatever the outcome."""
    dice = Random(seed)
    total = dice.randint(1, count)
    groups: dict[tuple[int, ...], int] = {}
    planned = []
    for at in range(total):
        lists = (
            [
                tuple(sorted(dice.sample(range(at), dice.randint(1, min(at, 3)))))
                for _ in range(dice.choice((0, 1, 1, 2)))
            ]
            if at
            else []
        )
        uses = {groups.setdefault(members, len(groups)): Source.EXPLICIT for members in lists}
        blockers = len({member for members in lists for member in members})
        planned.append(
            job(
                at,
                groups=sorted(uses.items()),
                num_blockers=blockers,
                cancel_on_blocking_job_failure=dice.random() < 0.7,
                requirement=dice.randrange(3),
                priority=dice.choice((0, 0, 0, 5)),
            )
        )
    needs = [need("small"), need("wide", cpus=2), need("big", cpus=3, memory=64 * MIB, runtime=600)]
    return Plan(
        workflow=PlannedWorkflow(name=f"random {seed}"), jobs=planned, requirements=needs, groups=list(groups)
    )
