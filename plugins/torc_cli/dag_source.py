"""The workflow that plans and pictures are made of: one of the store, or that of a specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torc_core.session import Session
from torc_terminal.selector import found as selected
from torc_terminal.target import Kind, target_of

if TYPE_CHECKING:
    from torc_core.engine.dag import Dag


def dag_from(session: Session, what: str | None) -> tuple[Dag, str]:
    """The jobs of a specification or of a workflow, and where they are from: `spec_file` or `database`.

    Raises
    ------
    Complaints
        If the specification is not valid.
    NotFound
        If there is no such workflow.
    """
    target = None if what is None else target_of(what, lists=False)
    if target is not None and target.kind is Kind.SPEC:
        from torc_core.engine.dag import of_plan
        from torc_terminal.creating import Creating
        from torc_terminal.specs import accepted, read

        return of_plan(accepted(session, read(session, target.text, Creating()))), "spec_file"
    from torc_core.store.dags import dag_of

    workflow = selected(session, None if target is None else target.text)
    return dag_of(session.store(), workflow.id), "database"
