"""Workflows that leave a store and come into another one (`Transfer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torc_core import __version__
from torc_core.engine.exporting import document
from torc_core.engine.importing import parcel
from torc_core.engine.records import user_action
from torc_core.model import EventId, Json, Workflow, WorkflowId
from torc_core.testing.memory import creation, transfer
from torc_core.testing.memory.holding import Holding


class TransferVerbs(Holding):
    """Workflows that leave a store and come into another one (`Transfer`)."""

    def export_workflow(
        self, workflow: WorkflowId, *, results: bool = True, events: bool = False, compact: bool = False
    ) -> Mapping[str, Json]:
        """All of a workflow as a document."""
        with self._locked():
            flow = self._flow(workflow)
            told = [one for one in self._events.values() if one.workflow_id == workflow] if events else None
            contents = transfer.contents(flow, results, told)
            return document(contents, now=self._clock.now(), version=__version__, compact=compact)

    def import_workflow(
        self, document: Mapping[str, Json], user: str, *, keep_status: bool = False
    ) -> Workflow:
        """A workflow from such a document."""
        given = parcel(document, keep_status=keep_status)
        with self._locked():
            id = WorkflowId(self._number("workflow"))
            flow, events = transfer.unpacked(given, user, id, self._clock.now(), self._number)
            self._flows[id] = flow
            for event in events:
                number = EventId(self._number("event"))
                self._events[number] = replace(event, id=number)
            self._write(id, [user_action("import", "workflow", id), creation.created(flow.workflow)])
            return flow.workflow
