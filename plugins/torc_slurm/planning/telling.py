"""A plan in words and as JSON (`slurm.md` §7.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torc_core.model import Json
from torc_core.model.resources import duration_text, memory_text
from torc_slurm.planning.inserting import TITLE
from torc_slurm.planning.naming import Numbered, sentence_of
from torc_slurm.planning.plan import Group, Kind, SlurmPlan, Wave
from torc_slurm.scheduler.sizes import as_mebibytes
from torc_slurm.scheduler.times import written
from torc_terminal.standing import amount

HEADS = ("Scheduler", "Partition", "Nodes", "Walltime", "Jobs", "At once", "Allocations", "When")


def document(plan: SlurmPlan, account: str | None, names: Sequence[str]) -> dict[str, Json]:
    """`torc.slurm.plan/1` without its schema."""
    numbered = Numbered(names)
    return {
        "profile": plan.profile.name,
        "account": account,
        "schedulers": [_group(one, numbered) for one in plan.groups],
        "total_allocations": plan.allocations,
        "total_node_hours": round(plan.node_hours, 4),
        "charge": round(plan.charge, 2),
        "max_concurrent_nodes": plan.max_concurrent_nodes,
        "proof": {
            "simulated": plan.proof.simulated,
            "makespan_seconds": plan.proof.makespan_seconds,
            "utilisation": round(plan.proof.utilisation, 4),
        },
        "overhead_seconds": plan.overhead,
        "choices": [_kind(kind, names) for kind in plan.kinds if kind.jobs],
        "warnings": list(plan.warnings),
    }


def _group(group: Group, names: Numbered) -> dict[str, Json]:
    return {
        "name": group.name,
        "partition": group.partition.name,
        "nodes": group.nodes,
        "walltime": written(group.walltime),
        "mem": as_mebibytes(group.memory),
        "gres": group.gres,
        "jobs": len(group.jobs),
        "concurrent_per_node": max(1, group.concurrent // (1 if group.per_node else group.nodes)),
        "rounds": group.rounds,
        "allocations": group.allocations,
        "start_one_worker_per_node": group.per_node and group.nodes > 1,
        "waves": [
            {"trigger": _trigger(wave, names), "jobs": wave.jobs, "allocations": wave.allocations}
            for wave in group.waves
        ],
    }


def _trigger(wave: Wave, names: Numbered) -> Json:
    if not wave.trigger:
        return {"type": "on_workflow_start"}
    return {
        "type": "on_jobs_ready",
        "mode": "any",
        **{key: list(value) for key, value in names.chosen(wave.trigger).items()},
    }


def _kind(kind: Kind, names: Sequence[str]) -> dict[str, Json]:
    return {
        "resource_requirements": kind.requirement,
        "jobs": len(kind.jobs),
        "job_names": sentence_of([names[job] for job in kind.jobs]),
        "partition": kind.choice.partition.name if kind.choice.partition else None,
        "why": kind.choice.why,
        "others": [one.name for one in kind.choice.fitting[1:]],
        "refused": [
            {
                "partition": one.partition.name,
                "dimensions": list(one.dimensions),
                "reason": "; ".join(one.reasons),
            }
            for one in kind.choice.misfits
        ],
    }


def table(plan: SlurmPlan, names: Sequence[str]) -> Iterator[str]:
    """The plan as lines of equal columns, a line for each wave, and the sum."""
    rows: list[Sequence[str]] = [HEADS]
    for group in plan.groups:
        for wave in group.waves:
            rows.append(
                (
                    group.name, group.partition.name, str(group.nodes), written(group.walltime), str(wave.jobs),
                    str(group.concurrent), str(wave.allocations), _when(wave, names),
                )
            )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    yield sums(plan)


def sums(plan: SlurmPlan) -> str:
    """What it takes altogether, in a line."""
    proof = plan.proof
    proven = (
        f"every job runs on paper, in {duration_text(proof.makespan_seconds)}, {proof.utilisation:.0%} of the time of "
        "the nodes used"
        if proof.simulated
        else "not every job runs on paper"
    )
    return (
        f"{amount(plan.allocations, 'allocation')}, at most {plan.node_hours:.1f} node-hours"
        f"{f' (charge {plan.charge:.0f})' if plan.charge else ''}, at most {amount(plan.max_concurrent_nodes, 'node')} at once; "
        f"{proven}"
    )


def _when(wave: Wave, names: Sequence[str]) -> str:
    if not wave.trigger:
        return "at the start"
    told = sentence_of([names[job] for job in wave.trigger])
    return f"{told} ready" if len(wave.trigger) == 1 else f"the first of {told} ready"


def reasons(plan: SlurmPlan, names: Sequence[str]) -> Iterator[str]:
    """Why each kind of job goes where it goes, and why not elsewhere."""
    for kind in plan.kinds:
        if not kind.jobs or kind.choice.partition is None:
            continue
        need = kind.need
        needs = f"{amount(need.cpus, 'CPU')}, {memory_text(need.memory)}"
        needs += f", {amount(need.gpus, 'GPU')}" if need.gpus else ""
        needs += f", {need.nodes} nodes" if need.nodes > 1 else ""
        told = sentence_of([names[job] for job in kind.jobs])
        yield f"{told}: {needs}, {duration_text(need.runtime)} ({kind.requirement})"
        yield f"  -> {kind.choice.partition.name}: {kind.choice.why}"
        if kind.choice.fitting[1:]:
            yield f"     would fit too: {', '.join(one.name for one in kind.choice.fitting[1:])}"
        for one in kind.choice.misfits:
            yield f"     not {one}"


def header(plan: SlurmPlan, account: str, names: Sequence[str], mark: str) -> str:
    """The plan as comments at the top of a document."""
    about: Mapping[str, str] = {"profile": plan.profile.name, "account": account}
    told = ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [f"{TITLE}: {told}", *table(plan, names)]
    lines += [f"Note: {warning}" for warning in plan.warnings]
    return "".join(f"{mark} {line}".rstrip() + "\n" for text in lines for line in text.splitlines()) + "\n"
