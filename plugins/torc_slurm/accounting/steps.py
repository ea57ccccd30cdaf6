"""The lines of sacct about a workflow's allocations and their steps, from one question to Slurm (`slurm.md` §15.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torc_core.model import Allocation, Json, Query, WorkflowId
from torc_core.record import record
from torc_slurm.scheduler.sizes import size
from torc_slurm.scheduler.states import word
from torc_slurm.scheduler.times import seconds

if TYPE_CHECKING:
    from torc_core.protocols import Store
    from torc_slurm.scheduler.answers import Accounted
    from torc_slurm.scheduler.slurm import Slurm

FIELDS = (
    "JobID", "JobName", "State", "ExitCode", "Elapsed", "MaxRSS", "TotalCPU", "NodeList", "AllocCPUS", "NNodes",
    "Partition", "Account", "Start", "End", "Submit", "AllocTRES",
)  # fmt: skip
EVERY = 2**31


@record(frozen=True, slots=True, kw_only=True)
class Step:
    """An allocation, or a step in it.

    Parameters
    ----------
    step
        `batch`, `extern`, or the number and name of a step; empty: the allocation.
    max_rss
        Bytes that its largest task used; None: not measured.
    elapsed, cpu
        Seconds.
    """

    slurm_job: str
    step: str
    state: str
    exit_code: str
    elapsed: float | None
    max_rss: int | None
    cpu: float | None
    nodes: str

    @classmethod
    def of(cls, line: Accounted) -> Step:
        """From a line of sacct."""
        fields = line.fields
        number, _, step = fields["JobID"].partition(".")
        name = fields["JobName"]
        named = f"{step} {name}" if step and step.isdigit() and name else step
        return cls(
            slurm_job=number, step=named, state=word(fields["State"]), exit_code=fields["ExitCode"],
            elapsed=seconds(fields["Elapsed"]), max_rss=size(fields["MaxRSS"]) or None, cpu=seconds(fields["TotalCPU"]),
            nodes=fields["NodeList"],
        )  # fmt: skip

    def item(self) -> Mapping[str, Json]:
        """As JSON has it."""
        return {
            "slurm_job_id": self.slurm_job, "job_step": self.step, "state": self.state, "exit_code": self.exit_code,
            "elapsed_seconds": self.elapsed, "max_rss_bytes": self.max_rss, "cpu_time_seconds": self.cpu,
            "nodes": self.nodes,
        }  # fmt: skip


def numbers_of(store: Store, workflow: WorkflowId) -> list[str]:
    """How Slurm calls the allocations of a workflow."""
    found = store.find(Allocation, Query(workflow=workflow, limit=EVERY)).items
    return [one.scheduler_id for one in found if one.scheduler_id]


def accounted(slurm: Slurm, numbers: Sequence[str]) -> list[Accounted] | None:
    """All lines about these allocations and their steps; None: the cluster keeps no accounts."""
    return slurm.accounts(FIELDS, numbers=numbers, steps=True)


def documents(slurm: Slurm, numbers: Sequence[str], ours: Sequence[Step]) -> dict[str, Any]:
    """What is saved of each allocation: Slurm's own JSON, where its release can write that, else our lines."""
    done = slurm.ran("sacct", "--json", "-j", ",".join(numbers))
    try:
        told = json.loads(done.out) if done.code == 0 else {}
        jobs = {str(one["job_id"]): one for one in told.get("jobs", ())}
    except (ValueError, KeyError, TypeError, AttributeError):
        jobs = {}
    return {
        number: jobs.get(number) or {"steps": [dict(one.item()) for one in ours if one.slurm_job == number]}
        for number in numbers
    }
