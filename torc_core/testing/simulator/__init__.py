"""A deterministic simulation of store, runners, network and clock: everything that happens follows from a seed.

    outcome = simulate(7)
    assert not outcome.violations, outcome

`python -m torc_core.testing.simulator 7` shows one seed, `... 0 2000` many.
"""

from __future__ import annotations

from torc_core.testing.simulator.simulation import Outcome, simulate

__all__ = ["Outcome", "simulate"]
