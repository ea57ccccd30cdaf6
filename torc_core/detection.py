"""What a node turned out to have."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import Resources
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Detected:
    """The answer of `torc_detect_resources`.

    Parameters
    ----------
    capacity
        Of each node; `gpus` equals the number of device ids.
    gpus
        Device ids in the form in which they go into `CUDA_VISIBLE_DEVICES`: index, UUID or MIG id.
    amd
        Whether the devices are AMD's (`ROCR_VISIBLE_DEVICES` is set too).
    num_nodes
        Nodes of the allocation.
    """

    capacity: Resources
    gpus: Sequence[str] = ()
    amd: bool = False
    num_nodes: int = 1
