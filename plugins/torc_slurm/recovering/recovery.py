"""One recovery of a workflow from beginning to end; repeated after an interruption, it goes on where it was (`slurm.md` §10)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.model import (
    AllocationStatus,
    Json,
    Progress,
    Query,
    Requirement,
    Workflow,
    WorkflowId,
)
from torc_core.record import record
from torc_slurm.recovering.adjusting import Factors
from torc_slurm.recovering.deciding import Decision, adjustment_items, decide, diagnosis_items
from torc_slurm.recovering.diagnosis import Cause, Diagnosis, by_cause
from torc_slurm.recovering.hook import ask
from torc_slurm.recovering.limits import Room, before_end, caps_of
from torc_slurm.recovering.looking import Standing, patients, refuse_busy, standing, uses_slurm
from torc_slurm.recovering.providing import Provided, Provider, Wanted
from torc_terminal.preparing import refuse_closed
from torc_terminal.processes import dead_nodes

if TYPE_CHECKING:
    from torc_core.protocols import Batch, Store
    from torc_core.session import Session


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants of a recovery.

    Parameters
    ----------
    max_memory, max_runtime
        Bytes and seconds that no job may ask for more than.
    jobs
        Only these; None: all that failed.
    skip
        Causes that are left alone.
    """

    factors: Factors = Factors()
    retry_unknown: bool = False
    hook: str | None = None
    max_memory: int | None = None
    max_runtime: int | None = None
    jobs: Collection[int] | None = None
    skip: Collection[Cause] = ()
    wanted: Wanted = Wanted()


