"""How a workflow stands: what people and programs look at, and never change anything by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torc_core.model import NodeId, Resources, Sample, Stage, Standing, Totals, WorkflowId


class Looking(Protocol):
    """Looks at workflows."""

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are; in the order asked for."""
        ...

    def stages(self, workflow: WorkflowId) -> Sequence[Stage]:
        """The jobs of a workflow summed up by name, in the order of their first jobs."""
        ...

    def standing(self, workflow: WorkflowId, *, by_stage: bool = False) -> Standing:
        """A look at a workflow with all that is shown of it, in one snapshot."""
        ...

    def sampled(self, workflow: WorkflowId, most: int) -> Sequence[Sample]:
        """Jobs that stand for all of a workflow: all of them, or about `most`, spread evenly and the same each time."""
        ...

    def used(self, workflow: WorkflowId) -> Mapping[NodeId, Resources]:
        """What the live attempts take of each runner that has not left, by the records; of idle ones it may be missing."""
        ...
