"""Whatever happens to runners, messages and the server: no invariant breaks, and without faults everything ends (C10).

A seed that fails is printed; `python -m torc_core.testing.simulator SEED` lets it happen again.
"""

from __future__ import annotations

import os

import pytest

from torc_core.engine import liveness
from torc_core.testing.memory import losing
from torc_core.testing.simulator import simulate

SEEDS = int(os.environ.get("TORC_TEST_SEEDS", "200"))
"""How many are tried; the promise is 2,000 for a commit and 200,000 before a release."""
FIRST = int(os.environ.get("TORC_TEST_FIRST_SEED", "0"))
AT_ONCE = 20
"""Seeds of one test."""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, AT_ONCE))
def test_no_seed_breaks_an_invariant_and_all_of_them_end(first: int) -> None:
    wrong = {
        f"seed {seed}": [str(one) for one in found]
        for seed in range(first, min(first + AT_ONCE, FIRST + SEEDS))
        if (found := simulate(seed).violations)
    }

    assert wrong == {}


def test_the_same_seed_happens_the_same_way() -> None:
    assert simulate(7) == simulate(7)


def noticed(rule: str, seeds: int = 40) -> bool:
    """Whether this rule is seen to be broken."""
    return any(one.rule == rule for seed in range(seeds) for one in simulate(seed).violations)


def test_it_is_noticed_when_jobs_are_given_out_again_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "BEYOND_MS", -50_000)

    assert noticed("I1")


def test_it_is_noticed_when_a_lost_node_is_never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losing, "lose", lambda change, node, *, proven: None)

    assert noticed("I3")
