"""Every example does what it says, from the spec file to the numbers in its last file."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Torc

Example = Callable[[str], "Torc"]


def completed(torc: Torc) -> int:
    """How many jobs of the newest workflow completed; nothing else may be left of it."""
    status = torc.json("status", "last")
    assert status["is_complete"]
    assert {name for name, count in status["jobs_by_status"].items() if count} == {"completed"}
    return int(status["total_jobs"])


def test_the_diamond_sums_the_numbers_of_both_halves(example: Example) -> None:
    torc = example("diamond")

    torc("run", "diamond.yaml")

    assert completed(torc) == 4
    assert (torc.folder / "torc_output/diamond/total.txt").read_text() == "500500\n"
    merge = torc.json("results", "list", "last")["items"][-1]
    assert (merge["return_code"], merge["run_id"], merge["attempt_id"]) == (0, 1, 1)


def test_the_sweep_ranks_every_rule_on_every_grid(example: Example) -> None:
    torc = example("sweep")

    torc("run", "sweep.yaml")

    assert completed(torc) == 16
    rows = list(csv.DictReader((torc.folder / "torc_output/sweep/ranking.csv").read_text().splitlines()))
    assert len(rows) == 15
    assert (rows[0]["rule"], rows[0]["n"]) == ("midpoint", "128")
    assert float(rows[0]["error"]) == pytest.approx(math.pi**2 / 12 / 128**2, rel=0.01)


def test_the_pipeline_keeps_its_barriers_over_hundreds_of_files(example: Example) -> None:
    torc = example("pipeline")

    torc("run", "pipeline.yaml")

    assert completed(torc) == 412
    counts = Counter(number for start in range(1, 201) for number in range(start, 1001, 7))
    often, number = max((count, number) for number, count in counts.items())
    assert (torc.folder / "torc_output/pipeline/report.txt").read_text().split() == [str(often), str(number)]
    results = torc.json("results", "list", "last")["items"]
    assert len(results) == 412
    events = torc.json("events", "list", "last", "--limit", "100000")["items"]
    ends = [e["data"]["job_name"] for e in events if e["category"] == "job_completed"]
    starts = [e["data"]["job_name"] for e in events if e["category"] == "job_started"]
    assert len(ends) == len(starts) == 412
    order = {(e["category"], e["data"].get("job_name")): e["id"] for e in events}
    last_generated = max(order["job_completed", f"generate_{i}"] for i in range(1, 201))
    first_sorted = min(order["job_started", f"sort_{i}"] for i in range(1, 201))
    assert last_generated < first_sorted


def test_the_monte_carlo_estimate_of_pi_is_right_and_reproducible(example: Example) -> None:
    torc = example("montecarlo")

    torc("run", "montecarlo.yaml")

    assert completed(torc) == 17
    answer = json.loads((torc.folder / "torc_output/montecarlo/pi.json").read_text())
    assert answer == {"pi": 3.141437, "standard_error": 0.002903, "darts": 320000}
    assert abs(answer["pi"] - math.pi) < 4 * answer["standard_error"]


def test_mixed_jobs_never_use_more_than_the_machine_offers(example: Example) -> None:
    torc = example("mixed")

    torc("run", "mixed.yaml", "--num-cpus", "4", "--memory-gb", "8")

    assert completed(torc) == 19
    rows = [line.split(",") for line in (torc.folder / "torc_output/mixed_ledger.csv").read_text().split()]
    spans = [(float(b), float(e), int(cpus), float(memory)) for b, e, _, cpus, memory in rows]
    assert len(spans) == 18
    for instant, *_ in spans:
        alive = [span for span in spans if span[0] <= instant < span[1]]
        assert sum(cpus for *_, cpus, _ in alive) <= 4
        assert sum(memory for *_, memory in alive) <= 8
    assert max(sum(1 for b, e, *_ in spans if b <= t < e) for t, *_ in spans) >= 3


@pytest.mark.parametrize("suffix", ["yaml", "json", "json5", "kdl"])
def test_one_workflow_runs_from_each_of_the_four_formats(example: Example, suffix: str) -> None:
    torc = example("formats")

    torc("run", f"pipeline.{suffix}")

    assert completed(torc) == 7
    listed = torc.json("jobs", "list", "last")["items"]
    collect = next(job for job in listed if job["name"] == "collect")
    logs = sorted((torc.folder / "torc_output/job_stdio").glob(f"*_j{collect['id']}_*"))
    assert [log.suffix for log in logs] == [".log"]
    assert logs[0].read_text().split() == "5 4 3 2 1 5 4 3 2 5 4 3".split()


def test_the_four_formats_give_one_plan(example: Example) -> None:
    torc = example("formats")

    dry = [torc.json("create", "--dry-run", f"pipeline.{s}") for s in ("yaml", "json", "json5", "kdl")]

    assert dry[0]["valid"]
    assert all(answer == dry[0] for answer in dry)