@record(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a recovery did, or would do.

    Parameters
    ----------
    progress
        None: nothing ran again.
    provided
        What was submitted; None: the workflow is not run by Slurm, or Slurm is not asked from here.
    slurm
        Whether it is run by allocations.
    already
        What an earlier recovery, or somebody else, has done already, in a sentence.
    """

    workflow: WorkflowId
    wish: Wish
    decision: Decision
    dry_run: bool
    slurm: bool
    progress: Progress | None = None
    provided: Provided | None = None
    already: str | None = None
    made: Mapping[str, int] | None = None

    @property
    def lines(self) -> list[str]:
        """For people."""
        lines = self.decision.lines(dry_run=self.dry_run)
        if not self.decision.found and not self.already:
            lines.append(f"Nothing to recover: no job of workflow {self.workflow} has failed")
        if self.already:
            lines.append(self.already)
        if self.progress is not None:
            ready = self.progress.moved.get("ready", 0)
            chosen = len(self.decision.jobs)
            lines.append(f"{_jobs(chosen)} reset; run {self.progress.run_id} has begun, {_jobs(ready)} ready")
        if self.provided is not None:
            lines += self.provided.lines
        return lines

    @property
    def hint(self) -> str | None:
        """The next command, where there is one."""
        if self.dry_run:
            return None
        if self.progress is None and not self.already:
            return None
        if not self.slurm:
            return f"run it: torc run {self.workflow}"
        if self.provided is None:
            return f"Slurm is not on this host; where it is: torc submit {self.workflow}"
        return f"follow it: torc watch {self.workflow}"

    @property
    def exit_code(self) -> int:
        """1: some failures stay, or Slurm, or a limit, refused an allocation."""
        provided = self.provided
        refused = provided is not None and (bool(provided.tended.refused) or not provided.enough)
        return 1 if self.decision.unrecovered or refused else 0

    def document(self) -> dict[str, Json]:
        """As JSON has it."""
        decision, made = self.decision, self.made or {}
        adjustments = [
            {**one, "new_resource_requirements_id": made.get(growth.adjustment.needs.name)}
            for one, growth in zip(
                adjustment_items(decision), [one for one in decision.growths if one.adjustment], strict=True
            )
            if growth.adjustment is not None
        ]
        provided = self.provided
        result: dict[str, Json] = {
            **decision.counts,
            "jobs_to_retry": [one.job.id for one in decision.jobs],
            "adjustments": adjustments,
            "not_adjusted": [
                {"job_ids": [one.job.id for one in growth.patients], "why": growth.limit}
                for growth in decision.stuck
            ],
            "run_id": None if self.progress is None else self.progress.run_id,
            "allocations_submitted": 0 if provided is None else len(provided.tended.submitted),
            "allocations_refused": 0 if provided is None else len(provided.tended.refused),
            "slurm_dry_run": provided.document if provided is not None and self.dry_run else None,
        }
        return {
            "workflow_id": self.workflow,
            "dry_run": self.dry_run,
            "memory_multiplier": self.wish.factors.memory,
            "runtime_multiplier": self.wish.factors.runtime,
            "result": result,
            "diagnosis": diagnosis_items(decision),
        }


class Recovery:
    """Recovers one workflow.

    Parameters
    ----------
    batch
        Slurm in the service of the store; None: it is not on this host.
    provide
        Plans and submits.
    partitions
        Of the cluster; asked for at most once, and only if somebody lacks something.
    """

    def __init__(
        self,
        session: Session,
        workflow: WorkflowId,
        wish: Wish,
        *,
        batch: Batch | None = None,
        provide: Provider | None = None,
        partitions: Callable[[], Sequence[Room]] = tuple,
    ) -> None:
        self._session = session
        self._workflow = workflow
        self._wish = wish
        self._batch = batch
        self._provide = provide
        self._partitions = partitions

    def settled(self, *, dry_run: bool = False) -> Standing:
        """How the workflow stands once it is recorded what has ended, and submitted what was intended."""
        store = self._session.store()
        if not dry_run:
            for node in dead_nodes(store, self._workflow):
                store.bury(node.id, "process_gone", "recover")
        if self._batch is not None:
            synced = self._batch.sync(self._workflow, dry_run=dry_run)
            if synced.unanswered:
                self._session.warn(f"Slurm does not answer: {synced.unanswered}")
            now = standing(store, self._workflow)
            if not dry_run and any(one.status is AllocationStatus.INTENDED for one in now.allocations):
                # NOTE: whoever intended them may have died before he submitted them.
                self._batch.tend(self._workflow)
        return standing(store, self._workflow)

    def diagnosed(self) -> list[Diagnosis]:
        """The failures that are looked at."""
        return patients(self._session.store(), self._workflow, self._wish.jobs)

    def decided(self, found: Sequence[Diagnosis], *, hooked: bool = False) -> Decision:
        """What is to be done about them; `hooked`: the user's hook has cared for those of unknown cause."""
        store, wish = self._session.store(), self._wish
        workflow = store.get(Workflow, self._workflow)
        sick = {one.needs.id: one.needs for one in found if one.cause in (Cause.OOM, Cause.TIMEOUT)}
        caps = caps_of(
            sick.values(), self._partitions() if sick else (), max_memory=wish.max_memory, max_runtime=wish.max_runtime,
            before_end=before_end(workflow),
        )  # fmt: skip
        return decide(
            found, workflow.run_id, wish.factors, caps, retry_unknown=wish.retry_unknown or hooked, skip=wish.skip
        )  # fmt: skip

    def tried(self) -> Recovered:
        """What a recovery would do."""
        refuse_busy(self.settled(dry_run=True))
        decision = self.decided(self.diagnosed(), hooked=self._wish.hook is not None)
        slurm = uses_slurm(self._session.store(), self._workflow)
        wanted = _with_jobs(self._wish.wanted, decision)
        return Recovered(
            workflow=self._workflow, wish=self._wish, decision=decision, dry_run=True, slurm=slurm,
            provided=self._provided(wanted, dry_run=True) if slurm and decision.jobs else None,
        )  # fmt: skip

    def done(self) -> Recovered:
        """Do it.

        Raises
        ------
        Conflict
            If somebody works on the workflow, or somebody else has recovered it meanwhile.
        HookFailed
            If the user's hook fails; nothing has been changed then.
        """
        now = self.settled()
        refuse_closed(now.totals.workflow, "recovered")
        found = self.diagnosed()
        slurm = uses_slurm(self._session.store(), self._workflow)
        if now.allocations and not _curable(found, self._wish):
            return self._waits(found, slurm, now)
        refuse_busy(now)
        unknown = by_cause(found, Cause.UNKNOWN)
        hook = self._wish.hook if unknown and Cause.UNKNOWN not in self._wish.skip else None
        if hook is not None:
            ask(self._session, hook, self._workflow, now.totals.workflow.run_id)
            found = self.diagnosed()
        return self.applied(self.decided(found, hooked=hook is not None), slurm=slurm)

    def applied(self, decision: Decision, *, slurm: bool) -> Recovered:
        """Let a decision happen: one transaction, then allocations for what is ready."""
        store = self._session.store()
        progress = store.recover(self._workflow, decision.plan()) if decision.jobs else None
        made = self._made(decision) if progress is not None else {}
        ready = standing(store, self._workflow).ready
        already = None
        if progress is None and ready:
            already = f"{_jobs(ready)} ready already, and nobody works on {'it' if ready == 1 else 'them'}"
        provided = None
        if slurm and ready:
            provided = self._provided(self._wish.wanted, dry_run=False)
        return Recovered(
            workflow=self._workflow, wish=self._wish, decision=decision, dry_run=False, slurm=slurm,
            progress=progress, provided=provided, already=already, made=made,
        )  # fmt: skip

    def _waits(self, found: Sequence[Diagnosis], slurm: bool, now: Standing) -> Recovered:
        """Nothing is left to do: what was recovered waits for its allocations, or runs in them."""
        count = len(now.allocations)
        said = f"recovered already: {count} allocation{'s are' if count != 1 else ' is'} queued or running"
        return Recovered(
            workflow=self._workflow, wish=self._wish, decision=self.decided(found), dry_run=False, slurm=slurm, already=said,
            provided=Provided(),
        )  # fmt: skip

    def _provided(self, wanted: Wanted, *, dry_run: bool) -> Provided | None:
        if self._provide is None:
            return None
        return self._provide(self._workflow, wanted, dry_run=dry_run)

    def _made(self, decision: Decision) -> dict[str, int]:
        """The ids of the new requirements, by name: the newest of each."""
        names = tuple(one.needs.name for one in decision.adjustments)
        if not names:
            return {}
        query = Query(workflow=self._workflow, where={"name": names})
        store: Store = self._session.store()
        return {one.name: one.id for one in store.find(Requirement, query).items}


def _curable(found: Sequence[Diagnosis], wish: Wish) -> bool:
    """Whether there is a failure that this recovery would do something about."""
    unknown = wish.retry_unknown or wish.hook is not None
    return any(one.cause not in wish.skip and (unknown or one.cause is not Cause.UNKNOWN) for one in found)


def _with_jobs(wanted: Wanted, decision: Decision) -> Wanted:
    return replace(wanted, jobs=[one.job.id for one in decision.jobs])


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"
