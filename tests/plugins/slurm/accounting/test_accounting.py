"""`torc slurm sacct`, `stats`, `usage`: asked once, read with care, and honest about where figures are from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torc_core.model import (
    Allocation,
    AllocationStatus,
    Ending,
    JobStatus,
    JobUsage,
    NewNode,
    Offer,
    Resources,
    SlurmStats,
    Turn,
)
from torc_core.system import SystemClock
from torc_terminal import schemas

GIB = 1024**3
LINES = """\
{a}|torc|COMPLETED|0:0|01:00:00||00:30:00.500|n1|4|1|standard|physics|2026-05-01T12:00:00|2026-05-01T13:00:00|2026-05-01T11:50:00|billing=4,cpu=4,gres/gpu=2,mem=2000M,node=1
{a}.batch|batch|COMPLETED|0:0|01:00:00|104857600|00:10:00|n1|4|1|||2026-05-01T12:00:00|2026-05-01T13:00:00|2026-05-01T12:00:00|cpu=4,mem=2000M,node=1
{a}.0|wf1_j1_r1_a1|OUT_OF_MEMORY|0:125|00:20:00|2097152000|00:20:00|n1|2|1|||2026-05-01T12:00:00|2026-05-01T12:20:00|2026-05-01T12:00:00|cpu=2,mem=2000M,node=1
{b}|torc|CANCELLED by 1000|0:0|00:30:00||00:00:10|n[2-3]|8|2|standard|physics|2026-05-01T12:00:00|2026-05-01T12:30:00|2026-05-01T11:00:00|billing=8,cpu=8,mem=4000M,node=2
"""


@pytest.fixture
def ends() -> Any:
    import failing_jobs

    return failing_jobs


@pytest.fixture
def ran(home: Path, ends: Any, failed: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two allocations, 70 and 71; in the first a job has completed in 30 min and another failed after 15."""
    scene = failed(ends.GOOD, ends.GOOD, slurm=True, waiters=False)
    with ends.opened() as store:
        from torc_core.model import Initialize, Query, Reset, SlurmScheduler

        store.reset(scene.workflow, Reset())
        store.initialize(scene.workflow, Initialize())
        scheduler = store.find(SlurmScheduler, Query(workflow=scene.workflow)).items[0].id
        store.add([
            Allocation(
                workflow_id=scene.workflow, scheduler_id=number, status=AllocationStatus.ACTIVE, submitted_at=1,
                scheduler_config_id=scheduler, walltime="02:00:00",
            )
            for number in ("70", "71")
        ])  # fmt: skip
        node = store.join(
            NewNode(
                workflow_id=scene.workflow, epoch=SystemClock().uuid(), hostname="n1", pid=1, boot_id="b", process_start=1,
                capacity=Resources(cpus=4, memory=16 * GIB, gpus=2), type="slurm",
                scheduler={"type": "slurm", "slurm_job_id": 70},
            )
        )  # fmt: skip
        given = store.turn(
            Turn(
                node=node.id,
                epoch=node.epoch,
                offer=Offer(claim_id=SystemClock().uuid(), free=[node.capacity]),
            )
        ).jobs
        endings = [
            Ending(
                job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease, node=node.id,
                status=JobStatus.FAILED if n else JobStatus.COMPLETED, return_code=n, exec_minutes=30 - 15 * n,
                completed_at=2, usage=JobUsage(peak_memory_bytes=GIB, avg_cpu_percent=150.0),
            )
            for n, one in enumerate(sorted(given, key=lambda one: one.job.id))
        ]  # fmt: skip
        store.turn(Turn(node=node.id, epoch=node.epoch, endings=endings))
        store.leave(node.id, None)
    sacct = home / "sacct"
    sacct.write_text(
        f'#!/bin/sh\necho "$@" >> {home}/asked\n'
        f'case "$*" in *--json*) cat {home}/json 2>/dev/null || exit 1;; *-X*) grep -v "^[0-9]*\\." {home}/lines;;'
        f" *) cat {home}/lines;; esac\n"
    )
    sacct.chmod(0o755)
    (home / "lines").write_text(LINES.format(a=70, b=71))
    monkeypatch.setenv("TORC_FAKE_SACCT", str(sacct))
    return scene


def asked(home: Path) -> list[str]:
    return (home / "asked").read_text().splitlines()


def test_the_accounting_is_asked_once(torc: Any, ran: Any, home: Path) -> None:
    found = torc("-f", "json", "slurm", "sacct", str(ran.workflow)).json

    jsonschema.validate(found, schemas.load("torc.slurm.sacct/1"))
    assert len(asked(home)) == 1
    assert "-j 70,71" in asked(home)[0]
    assert [(one["slurm_job_id"], one["job_step"], one["state"]) for one in found["summary"]] == [
        ("70", "", "COMPLETED"), ("70", "batch", "COMPLETED"), ("70", "0 wf1_j1_r1_a1", "OUT_OF_MEMORY"),
        ("71", "", "CANCELLED"),
    ]  # fmt: skip
    assert [one["max_rss_bytes"] for one in found["summary"]] == [None, 104_857_600, 2_097_152_000, None]
    assert found["summary"][0]["cpu_time_seconds"] == 1800.5
    assert (found["total_slurm_jobs"], found["errors"]) == (2, [])


