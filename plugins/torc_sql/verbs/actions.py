"""Things to do at moments of a workflow (`Actions`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torc_core.model import Action, ActionClaim, ActionId, ActionRun, NodeId, WorkflowId
from torc_sql import actions
from torc_sql.change import Change
from torc_sql.state import workflow_state
from torc_sql.transacting import Transacting

R = TypeVar("R")


class ActionVerbs(Transacting):
    """Things to do at moments of a workflow (`Actions`)."""

    def due_actions(self, workflow: WorkflowId, triggers: Sequence[str] = ()) -> Sequence[Action]:
        """Actions that have fired and are not executed, or are persistent."""
        self._let_run_out(workflow)
        with self._read() as tx:
            return actions.due(tx, workflow, workflow_state(tx, workflow).run_id, triggers)

    def claim_action(self, action: ActionId, claim_id: str | None, node: NodeId | None) -> ActionClaim:
        """Take the firing of an action in the current run."""
        return self._of_action(
            action, lambda change, found: actions.claim(change, found, claim_id, node, self._clock.uuid)
        )

    def step_action(self, action: ActionId, claim_id: str, step: int) -> ActionRun:
        """Record that command number `step` is about to be run."""
        return self._of_action(action, lambda change, found: actions.step(change, found, claim_id, step))

    def end_action(self, action: ActionId, claim_id: str, ok: bool, message: str | None = None) -> ActionRun:
        """Record how it went: done or failed."""
        return self._of_action(
            action, lambda change, found: actions.end(change, found, claim_id, ok, message)
        )

    def release_action(self, action: ActionId, claim_id: str) -> ActionRun:
        """Give it back undone: triggered again."""
        return self._of_action(action, lambda change, found: actions.release(change, found, claim_id))

    def rearm_action(self, action: ActionId) -> ActionRun:
        """Put a failed firing back to triggered, by a person's word."""
        return self._of_action(action, actions.rearm)

    def _of_action(self, action: ActionId, verb: Callable[[Change, Action], R]) -> R:
        with self._read() as tx:
            workflow = actions.action(tx, action).workflow_id
        self._let_run_out(workflow)
        with self._change(workflow) as change:
            return verb(change, actions.action(change.tx, action))

    def _let_run_out(self, workflow: WorkflowId) -> None:
        """What has run out has done so, whether the verb is refused or not."""
        with self._read() as tx:
            workflow_state(tx, workflow)
            late = actions.run_out(tx, workflow)
        if late:
            with self._change(workflow) as change:
                actions.expire(change)
