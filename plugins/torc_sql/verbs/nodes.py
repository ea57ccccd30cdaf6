"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from torc_core.model import Held, NodeId, Turn, Verdict
from torc_sql import completion, nodes, retrying
from torc_sql.change import Change
from torc_sql.transacting import Transacting


class NodeVerbs(Transacting):
    """What is known of runners besides what they say themselves (`Nodes`)."""

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended (`engine.md` §9, step 4)."""
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            nodes.check_seat(row, Turn(node=node, epoch=epoch))
            change = Change(tx, row.workflow_id, self._shapes)
            verdict, freed = retrying.recovered(change, held, ok)
            if freed is not None:
                completion.fill_place(change, freed)
            change.close()
        return verdict
