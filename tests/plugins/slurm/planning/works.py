"""Workflows and clusters for the tests of the planner."""

import random
from dataclasses import replace

from torc_core.engine.dag import Dag, Step
from torc_slurm.planning.work import Work
from torc_slurm.profiles.model import Partition, Profile

HOUR, DAY, GIB = 3_600, 86_400, 1024**3

STANDARD = Partition(name="standard", cpus_per_node=104, memory_mb=240_000, max_walltime_secs=2 * DAY)
ONE = Profile(name="one", partitions=[STANDARD])


def work(steps, waits=None, groups=(), requirements=None, **more):
    """A workflow of these steps."""
    dag = Dag(name="w", steps=steps, waits=waits or [()] * len(steps), groups=groups)
    return Work(dag=dag, requirements=requirements or ["need"] * len(steps), **more)


def fan(count, seconds=HOUR, **fields):
    """Independent jobs that need the same."""
    one = Step(name="", seconds=float(seconds), **fields)
    return work([replace(one, name=f"work_{k}") for k in range(1, count + 1)])


def chains(length, count=1, seconds=HOUR, **fields):
    """Jobs `stage_K`, each of which waits for that of the stage before it."""
    steps, waits, groups = [], [], []
    for stage in range(length):
        for k in range(count):
            steps.append(Step(name=f"{'abcdefgh'[stage]}_{k}", seconds=float(seconds), **fields))
            waits.append([len(groups)] if stage else [])
            if stage:
                groups.append([(stage - 1) * count + k])
    return work(steps, waits, groups)


def linked(length, count, seconds=60, **fields):
    """Chains written one after the other, each job of which waits for the one before it."""
    steps, waits, groups = [], [], []
    for k in range(count):
        for stage in range(length):
            steps.append(Step(name=f"chain_{k}_{stage}", seconds=float(seconds), **fields))
            waits.append([len(groups)] if stage else [])
            if stage:
                groups.append([len(steps) - 2])
    return work(steps, waits, groups)


def stages(*widths, seconds=HOUR, **fields):
    """Stages of so many jobs, each of which waits for the whole stage before it."""
    steps, waits, groups = [], [], []
    for stage, width in enumerate(widths):
        if stage:
            groups.append(list(range(len(steps) - widths[stage - 1], len(steps))))
        for k in range(width):
            steps.append(Step(name=f"{'abcdefgh'[stage]}_{k}", seconds=float(seconds), **fields))
            waits.append([len(groups) - 1] if stage else [])
    return work(steps, waits, groups)


def anything(seed, most=60):
    """A workflow drawn by lot: any graph, small and large jobs, GPUs, several nodes."""
    draw = random.Random(seed)
    steps, waits, groups = [], [], []
    for place in range(draw.randint(1, most)):
        nodes = draw.choice([1] * 8 + [2, 3])
        whole = nodes > 1 or draw.random() < 0.2
        steps.append(
            Step(
                name=f"{draw.choice(['prep', 'train', 'post'])}_{place}",
                seconds=float(draw.choice([60, 600, HOUR, 3 * HOUR, draw.randint(1, 4 * HOUR)])),
                cpus=104 if whole else draw.choice([1, 4, 26, 52, draw.randint(1, 104)]),
                memory=draw.choice([1024**2, GIB, 20 * GIB, 200 * GIB]),
                gpus=draw.choice([0] * 5 + [1, 2, 4]),
                nodes=nodes,
                priority=draw.choice([0, 0, 0, 5]),
            )
        )
        own = []
        for _ in range(draw.choice([0, 0, 1, 1, 2]) if place else 0):
            groups.append(sorted(draw.sample(range(place), min(place, draw.randint(1, 5)))))
            own.append(len(groups) - 1)
        waits.append(own)
    needs = {(one.seconds, one.cpus, one.memory, one.gpus, one.nodes): None for one in steps}
    names = [
        f"need_{list(needs).index((one.seconds, one.cpus, one.memory, one.gpus, one.nodes))}" for one in steps
    ]
    return work(steps, waits, groups, names)
