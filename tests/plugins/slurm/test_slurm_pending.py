"""Words of squeue's reasons are told in sentences; what nobody knows is told as it is."""

from __future__ import annotations

import pytest

from torc_slurm.scheduler.pending import meaning


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("Priority", "others with a higher priority"),
        ("Resources", "not free yet"),
        ("Dependency", "when the one before it has ended"),
        ("(QOSMaxNodePerUserLimit)", "more nodes than allowed for its QOS"),
        ("AssocGrpNodeLimit", "more nodes than allowed for its account"),
        ("QOSMaxWallDurationPerJobLimit", "for longer than allowed"),
        ("AssocGrpCPUMinutesLimit", "budget of node or CPU hours is used up for its account"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down, drained or reserved"),
        ("PartitionTimeLimit", "never start"),
        ("InvalidAccount", "never start"),
    ],
)
def test_a_reason_is_told_in_words(reason: str, part: str) -> None:
    assert part in meaning(reason)


def test_what_nobody_knows_is_told_as_it_is() -> None:
    assert meaning("BurstBufferStageIn") == "BurstBufferStageIn"
    assert not meaning("")
