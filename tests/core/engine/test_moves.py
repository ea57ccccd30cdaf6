"""The table of moves is that of the reference."""

from __future__ import annotations

import pytest

from torc_core.engine.moves import NEXT, legal
from torc_core.model import JobStatus

S = JobStatus
TABLE = {
    0: {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
    1: {0, 2, 3, 4, 5, 6, 7, 8, 9, 10},
    2: {0, 3, 4, 5, 6, 7, 8, 9, 10},
    3: {0, 2, 4, 5, 6, 7, 8, 10},
    4: {0, 2, 3, 5, 6, 7, 8, 10},
    5: {0},
    6: {0, 2, 5, 8, 9},
    7: {0, 1, 2, 5, 6, 8, 9},
    8: {0, 2, 9},
    9: {0},
    10: {0, 2, 3, 4, 5, 6, 7, 8, 9},
}


@pytest.mark.parametrize("status", list(JobStatus))
def test_every_status_has_its_moves(status: JobStatus) -> None:
    assert {int(after) for after in NEXT[status]} == TABLE[status]


def test_completed_changes_only_by_reset() -> None:
    assert [after for after in JobStatus if legal(S.COMPLETED, after)] == [S.UNINITIALIZED]
