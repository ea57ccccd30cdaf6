"""A store that writes down what matters for security, by whichever route it comes (`security.md` §11)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torc_core.errors import Conflict, Fenced, Invalid, NotFound, TorcError
from torc_core.model import (
    AccessGroup,
    Ending,
    GroupLink,
    Held,
    Job,
    Membership,
    NodeId,
    Orders,
    Result,
    Turn,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.store.principal import Right
from torc_core.store.rights import VERBS

R = TypeVar("R")

log = logging.getLogger("torc_http.audit")

NAMES: Mapping[Verdict, str] = {Verdict.STALE: "late_result", Verdict.DIFFERENT: "duplicate_completion"}
"""What results are called that were not taken."""

NOTED: frozenset[type[Any]] = frozenset({AccessGroup, GroupLink, Membership, Result, Workflow})
"""The kinds of records of which it is written down what is done to them."""

MOST = 100
"""Refused results of one call that are written down one by one."""


class Audited:
    """The `Store` protocol for one call.

    What was done is written down in the transaction in which it is done. What was refused is kept in `refusals` until
    the transaction is over: it would be undone with it.

    Parameters
    ----------
    write
        `Call.audit`.
    together
        `Call.together`.
    admin
        The name of an admin, whose deeds in workflows of others are written down; None: it is none.
    """

    def __init__(
        self,
        store: Store,
        write: Callable[..., None],
        together: Callable[[], AbstractContextManager[None]],
        admin: str | None,
    ) -> None:
        self._store = store
        self._write = write
        self._together = together
        self._admin = admin
        self.refusals: list[tuple[str, str, str, str]] = []

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._store, name)
        verb = VERBS.get(name)
        if self._admin is None or verb is None or verb.right not in (Right.OPERATE, Right.OWN):
            return member

        def call(*args: Any, **named: Any) -> Any:
            # NOTE: asked before, since afterwards a workflow may be gone.
            try:
                foreign = self._foreign(*verb.about(*args, **named))
            except (AttributeError, TypeError):
                foreign = []
            if not foreign:
                return member(*args, **named)
            with self._together():
                value = member(*args, **named)
                for workflow in foreign:
                    self._write(
                        "admin_action", f"workflow {workflow.id}", f"{name}, workflow of '{workflow.user}'"
                    )
            return value

        return call

    def close_audit(self) -> None:
        """Write down what was refused. A store that cannot take it does not keep it from being told; the log has it."""
        refusals, self.refusals = self.refusals, []
        try:
            for operation, object, detail, outcome in refusals:
                self._write(operation, object, detail, outcome)
        except TorcError as error:
            log.error("audit record not stored operation=%s error=%s", operation, error)  # noqa: TRY400 - a sentence

    def _written(self, *kinds: type[Any]) -> AbstractContextManager[None]:
        """One transaction for what is done to records of these kinds and what is written down of that, if anything is."""
        return self._together() if NOTED & {*kinds} else nullcontext()

    # Records

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records."""
        with self._written(*{type(one) for one in records}):
            added = self._store.add(records)
            for one in added:
                if isinstance(one, AccessGroup):
                    self._write("group_created", f"group {one.id} ({one.name})")
                elif isinstance(one, Membership):
                    self._write(
                        "group_member_added", f"group {one.group_id}", f"{one.user_name} as {one.role}"
                    )
                elif isinstance(one, GroupLink):
                    self._write(
                        "workflow_linked", f"workflow {one.workflow_id}", f"group {one.group_id}, {one.level}"
                    )
            return added

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        with self._written(kind):
            before = self._store.get(Workflow, id).user if kind is Workflow and "user" in fields else None
            changed = self._store.change(kind, id, fields)
            if isinstance(changed, Workflow) and before is not None and changed.user != before:
                self._write("owner_changed", f"workflow {id}", f"'{before}' to '{changed.user}'")
            elif isinstance(changed, Result):
                self._write("result_changed", f"result {id}", ", ".join(sorted(fields)))
            elif isinstance(changed, GroupLink):
                self._write(
                    "workflow_linked",
                    f"workflow {changed.workflow_id}",
                    f"group {changed.group_id}, {changed.level}",
                )
            elif isinstance(changed, Membership):
                self._write(
                    "group_member_changed",
                    f"group {changed.group_id}",
                    f"{changed.user_name} as {changed.role}",
                )
            return changed

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records."""
        with self._written(kind):
            told = list(self._farewells(kind, ids))
            count = self._store.remove(kind, ids)
            for operation, object, detail in told if count else ():
                self._write(operation, object, detail)
            return count

    def _farewells(self, kind: type[Any], ids: Sequence[int]) -> Iterable[tuple[str, str, str]]:
        if kind is Result:
            what = f"result {ids[0]}" if len(ids) == 1 else f"results {min(ids)} to {max(ids)}" if ids else ""
            yield "result_changed", what, f"{len(ids)} removed"
        elif kind is Workflow:
            yield from (("workflow_deleted", f"workflow {id}", "") for id in ids)
        elif kind in (AccessGroup, Membership, GroupLink):
            for id in ids:
                try:
                    one = self._store.get(kind, id)
                except NotFound:
                    continue
                if isinstance(one, AccessGroup):
                    yield "group_removed", f"group {id} ({one.name})", ""
                elif isinstance(one, Membership):
                    yield "group_member_removed", f"group {one.group_id}", one.user_name
                else:
                    yield "workflow_unlinked", f"workflow {one.workflow_id}", f"group {one.group_id}"

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow."""
        with self._together():
            foreign = self._foreign(Workflow, (workflow,))
            self._store.delete(workflow, force=force)
            self._write("workflow_deleted", f"workflow {workflow}")
            for one in foreign:
                self._write("admin_action", f"workflow {one.id}", f"delete, workflow of '{one.user}'")

    # Attempts

    def turn(self, turn: Turn) -> Orders:
        """One call of a runner."""
        orders: Orders = self._seated(f"node {turn.node}", self._store.turn, turn)
        self._judged(turn.endings, orders.endings)
        return orders

    def try_turn(self, turn: Turn) -> tuple[Orders, bool]:
        """One call of a runner, answered at once."""
        told: tuple[Orders, bool] = self._seated(f"node {turn.node}", self._store.try_turn, turn)  # type: ignore[attr-defined]  # an embedded store, guarded or not
        self._judged(turn.endings, told[0].endings)
        return told

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended."""
        verdict: Verdict = self._seated(f"node {node}", self._store.recovered, node, epoch, held, ok)
        return verdict

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings."""
        try:
            verdicts = self._store.finish(workflow, endings)
        except (Conflict, Invalid) as error:
            if len(endings) == 1:
                self._turned_down(endings[0], error)
            raise
        self._judged(endings, verdicts)
        return verdicts

    def reconcile(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Take results from a spool."""
        verdicts = self._store.reconcile(workflow, endings)
        self._judged(endings, verdicts)
        return verdicts

    def _seated(self, object: str, verb: Callable[..., Any], *args: Any) -> Any:
        try:
            return verb(*args)
        except Fenced as error:
            self.refusals.append(("fenced_node", object, str(error), "refused"))
            raise

    def _turned_down(self, ending: Ending, error: TorcError) -> None:
        """A single result was refused with a sentence: its job has ended already, or another attempt has it."""
        try:
            ended = self._store.get(Job, ending.job).status.ended
        except NotFound:
            return
        if ended:
            self._judged([ending], [Verdict.DIFFERENT])
        elif isinstance(error, Conflict):
            self._judged([ending], [Verdict.STALE])

    def _judged(self, endings: Sequence[Ending], verdicts: Sequence[Verdict]) -> None:
        refused = [
            (ending, verdict) for ending, verdict in zip(endings, verdicts, strict=False) if verdict in NAMES
        ]
        for ending, verdict in refused[:MOST]:
            detail = f"run {ending.run_id}, attempt {ending.attempt_id}"
            self.refusals.append((NAMES[verdict], f"job {ending.job}", detail, "refused"))
        if len(refused) > MOST:
            more = f"and {len(refused) - MOST} more of this call"
            self.refusals.append(("late_result", "jobs", more, "refused"))

    def _foreign(self, kind: type[Any], ids: Sequence[int]) -> list[Workflow]:
        """Workflows of others that records belong to."""
        if self._admin is None:
            return []
        workflows = dict.fromkeys(self._store.owner_of(kind, ids))
        found = [self._store.get(Workflow, id) for id in workflows]
        return [one for one in found if one.user != self._admin]
