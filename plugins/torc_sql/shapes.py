"""The classes of jobs (`engine.md` §7.2), which never change and are therefore read once."""

from __future__ import annotations

from torc_core.engine.claim import taken
from torc_core.model import Node, Resources, Shape, WorkflowId
from torc_sql import rows
from torc_sql.state import JobState
from torc_sql.transaction import Transaction

Shapes = dict[int, Shape]
"""The shape of each class by its id, as far as it was asked for; emptied when a transaction is undone."""


def shape_of(tx: Transaction, shapes: Shapes, job_class: int) -> Shape:
    """The shape of a class."""
    known = shapes.get(job_class)
    if known is None:
        known = shapes[job_class] = rows.shape(tx.row("SHAPE", class_=job_class))
    return known


def used(tx: Transaction, node: Node, shapes: Shapes) -> Resources:
    """What the live attempts of a node take, by the records; what is held or started ahead takes nothing yet."""
    cpus = memory = gpus = 0
    for job_class, prefetched, count in tx.rows("LIVE_CLASSES", node_=node.id):
        if not prefetched:
            need = taken(shape_of(tx, shapes, job_class), node.capacity)
            cpus, memory, gpus = (
                cpus + need.cpus * count,
                memory + need.memory * count,
                gpus + need.gpus * count,
            )
    for row in () if node.beats else tx.rows("CLAIMED_FOR", node_=node.id):
        need = taken(shape_of(tx, shapes, JobState(*row).class_id), node.capacity)
        cpus, memory, gpus = cpus + need.cpus, memory + need.memory, gpus + need.gpus
    return Resources(cpus=cpus, memory=memory, gpus=gpus)


def class_of(tx: Transaction, wf: WorkflowId, shape: Shape) -> int:
    """The class of a shape, made if there is none."""
    row = tx.row(
        "CLASS_OF", wf_=wf, cpus_=shape.cpus, memory_=shape.memory, gpus_=shape.gpus, nodes_=shape.nodes,
        runtime_=shape.runtime, scheduler_=shape.scheduler, label_=shape.label,
    )  # fmt: skip
    if row is not None:
        return int(row[0])
    id = tx.ids("job_class", 1)
    tx.many("INSERT_JOB_CLASS", [(id, wf, *rows.shape_key(shape), 0)])
    return id