def test_people_read_a_table_with_a_total(torc: Any, ran: Any) -> None:
    done = torc("slurm", "sacct", str(ran.workflow), "--allocations-only")

    assert done.out.splitlines()[0] == (
        "2 of 2 allocations: elapsed 1h 30m, CPU time 30m 10s, largest step 2g"
    )
    assert "batch" not in done.out


def test_each_allocation_can_be_saved(torc: Any, ran: Any, home: Path) -> None:
    (home / "json").write_text(json.dumps({"jobs": [{"job_id": 70, "state": "X"}]}))

    torc("slurm", "sacct", str(ran.workflow), "--save-json", "-o", "saved")

    assert json.loads((home / "saved/sacct_70.json").read_text()) == {"job_id": 70, "state": "X"}
    assert json.loads((home / "saved/sacct_71.json").read_text())["steps"][0]["state"] == "CANCELLED"


def test_what_the_accounting_does_not_know_yet_is_said(torc: Any, ran: Any, home: Path) -> None:
    (home / "lines").write_text(LINES.format(a=70, b=70))

    done = torc("-f", "json", "slurm", "sacct", str(ran.workflow))

    assert done.json["errors"] == ["the accounting knows nothing of allocation 71 yet"]
    assert done.code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Slurm accounting storage is disabled", "this cluster keeps no accounts"),
        ("sacct: error: slurm_persist_conn_open_without_init: failed", "sacct failed"),
    ],
)
def test_an_accounting_that_does_not_answer_is_one_sentence(
    torc: Any, ran: Any, home: Path, text: str, said: str
) -> None:
    (home / "sacct").write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")

    done = torc("slurm", "sacct", str(ran.workflow))

    assert (done.code, said in done.err, "Traceback" in done.err) == (1, True, False)


def test_without_slurm_it_is_refused(torc: Any, ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORC_FAKE_SACCT", "/nowhere")

    done = torc("slurm", "sacct", str(ran.workflow))

    assert (done.code, "no 'sacct' in PATH" in done.err) == (3, True)


def test_attempts_have_the_figures_of_slurm_or_of_torc(torc: Any, ran: Any, ends: Any) -> None:
    with ends.opened() as store:
        store.add([
            SlurmStats(
                workflow_id=ran.workflow, job_id=ran.jobs["job0"], run_id=2, attempt_id=1, slurm_job_id="70",
                node_list="n1", ave_cpu_seconds=900.0, max_rss_bytes=3 * GIB, max_vm_size_bytes=4 * GIB,
            )
        ])  # fmt: skip

    found = torc("-f", "json", "slurm", "stats", str(ran.workflow), "--run-id", "2").json

    jsonschema.validate(found, schemas.load("torc.slurm.stats/1"))
    first, second = found["items"]
    assert (first["source"], first["max_rss_bytes"], first["cpu_percent_of_requested"]) == (
        "slurm",
        3 * GIB,
        25.0,
    )
    assert (second["source"], second["max_rss_bytes"], second["ave_cpu_seconds"]) == ("torc", GIB, 1350.0)
    assert (second["slurm_job_id"], second["node_list"], second["max_vm_size_bytes"]) == ("70", "n1", None)
    one = torc("-f", "json", "slurm", "stats", str(ran.workflow), "--job-id", str(ran.jobs["job1"])).json
    assert {item["job_name"] for item in one["items"]} == {"job1"}


def test_usage_is_summed_from_the_accounting(torc: Any, ran: Any, home: Path) -> None:
    found = torc("-f", "json", "slurm", "usage", str(ran.workflow)).json

    jsonschema.validate(found, schemas.load("torc.slurm.usage/1"))
    whole = found["total"]
    assert len(asked(home)) == 1
    assert found["source"] == "sacct"
    assert (whole["allocations"], whole["node_hours"], whole["cpu_hours"], whole["gpu_hours"]) == (
        2,
        2.0,
        8.0,
        2.0,
    )
    assert whole["planned_node_hours"] == 4.0
    assert (whole["median_wait_seconds"], whole["max_wait_seconds"]) == (2100.0, 3600.0)
    # Half of a node for 30 min, and for 15 min in an attempt that failed.
    assert (whole["wasted_node_hours"], whole["idle_node_hours"], whole["busy_percent"]) == (
        0.125,
        1.625,
        18.8,
    )


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("workflow", ["1"]),
        ("scheduler", ["short"]),
        ("partition", ["standard"]),
        ("account", ["physics"]),
        ("user", ["ana"]),
    ],
)
def test_usage_by(torc: Any, ran: Any, by: str, groups: list[str]) -> None:
    found = torc("-f", "json", "slurm", "usage", "--by", by).json

    assert [one["group"] for one in found["items"]] == groups


def test_usage_without_an_accounting_is_that_of_our_records(
    torc: Any, ran: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORC_FAKE_SACCT", "/nowhere")

    found = torc("-f", "json", "slurm", "usage", str(ran.workflow)).json

    assert (found["source"], found["total"]["allocations"]) == ("torc", 1)


def test_usage_since(torc: Any, ran: Any) -> None:
    assert torc("-f", "json", "slurm", "usage", "--since", "2026-05-02").json["total"]["allocations"] == 0
    assert torc("slurm", "usage", "--since", "soon").code == 2
    assert "choose from workflow" in torc("slurm", "usage", "--by", "colour").err
