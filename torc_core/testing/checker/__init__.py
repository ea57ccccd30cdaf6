"""The invariants I1-I8 of `promises.md` §2, checked after the fact over everything that was written down.

    found = check(gathered(store, now, marks=read_ledger(path), calls=calls), ends=True)
    assert not found, [str(one) for one in found]

Each check is a pure function of the evidence; what it is not given it takes as in order.
"""

from __future__ import annotations

from torc_core.testing.checker.answers import answers_last, one_result
from torc_core.testing.checker.evidence import (
    Call,
    Evidence,
    Mark,
    Recording,
    Survivor,
    gathered,
    noting,
    read_ledger,
    survivors,
)
from torc_core.testing.checker.executions import leaks, once, within_capacity
from torc_core.testing.checker.order import in_order
from torc_core.testing.checker.outcome import actions_once, it_ends
from torc_core.testing.checker.violation import Violation


def check(evidence: Evidence, *, quiet: bool = True, ends: bool = False) -> list[Violation]:
    """All that is wrong.

    Parameters
    ----------
    quiet
        Faults have stopped, and time enough has passed for I3.
    ends
        Every job has to have ended.
    """
    found = [
        *once(evidence),
        *answers_last(evidence),
        *within_capacity(evidence),
        *in_order(evidence),
        *one_result(evidence),
        *leaks(evidence),
        *actions_once(evidence),
    ]
    return [*found, *it_ends(evidence, ends=ends)] if quiet or ends else found


__all__ = [
    "Call", "Evidence", "Mark", "Recording", "Survivor", "Violation", "check", "gathered", "noting", "read_ledger",
    "survivors",
]  # fmt: skip
