"""How a workflow stands, with all that is shown of it at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.model.node import Node
from torc_core.model.workflow import Stage, Totals
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Standing:
    """A look at a workflow, in one snapshot (`observability.md` §1).

    Parameters
    ----------
    nodes
        Runners that have not left.
    waiting
        Jobs by the code of the reason for which they do not run; of a complete workflow none.
    nodes_due
        Actions that would ask for nodes and have not been carried out.
    stages
        None: nobody asked.
    """

    totals: Totals
    nodes: Sequence[Node] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    nodes_due: int = 0
    stages: Sequence[Stage] | None = None
