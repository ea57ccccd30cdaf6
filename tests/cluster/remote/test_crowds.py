"""Twenty hosts, pairs of starts at once, connections that break: the figures of `torc remote` (F31, F32, C25).

The counts are a tenth of those that are promised; `nox -s promises` gives the full ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lanes import Lanes

PAIRS = int(os.environ.get("TORC_TEST_REMOTE_PAIRS", "5"))
CUTS = int(os.environ.get("TORC_TEST_REMOTE_CUTS", "10"))
JOBS = int(os.environ.get("TORC_TEST_REMOTE_JOBS", "500"))
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "0"))
LIMIT = float(os.environ.get("TORC_TEST_REMOTE_SECONDS", "60"))
"""Seconds for the start on twenty hosts; 15 on a machine with nothing else to do."""

TWENTY = (
    "alpha", "beta", "six", "noisy", "tight", "inner", "slow", "refused", "dropped", "mute",
    *(f"w{number}" for number in range(1, 11)),
)  # fmt: skip
BAD = {"refused", "dropped", "mute"}


def test_twenty_hosts_are_started_and_those_that_cannot_be_are_told(desk: Any) -> None:
    workflow = str(desk.prepared("sleep 600", *TWENTY))

    begin = time.monotonic()
    told = desk.answer(
        "remote",
        "run",
        workflow,
        "--best-effort",
        "--max-parallel-ssh",
        "10",
        "--connect-timeout",
        "5",
        code=1,
    )
    seconds = time.monotonic() - begin

    found = {one["worker"]: one["status"] for one in told["results"]}
    assert [one["worker"] for one in told["results"]] == list(TWENTY)
    assert found == {name: "unreachable" if name in BAD else "started" for name in TWENTY}
    assert all(len(desk.workers_on(name)) == 1 for name in TWENTY if name not in BAD)
    print(f"\n17 of 20 hosts started in {seconds:.1f} s")
    assert seconds < LIMIT


def test_pairs_of_starts_never_make_two_workers(desk: Any, row: Callable[..., None]) -> None:
    lanes = Lanes([("w1", "w2"), ("w3", "w4"), ("w5", "w6")])
    workflows: dict[int, int] = {}

    def pair(number: int, names: tuple[str, str]) -> None:
        workflow = workflows[number] = desk.prepared("sleep 600", *names)
        try:
            both = [desk.popen("-f", "json", "remote", "run", str(workflow)) for _ in range(2)]
            outs = [one.communicate(timeout=240) for one in both]

            codes = sorted(one.returncode for one in both)
            assert codes in ([0, 0], [0, 3]), outs
            told = [one for out, _ in outs for one in json.loads(out)["results"]]
            for name in names:
                (pid,) = desk.workers_on(name, workflow)
                assert {one["pid"] for one in told if one["worker"] == name} == {pid}, outs
                assert sum(one["worker"] == name and one["status"] == "started" for one in told) == 1, outs
        finally:
            desk.end_workers(*names)

    row("pairs of starts", SEED, PAIRS, lanes.wrong(PAIRS, pair))

    assert len(set(workflows.values())) == PAIRS


def test_connections_that_break_while_a_worker_starts(desk: Any, row: Callable[..., None]) -> None:
    names = ("w1", "w2", "w3")
    lanes = Lanes(names)
    lots = random.Random(SEED)
    lasted: list[float] = []

    def whole(number: int, name: str) -> None:
        begin = time.monotonic()
        desk.answer("remote", "run", str(desk.prepared("sleep 600", name)))
        lasted.append(time.monotonic() - begin)
        desk.end_workers(name)

    assert lanes.wrong(len(names), whole) == []
    moments = [lots.uniform(0, max(lasted)) for _ in range(CUTS)]

    def cut(number: int, name: str) -> None:
        workflow = str(desk.prepared("sleep 600", name))
        moment = moments[number]
        try:
            process = desk.popen("-f", "json", "remote", "run", workflow)
            time.sleep(moment)
            desk.cut_sessions(name)
            out, err = process.communicate(timeout=240)

            there = desk.workers_on(name, int(workflow))
            if process.returncode == 0:
                (one,) = json.loads(out)["results"]
                assert one["status"] in ("started", "already_running"), (moment, out)
                assert there == [one["pid"]], (moment, out)
            else:
                assert process.returncode == 1, (moment, out, err)
                assert len(there) <= 1, (moment, there)
                status = desk.answer("remote", "status", workflow, code=[0, 1])["items"][0]
                assert (status["status"] in ("running", "starting")) == bool(there), (moment, status)
            again = desk.answer("remote", "run", workflow, code=[0, 3])["results"][0]
            assert desk.workers_on(name, int(workflow)) == [again["pid"]], (moment, again)
        finally:
            desk.end_workers(name)

    row("starts whose connection is cut", SEED, CUTS, lanes.wrong(CUTS, cut))


def test_a_large_workflow_over_ten_hosts_of_which_two_are_killed(
    desk: Any, until: Callable[..., None], row: Callable[..., None]
) -> None:
    names = [f"w{number}" for number in range(1, 11)]
    workflow = desk.prepared("echo $TORC_JOB_ID; sleep 1", *names, jobs=JOBS)
    desk.torc("remote", "run", str(workflow), "--max-parallel-jobs", "4")

    until(lambda: desk.counts(workflow)["completed"] > JOBS // 20)
    for name in names[:2]:
        desk.hosts[name].crash()
    until(lambda: desk.counts(workflow)["ready"] == 0, 600)
    for name in names[:2]:
        desk.hosts.boot(name)
    status = desk.answer("remote", "status", str(workflow), code=[0, 1])
    stopped = desk.answer("remote", "stop", str(workflow), "--force", "--hosts", ",".join(names[:2]))
    desk.until_complete(workflow, 600)
    results = desk.answer("results", "list", str(workflow), "--limit", str(JOBS + 1))["items"]
    collected = desk.answer("remote", "collect-logs", str(workflow), "-l", "large", "--extract")

    counts = desk.counts(workflow)
    lost = counts["failed"]
    assert counts["completed"] + lost == JOBS
    assert lost <= 8
    assert len({one["job_id"] for one in results}) == len(results) == JOBS
    assert [one["status"] for one in status["items"][:2]] == ["stale", "stale"]
    assert all(one["status"] in ("stale", "not_running") for one in stopped["results"])
    assert collected["collected"] == 10
    there = {name: sums(desk.output(name) / "job_stdio") for name in names}
    here = {name: sums(desk.root / "large" / name / "job_stdio") for name in names}
    assert here == there
    outputs = [path for name in names for path in (desk.root / "large" / name / "job_stdio").glob("*.o")]
    said = {path.read_text().strip() for path in outputs} - {""}
    row("jobs of a workflow over ten hosts", SEED, JOBS, [])
    assert len(said) >= JOBS - lost


def sums(folder: Path) -> dict[str, str]:
    """What is in a folder, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
