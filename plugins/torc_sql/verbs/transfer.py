"""Workflows that leave a store and come into another one (`Transfer`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torc_core import __version__
from torc_core.engine.exporting import document
from torc_core.engine.importing import parcel
from torc_core.model import Json, Workflow, WorkflowId
from torc_sql import creation, transfer
from torc_sql.creation import Made
from torc_sql.transacting import Transacting
from torc_sql.transaction import Transaction


class TransferVerbs(Transacting):
    """Workflows that leave a store and come into another one (`Transfer`)."""

    def export_workflow(
        self, workflow: WorkflowId, *, results: bool = True, events: bool = False, compact: bool = False
    ) -> Mapping[str, Json]:
        """All of a workflow as a document."""
        with self._read() as tx:
            found = transfer.contents(tx, self._database.dialect, workflow, results, events)
            now = tx.now
        return document(found, now=now, version=__version__, compact=compact)

    def import_workflow(
        self, document: Mapping[str, Json], user: str, *, keep_status: bool = False
    ) -> Workflow:
        """A workflow from such a document."""
        given = parcel(document, keep_status=keep_status)
        return self._created(partial(transfer.Unpacked, given, user), transfer.size(given))

    def _created(self, begin: Callable[[Transaction], Made], size: int) -> Workflow:
        with self.together():
            wf = creation.create(begin, size, apart=self._apart, write=self._write, purge=self._purge_hidden)
            with self._read() as tx:
                return self._record(tx, Workflow, wf)  # type: ignore[no-any-return]  # tables are keyed by kind
