"""Carries out what is due for a workflow: scheduled nodes, and intents that nobody has in his hands (SJ6, SJ9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from torc_core.errors import Conflict, NotFound, TorcError, Unavailable
from torc_core.model import (
    Action,
    ActionClaim,
    ActionRun,
    ActionState,
    Allocation,
    AllocationStatus,
    NodeId,
    Query,
    SlurmScheduler,
    Value,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Clock, Store
from torc_core.record import record
from torc_slurm.submission.holding import dead, name_of_us
from torc_slurm.submission.submitting import Result, Submitter, Wanted
from torc_slurm.submission.terms import Terms

log = logging.getLogger(__name__)

SLURM = "slurm"
OF_RUNNERS = ("on_worker_start", "on_worker_complete")
RENEWAL = 30.0
"""Seconds after which we say again that we are at it: a claim lives longer than that and one sbatch together."""


@record(frozen=True, slots=True, kw_only=True)
class Taken:
    """A firing of an action that we carry out, with what has to be submitted for it."""

    action: Action
    claim: ActionClaim
    wanted: Sequence[Wanted]


class Due:
    """What is due for one workflow, carried out once whoever else tries it at the same time."""

    def __init__(self, store: Store, clock: Clock, submitter: Submitter) -> None:
        self._store = store
        self._clock = clock
        self._submitter = submitter

    def carry_out(
        self,
        workflow: Workflow,
        terms: Callable[[], Terms],
        node: NodeId | None = None,
        *,
        leaving: bool = False,
    ) -> list[Result]:
        """Submit all that is due; nothing at all if there is nothing.

        Parameters
        ----------
        leaving
            The node is about to end.

        Raises
        ------
        Conflict
            If there is something, and no other host could reach the store; nothing was taken then.
        Unavailable
            If the store does not answer.
        """
        us = name_of_us(self._clock)
        release_dead(self._store, workflow.id)
        due = (one for one in self._store.due_actions(workflow.id) if scheduling(one))
        actions = [one for one in due if whose(self._store, one, node, leaving=leaving)]
        intents = untaken(self._store, workflow.id)
        if not actions and not intents:
            return []
        settled = terms()
        schedulers = schedulers_of(self._store, workflow.id)
        taken: list[Taken] = []
        of_action: set[int] = set()

        def hold(one: Wanted) -> None:
            for each in taken:
                self._store.step_action(each.action.id, us, each.claim.run.progress)
            if one.allocation.id not in of_action:
                held = {row.id for row in self._store.take_intents(workflow.id, us)}
                if one.allocation.id not in held:
                    raise Conflict(
                        f"scheduled compute node {one.allocation.id} is submitted by somebody else"
                    )

        try:
            # One by one: what is claimed when the store fails is given back.
            taken.extend(self._claimed(actions, us, node, schedulers))
            of_action.update(one.allocation.id for each in taken for one in each.wanted)
            loose = self._loose(workflow, us, intents, settled, schedulers)
            wanted = [one for each in taken for one in each.wanted] + loose
            results = self._submitter.submit(workflow, wanted, settled, hold)
        except TorcError:
            for each in taken:
                self._give_back(each.action, us)
            raise
        by_id = {one.allocation.id: one for one in results}
        for each in taken:
            self._end(each, us, [by_id[one.allocation.id] for one in each.wanted])
        return results

    def submit_intents(
        self, workflow: Workflow, us: str, intents: Sequence[Allocation], terms: Terms
    ) -> list[Result]:
        """Submit intents without an action, which are ours."""
        schedulers = schedulers_of(self._store, workflow.id)
        wanted = [
            Wanted(
                allocation=one,
                scheduler=schedulers[one.scheduler_config_id],
                one_worker_per_node=terms.one_worker_per_node,
                doubtful=one.submitted_by != us,
            )
            for one in intents
            if to_submit(one) and one.scheduler_config_id in schedulers
        ]
        renewed = self._clock.monotonic()

        def hold(one: Wanted) -> None:
            nonlocal renewed
            if self._clock.monotonic() - renewed < RENEWAL:
                return
            if one.allocation.id not in {row.id for row in self._store.take_intents(workflow.id, us)}:
                raise Conflict(f"scheduled compute node {one.allocation.id} is submitted by somebody else")
            renewed = self._clock.monotonic()

        return self._submitter.submit(workflow, wanted, terms, hold)

    def _claimed(
        self, actions: Iterable[Action], us: str, node: NodeId | None, schedulers: dict[int, SlurmScheduler]
    ) -> Iterable[Taken]:
        for action in actions:
            try:
                claim = self._store.claim_action(action.id, us, node)
            except (Conflict, NotFound):
                continue  # somebody else has it, or it is gone
            log.info("action_started workflow_id=%d action_id=%d trigger=%s", action.workflow_id, action.id,
                     action.trigger_type)  # fmt: skip
            parallel = action.config.get("max_parallel_jobs")
            yield Taken(
                action=action,
                claim=claim,
                wanted=[
                    Wanted(
                        allocation=one,
                        scheduler=schedulers[one.scheduler_config_id],
                        one_worker_per_node=bool(action.config.get("start_one_worker_per_node")),
                        max_parallel_jobs=parallel if isinstance(parallel, int) else None,
                        doubtful=one.submitted_by != us,
                    )
                    for one in claim.allocations
                    if to_submit(one) and one.scheduler_config_id in schedulers
                ],
            )

    def _loose(
        self,
        workflow: Workflow,
        us: str,
        intents: Sequence[Allocation],
        terms: Terms,
        schedulers: dict[int, SlurmScheduler],
    ) -> list[Wanted]:
        """Intents without an action, which are ours from now on."""
        if not intents:
            return []
        gone = next((one.submitted_by for one in intents if dead(one.submitted_by)), None)
        before = {one.id: one.submitted_by for one in intents}
        return [
            Wanted(
                allocation=one,
                scheduler=schedulers[one.scheduler_config_id],
                one_worker_per_node=terms.one_worker_per_node,
                doubtful=before.get(one.id) is not None,
            )
            for one in self._store.take_intents(workflow.id, us, gone)
            if one.scheduler_config_id in schedulers
        ]

    def _end(self, taken: Taken, us: str, results: Sequence[Result]) -> None:
        """Report how a firing went: done, failed, or to be looked at again."""
        refused = [one for one in results if one.refused]
        if any(one.unclear for one in results):
            self._give_back(taken.action, us)
            return
        message = None
        if refused:
            count = len(taken.claim.allocations)
            message = f"submitted {count - len(refused)} of {count} allocations (sbatch: {refused[0].cause})"
        self._store.end_action(taken.action.id, us, not refused, message)

    def _give_back(self, action: Action, us: str) -> None:
        try:
            self._store.release_action(action.id, us)
        except (Conflict, NotFound, Unavailable) as error:
            log.debug("action_release action_id=%d why=%s", action.id, error)


def scheduling(action: Action) -> bool:
    """Whether an action asks for nodes of Slurm."""
    return action.action_type == "schedule_nodes" and action.config.get("scheduler_type", SLURM) == SLURM


def whose(store: Store, action: Action, node: NodeId | None, *, leaving: bool = False) -> bool:
    """Whether a due action is for this runner to carry out, or, where there is none, for commands and servers.

    What is to be done at the begin and the end of runners is for these alone. A persistent one is carried out once by
    each runner, and once without any, by whoever comes first; what a runner has left undone is for everybody.
    """
    if action.persistent:
        left: dict[str, Value | tuple[Value, ...]] = {
            "action_id": action.id,
            "state": ActionState.TRIGGERED.value,
        }
        if store.find(ActionRun, Query(workflow=action.workflow_id, where=left, limit=0)).total:
            return True
    if action.trigger_type in OF_RUNNERS:
        return node is not None and (action.trigger_type == "on_worker_complete") is leaving
    return node is not None or not action.executed


def to_submit(allocation: Allocation) -> bool:
    """Whether an intent is still to be submitted; one that Slurm has refused is tried again with its firing."""
    return allocation.scheduler_id is None and allocation.status in (
        AllocationStatus.INTENDED,
        AllocationStatus.FAILED,
    )


def schedulers_of(store: Store, workflow: WorkflowId) -> dict[int, SlurmScheduler]:
    """The schedulers of a workflow by id."""
    return {one.id: one for one in store.find(SlurmScheduler, Query(workflow=workflow, limit=2**31)).items}


def untaken(store: Store, workflow: WorkflowId) -> list[Allocation]:
    """Intents that are in nobody's hands, or in those of a process of this host that is no more, or that is silent."""
    where = {"status": AllocationStatus.INTENDED.value}
    return list(store.find(Allocation, Query(workflow=workflow, where=where, limit=2**31)).items)


def release_dead(store: Store, workflow: WorkflowId) -> None:
    """Give back what processes of this host that are no more have claimed: they would keep it for ten minutes."""
    where = {"state": "claimed"}
    for run in store.find(ActionRun, Query(workflow=workflow, where=where, limit=2**31)).items:
        if run.claim_id is None or not dead(run.claim_id) or not scheduling(store.get(Action, run.action_id)):
            continue
        try:
            store.release_action(run.action_id, run.claim_id)
        except (Conflict, NotFound):
            continue
        log.info(
            "action_taken_over workflow_id=%d action_id=%d from=%s", workflow, run.action_id, run.claim_id
        )


def rearm_failed(store: Store, workflow: WorkflowId) -> int:
    """Put firings that Slurm refused back to triggered, by a person's word; how many there were."""
    count = 0
    state = store.get(Workflow, workflow)
    where: dict[str, Value | tuple[Value, ...]] = {"state": "failed", "run_id": state.run_id}
    for run in store.find(ActionRun, Query(workflow=workflow, where=where, limit=2**31)).items:
        if scheduling(store.get(Action, run.action_id)):
            store.rearm_action(run.action_id)
            count += 1
    return count
