"""What a workflow says about itself to the outside: RO-Crate entities."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model.ids import EntityId, FileId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class RoCrateEntity:
    """An entity of the RO-Crate metadata; `entity_id` is unique in its workflow."""

    id: EntityId = EntityId(0)
    workflow_id: WorkflowId
    entity_id: str
    entity_type: str
    file_id: FileId | None = None
    metadata: Mapping[str, Json]
