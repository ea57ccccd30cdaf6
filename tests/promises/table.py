"""Run every check of the promises with its full count, and print one table: check, count, seeds, violations.

    python tests/promises/table.py             # the counts that are promised: hours
    python tests/promises/table.py --quick     # those of every commit
    python tests/promises/table.py --only simulator crash

A check is a run of pytest with a count in its environment; every test of it that fails is a violation, unless the
tests have counted themselves (`row` of the conftest).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Check:
    """What is run for one promise."""

    name: str
    promise: str
    tests: tuple[str, ...]
    counts: dict[str, str] = field(default_factory=dict)
    only: str = ""


CHECKS = (
    Check("simulator", "C9, C10 seeds of faults", ("core/testing/test_simulator.py",), {"TORC_TEST_SEEDS": "2000"}),
    Check("evaluator", "E1 random workflows", ("core/store/test_evaluator.py",), {"TORC_TEST_CASES": "10000"}, "random or restores"),
    Check("plans", "PL7, PL23 random workflows", ("plugins/slurm/planning/test_invariant.py",), {"TORC_TEST_PLANS": "100"}),
    Check("agreement", "random sequences on SQLite", ("plugins/sqlite/test_contract.py",), {"TORC_TEST_SEQUENCES": "1000"}, "agrees"),
    Check("claims", "C3 threads that claim", ("plugins/sqlite/test_contract.py",), {}, "threads"),
    Check(
        "crash", "F2, C2 crash points", ("plugins/sqlite/test_crash_points.py",),
        {"TORC_TEST_CRASH_POINTS": "0", "TORC_TEST_CRASH_STATEMENTS": "0"},
    ),
    Check(
        "server", "F1, F3, F37, C1 server killed", ("promises/test_server_kills.py",),
        {"TORC_TEST_SERVER_KILLS": "200", "TORC_TEST_FAULT_JOBS": "5000", "TORC_TEST_BACKUPS": "100"},
    ),
    Check("runner", "F4, C8 runner killed", ("promises/test_runner_kills.py",), {"TORC_TEST_RUNNER_KILLS": "100"}),
    Check("survivors", "F4, F5 nothing survives", ("flows/test_survivors.py",), {"TORC_TEST_KILLS": "100"}),
    Check("restarts", "engine 12 forced restarts", ("flows/test_forced_restart.py",), {"TORC_TEST_RESTARTS": "50"}),
    Check("answers", "F11, F12, C4, C5 messages", ("promises/test_lost_answers.py",), {"TORC_TEST_FAULT_JOBS": "5000"}),
    Check(
        "away", "F1, F4, F5, F10-F12 server away", ("faults/test_server_away.py", "faults/test_lease_over.py"),
        {"TORC_TEST_FAULT_JOBS": "5000", "TORC_TEST_FAULT_KILLS": "200", "TORC_TEST_FAULT_ROUNDS": "30"},
    ),
    Check("partitions", "F6-F10, C6, C7 partitions", ("faults/test_partitions.py",), {"TORC_TEST_PARTITIONS": "100"}),
    Check(
        "walltime", "F19, C21 ends of allocations", ("core/runner/test_runner_time.py",),
        {"TORC_TEST_WALLTIMES": "50"}, "slow_store or sixty_four",
    ),
    Check(
        "memory", "F20 limits of memory", ("core/runner/test_runner_memory.py",), {"TORC_TEST_OVERUSERS": "20"},
    ),
    Check(
        "trees", "F21, F22 trees and daemons",
        ("plugins/local/test_local_executor.py", "core/runner/test_runner_time.py"),
        {"TORC_TEST_TREES": "100", "TORC_TEST_FULL": "50"}, "tree or daemon",
    ),
    Check(
        "output", "F15, F23, F24 output, failed starts", ("core/runner/test_runner_output.py",), {"TORC_TEST_FULL": "2 GiB"},
    ),
    Check("people", "F38 deleted, canceled, set back", ("promises/test_people.py",), {"TORC_TEST_UPHEAVALS": "200"}),
    Check("crowds", "F26, F27, C22, C23", ("promises/test_crowds.py",), {"TORC_TEST_HERD": "1000", "TORC_TEST_STREAMED": "10000"}),
    Check(
        "remote", "F31, F32, C25 workers over SSH", ("cluster/remote/test_crowds.py",),
        {
            "TORC_TEST_REMOTE_PAIRS": "50", "TORC_TEST_REMOTE_CUTS": "100", "TORC_TEST_REMOTE_JOBS": "5000",
            "TORC_TEST_REMOTE_SECONDS": "15",
        },
    ),
    Check(
        "collections", "RW30-RW33 collections cut", ("cluster/remote/test_cut_collections.py",), {"TORC_TEST_COLLECT_CUTS": "100"},
    ),
    Check(
        "hosts", "RW67 200 hosts, 5 dead", ("cluster/remote/test_many_hosts.py",),
        {"TORC_TEST_REMOTE_HOSTS": "200", "TORC_TEST_REMOTE_BEYOND": "5"},
    ),
    Check("decoys", "F33 stale pid files", ("plugins/ssh/agent/test_stopping.py",), {}, "strangers"),
    Check("clients", "C26 published clients", ("clients",), {"TORC_TEST_BULK_JOBS": "250005"}),
    Check("requests", "C18 hostile requests", ("plugins/http/wire/test_schemathesis.py",), {"TORC_TEST_REQUESTS": "50000"}),
    Check(
        "documents", "C19 damaged documents", ("plugins/formats",),
        {"TORC_TEST_FLIPS": "10000", "TORC_TEST_FLOOD": "150000", "TORC_TEST_VALUES": "2000000"}, "flipped or flood or values",
    ),
    Check(
        "ssh", "RW62 ssh configurations", ("plugins/ssh/test_ssh_config_as_openssh.py",), {"TORC_TEST_SSH_CONFIGS": "2000"},
    ),
    Check(
        "submissions", "F29, C25 lost answers of sbatch", ("plugins/slurm/test_slurm_rounds.py", "cluster/slurm/test_submission.py"),
        {"TORC_TEST_SUBMISSIONS": "100"}, "Slurm",
    ),
    Check(
        "allocations", "F19, F30, C21, RB allocations",
        tuple(f"cluster/slurm/test_{name}.py" for name in ("ends", "many_jobs", "budget")),
        {"TORC_TEST_CLUSTER_ENDS": "20", "TORC_TEST_CLUSTER_JOBS": "1000", "TORC_TEST_CLUSTER_CALM": "150"},
    ),
    Check("scripts", "SB4 values for sbatch", ("plugins/slurm/test_slurm_script.py",), {"TORC_TEST_FUZZED": "5000"}, "fuzzed"),
    Check(
        "sizes", "the largest workflows", ("core/store/test_evaluator.py", "plugins/sqlite/test_contract.py"),
        {"TORC_TEST_JOBS": "100000", "TORC_TEST_DEPTH": "20000"}, "chain_of_many or barrier_costs or cascade",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    count: str
    seed: str
    violations: int
    seconds: float

    def __str__(self) -> str:
        """Aligned with the others."""
        return f"{self.name:34} {self.count:>12} {self.seed:>6} {self.violations:>11} {self.seconds:>9.0f}"


def carried_out(check: Check, folder: Path, seed: str, *, quick: bool) -> list[Row]:
    """Run a check; its rows."""
    report, table = folder / "report.xml", folder / f"{check.name}.rows"
    counts = {} if quick else check.counts
    command = [sys.executable, "-m", "pytest", "-q", "--timeout", "0", f"--junitxml={report}"]
    command += [str(TESTS / path) for path in check.tests] + (["-k", check.only] if check.only else [])
    begin = time.monotonic()
    env = {**os.environ, **counts, "TORC_TEST_TABLE": str(table), "TORC_TEST_FIRST_SEED": seed}
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    suite = ET.parse(report).getroot()[0].attrib if report.exists() else {"errors": "1"}
    report.unlink(missing_ok=True)
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    if done.returncode:
        failed = max(failed, 1)
        print(done.stdout[-6000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
    rows = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    found = [Row(f"  {name}", str(count), str(one), wrong, 0) for name, one, count, wrong in rows]
    count = "/".join(counts.values()) or f"{suite.get('tests', 0)} tests"
    return [Row(check.promise, count, seed, failed, seconds), *found]


def main() -> int:
    """Print the table; 1 if anything is violated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="with the counts of every commit")
    parser.add_argument("--only", nargs="*", choices=[check.name for check in CHECKS], default=None)
    parser.add_argument("--seed", default="0", help="the first seed")
    asked = parser.parse_args()
    print(f"{'check':34} {'count':>12} {'seed':>6} {'violations':>11} {'seconds':>9}")
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="torc-promises-") as folder:
        for check in CHECKS:
            if asked.only is None or check.name in asked.only:
                for row in carried_out(check, Path(folder), asked.seed, quick=asked.quick):
                    print(row, flush=True)
                    wrong += row.violations
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
