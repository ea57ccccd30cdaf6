"""Pictures of a workflow: jobs, or jobs with their files or user data; many of one kind are drawn as one (`observability.md` §6)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torc_core.engine.dag import Dag
from torc_core.model import Json
from torc_core.record import record

View = Literal["jobs", "files", "user-data"]

COLLAPSED_FROM = 200
"""Above so many nodes those of one template become one."""

MOST_NODES = 2_000
MOST_EDGES = 20_000
"""More are never drawn."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(slots=True)
class Drawn:
    """A node.

    Parameters
    ----------
    kind
        `job`, `file` or `user_data`.
    level
        Its place from left to right; what jobs write stands between two levels of jobs.
    count
        How many it stands for.
    status
        How many of them have each status; empty for a document, and for what is no job.
    """

    id: str
    label: str
    kind: str
    level: int
    count: int = 0
    status: Counter[str] = field(default_factory=Counter)


@record(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn: nodes, and between them how many pairs; `omitted` are those for which there was no room."""

    nodes: Sequence[Drawn]
    edges: Mapping[tuple[str, str], int]
    collapsed: bool
    total_nodes: int
    omitted_nodes: int
    omitted_edges: int


def picture(dag: Dag, view: View, *, collapse: bool | None = None) -> Picture:
    """Draw a workflow.

    Parameters
    ----------
    collapse
        Draw nodes whose names differ only in numbers as one; None: when there are many.
    """
    things = {"jobs": (), "files": dag.files, "user-data": dag.user_data}[view]
    total = len(dag.steps) + len(things)
    together = total > COLLAPSED_FROM if collapse is None else collapse
    kind = "file" if view == "files" else "user_data"
    nodes: dict[str, Drawn] = {}
    jobs, others = _drawn(dag, view, things, kind, nodes, together=together)
    edges: Counter[tuple[str, str]] = Counter()
    if view == "jobs":
        known: dict[tuple[int, ...], Counter[str]] = {}
        for job, groups in enumerate(dag.waits):
            before = known.get(tuple(groups))
            if before is None:
                before = known[tuple(groups)] = Counter(jobs[one] for one in dag.blockers(job))
            for one, count in before.items():
                edges[one, jobs[job]] += count
    else:
        for job, step in enumerate(dag.steps):
            read, written = (step.reads, step.writes) if view == "files" else (step.takes, step.gives)
            edges.update((others[one], jobs[job]) for one in read)
            edges.update((jobs[job], others[one]) for one in written)
    shown = dict(list(nodes.items())[:MOST_NODES])
    possible = [(pair, count) for pair, count in edges.items() if pair[0] in shown and pair[1] in shown]
    return Picture(
        nodes=list(shown.values()),
        edges=dict(possible[:MOST_EDGES]),
        collapsed=together,
        total_nodes=total,
        omitted_nodes=len(nodes) - len(shown),
        omitted_edges=len(edges) - len(possible[:MOST_EDGES]),
    )


def _drawn(
    dag: Dag, view: View, things: Iterable[str], kind: str, nodes: dict[str, Drawn], *, together: bool
) -> tuple[Sequence[str], Sequence[str]]:
    """Make the nodes; the node of each job, and of each file or user data record."""
    levels = dag.levels()
    place = {"file": "f", "user_data": "u", "job": "j"}
    named: dict[tuple[str, str], Drawn] = {}

    def node(kind: str, number: int, name: str, level: int) -> Drawn:
        label = _NUMBER.sub("{}", name) if together else name
        key = (kind, label if together else str(number))
        one = named.get(key)
        if one is None:
            one = named[key] = Drawn(f"{place[kind]}{len(named) + 1}", label, kind, level)
            nodes[one.id] = one
        one.count += 1
        one.level = min(one.level, level)
        return one

    jobs = []
    between: dict[int, int] = {}
    for job, step in enumerate(dag.steps):
        one = node("job", job, step.name, 2 * levels[job])
        if step.status is not None:
            one.status[step.status.label] += 1
        jobs.append(one.id)
        read, written = (step.reads, step.writes) if view == "files" else (step.takes, step.gives)
        for thing in written:
            between[thing] = 2 * levels[job] + 1
        for thing in read:
            between.setdefault(thing, 2 * levels[job] - 1)
    others = [node(kind, number, name, between.get(number, 1)).id for number, name in enumerate(things)]
    return jobs, others


def document(dag: Dag, view: View, drawn: Picture, source: str) -> dict[str, Json]:
    """`torc.workflows.graph/1` without its schema: the same for commands and for pages."""
    return {
        "source": source,
        "workflow_id": dag.workflow,
        "workflow_name": dag.name,
        "view": view,
        "collapsed": drawn.collapsed,
        "total_nodes": drawn.total_nodes,
        "omitted_nodes": drawn.omitted_nodes,
        "omitted_edges": drawn.omitted_edges,
        "nodes": [
            {
                "id": one.id, "label": one.label, "kind": one.kind, "level": one.level, "count": one.count,
                "status": dict(one.status),
            }
            for one in drawn.nodes
        ],
        "edges": [{"from": start, "to": end, "count": count} for (start, end), count in drawn.edges.items()],
    }  # fmt: skip
