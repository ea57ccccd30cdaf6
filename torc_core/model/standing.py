"""How a workflow stands, with all that is shown of it at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.model.ids import JobId, RequirementId, WorkflowId
from torc_core.model.node import Node
from torc_core.model.status import JobStatus
from torc_core.model.workflow import Stage, Totals
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Eta:
    """Seconds until a workflow has ended: in one of ten cases fewer, in half of them, in nine of ten."""

    p10: float
    p50: float
    p90: float


@record(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a forecast looks at of one job; `seconds` its current result took, None: there is none."""

    job_id: JobId
    workflow_id: WorkflowId
    name: str
    status: JobStatus
    requirement_id: RequirementId
    seconds: float | None = None


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
    eta
        None: it is not known.
    """

    totals: Totals
    nodes: Sequence[Node] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    nodes_due: int = 0
    stages: Sequence[Stage] | None = None
    eta: Eta | None = None
