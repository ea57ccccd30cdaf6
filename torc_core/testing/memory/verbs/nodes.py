"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from torc_core.model import Held, Node, NodeId, Turn, Verdict
from torc_core.testing.memory import attempts, nodes, retrying
from torc_core.testing.memory.holding import Holding


class NodeVerbs(Holding):
    """What is known of runners besides what they say themselves (`Nodes`)."""

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended (`engine.md` §9, step 4)."""
        with self._locked():
            flow = self._flow_of(Node, node)
            nodes.seated(flow, Turn(node=node, epoch=epoch))
            with self._change(flow.workflow.id) as change:
                shape = flow.shapes.get(held.job)
                verdict = retrying.recovered(change, held, ok)
                if shape is not None and verdict not in (Verdict.SAME, Verdict.STALE):
                    attempts.fill_place(change, node, shape)
        return verdict
