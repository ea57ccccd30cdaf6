"""Allocations for what is left of a workflow: planned anew, less what it has already, and submitted (`slurm.md` §7.7, §10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.errors import Conflict, TorcError, Unavailable
from torc_core.model import Allocation, Intent, Json, Node, Query, Workflow, WorkflowId
from torc_slurm.recovering.providing import Provided, Wanted
from torc_slurm.watching.seeing import hours_of

if TYPE_CHECKING:
    from torc_core.protocols import Batch
    from torc_core.session import Session
    from torc_slurm.profiles.model import Profile
    from torc_slurm.regenerating import Regenerated

EVERY = 2**31


class Replanning:
    """A provider that plans as `torc slurm regenerate` does.

    What is due first, a plan that is in force included, is submitted before anything is planned. What is wanted at once
    is intended in the transaction that writes the plan, so that of two who saw the same shortage one asks.

    Parameters
    ----------
    url
        The address under which other hosts reach the store; None in a dry run.
    profile
        What the cluster is made of; asked for at most once.
    """

    def __init__(
        self, session: Session, batch: Batch, url: str | None, profile: Callable[[], Profile]
    ) -> None:
        self._session = session
        self._batch = batch
        self._url = url
        self._profile = profile

    def __call__(self, workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        """Plan and submit what is missing.

        Raises
        ------
        Conflict
            If somebody else has asked for allocations since it was looked at.
        Unavailable
            If the store is away.
        """
        store = self._session.store()
        if not dry_run:
            self._keep(workflow, wanted)
            tended = self._batch.tend(workflow)
            if tended.submitted or tended.refused or tended.unclear:
                return Provided(intended=len(tended.submitted), tended=tended)
        rows = store.find(Allocation, Query(workflow=workflow, limit=EVERY)).items
        used = self._used(workflow, rows)
        cap = wanted.max_node_hours
        if cap is not None and used >= cap:
            over = f"{used:.1f} of {cap:g} node-hours are used or asked for already"
            return Provided(why_not=over, enough=False)
        try:
            made = self._planned(workflow, wanted, None if cap is None else cap - used)
        except (Conflict, Unavailable):
            raise
        except TorcError as error:
            return Provided(why_not=f"no allocation can be planned: {error}", enough=False)
        document: dict[str, Json] = {
            "allocations": made.plan.allocations, "node_hours_used": round(used, 4),
            "schedulers": [
                {"name": group.name, "partition": group.partition.name, "nodes": group.nodes, "walltime_seconds": group.walltime,
                 "allocations": group.allocations, "jobs": len(group.jobs)}
                for group in made.plan.groups
            ],
        }  # fmt: skip
        intents = intents_of(made)
        if dry_run or not made.plan.groups:
            why = None if made.plan.groups else "nothing is missing: what is queued or runs is enough"
            return Provided(intended=sum(one.count for one in intents), why_not=why, document=document)
        store.replan(workflow, replace(made.replan(submit=False), allocations=intents))
        return Provided(
            intended=sum(one.count for one in intents), tended=self._batch.tend(workflow), document=document
        )

    def _planned(self, workflow: WorkflowId, wanted: Wanted, hours: float | None) -> Regenerated:
        from torc_slurm.commands.planner_options import PlannerOptions
        from torc_slurm.regenerating import regenerated

        store = self._session.store()
        options = PlannerOptions(partition=wanted.partition, walltime=wanted.walltime, max_node_hours=hours)
        return regenerated(
            store, store.get(Workflow, workflow), self._profile(), options.wishes(self._session),
            now=self._session.clock.now(), session=self._session, include=wanted.jobs,
        )  # fmt: skip

    def _keep(self, workflow: WorkflowId, wanted: Wanted) -> None:
        """Remember what runners are started with: as before, but for what the user says anew."""
        from torc_slurm.submission.starting import keep_terms
        from torc_slurm.submission.terms import options, reachable

        if self._url is None:
            return
        store, keys = self._session.store(), self._session.config.client
        about = store.get(Workflow, workflow)
        said = options(
            api_url=reachable(self._url), output_dir=wanted.output_dir or keys.run.output_dir,
            poll_interval=keys.slurm.poll_interval, max_parallel_jobs=None,
            keep_submission_scripts=keys.slurm.keep_submission_scripts,
        )  # fmt: skip
        before = dict(about.submit_options or {})
        fresh = {
            "api_url": said["api_url"],
            **({"output_dir": said["output_dir"]} if wanted.output_dir else {}),
        }
        if any(before.get(key) != value for key, value in fresh.items()):
            keep_terms(store, about, {**said, **before, **fresh})

    def _used(self, workflow: WorkflowId, rows: Sequence[Allocation]) -> float:
        """Node-hours that are used up, and those that what is open may still use."""
        nodes = self._session.store().find(Node, Query(workflow=workflow, limit=EVERY)).items
        return hours_of(rows, nodes, self._session.clock.now())


def intents_of(made: Regenerated) -> list[Intent]:
    """The allocations of a plan that are wanted at once."""
    return [
        Intent(scheduler=group.name, count=count, nodes=group.nodes)
        for group in made.plan.groups
        if (count := sum(wave.allocations for wave in group.waves if not wave.trigger))
    ]
