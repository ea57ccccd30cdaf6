"""Simulate one seed, or all from one number up to another one."""

from __future__ import annotations

import sys
import time

from torc_core.testing.simulator.simulation import simulate


def main(first: int, end: int) -> int:
    """Print each seed that violates something; how many there were."""
    begin, wrong, requests = time.perf_counter(), 0, 0
    for seed in range(first, end):
        outcome = simulate(seed)
        requests += outcome.requests
        if outcome.violations:
            wrong += 1
            print(f"seed {seed}:", *outcome.violations, sep="\n  ", flush=True)
    seconds = time.perf_counter() - begin
    print(f"{end - first} seeds, {requests} requests, {seconds:.1f} s, {wrong} with violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(main(numbers[0], numbers[1] if len(numbers) > 1 else numbers[0] + 1))
