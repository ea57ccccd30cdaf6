"""`torc slurm parse-logs`: only this workflow's files, each line once, and only the jobs that it hit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torc_core.model import (
    Ending,
    Initialize,
    JobStatus,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Resources,
    Turn,
)
from torc_core.system import SystemClock
from torc_terminal import schemas

NOON = int(datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def ends() -> Any:
    import failing_jobs

    return failing_jobs


@pytest.fixture
def ran(home: Path, ends: Any) -> tuple[int, dict[str, int]]:
    """Two jobs on n1, one on n2, in allocation 55: `early` 12:00-12:10, `late` 12:30-12:40 failed, `far` 12:00-12:40."""
    spans = {"early": ("n1", 10, 10, 0), "late": ("n1", 40, 10, 1), "far": ("n2", 40, 40, 0)}
    with ends.opened() as store:
        jobs = [PlannedJob(name=name, command="true") for name in spans]
        workflow = store.create(Plan(workflow=PlannedWorkflow(name="w"), jobs=jobs), "ana").id
        store.initialize(workflow, Initialize())
        ids: dict[str, int] = {}
        nodes = {
            host: store.join(
                NewNode(
                    workflow_id=workflow, epoch=SystemClock().uuid(), hostname=host, pid=100 + n, boot_id="b", process_start=1,
                    capacity=Resources(cpus=2 - n, memory=2**40, gpus=0), type="slurm",
                    scheduler={"type": "slurm", "slurm_job_id": 55, "task_pid": 4000 + n},
                )
            )
            for n, host in enumerate(("n1", "n2"))
        }  # fmt: skip
        for host, node in nodes.items():
            offer = Offer(claim_id=SystemClock().uuid(), free=[node.capacity], limit=10)
            given = store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer)).jobs
            endings = []
            for one in given:
                where, end, minutes, code = spans[one.job.name]
                assert where == host
                ids[one.job.name] = one.job.id
                endings.append(Ending(
                    job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease,
                    status=JobStatus.FAILED if code else JobStatus.COMPLETED, return_code=code,
                    exec_minutes=minutes, completed_at=NOON + end * 60_000, node=node.id,
                ))  # fmt: skip
            store.turn(Turn(node=node.id, epoch=node.epoch, endings=endings))
    return workflow, ids


def written(home: Path, name: str, *lines: str) -> None:
    folder = home / "torc_output"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(line + "\n" for line in lines))


def test_a_line_hits_the_jobs_of_its_node_and_time(torc: Any, ran: Any, home: Path) -> None:
    workflow, ids = ran
    written(
        home, f"slurm_output_wf{workflow}_sl55.e",
        "slurmstepd: error: *** JOB 55 ON n1 CANCELLED AT 2026-05-01T12:05:00 DUE TO TIME LIMIT ***",
        "slurmstepd: error: *** JOB 55 ON n2 CANCELLED AT 2026-05-01T12:35:00 DUE TO NODE FAILURE ***",
        "srun: error: n1: task 0: Out Of Memory",
    )  # fmt: skip

    found = torc("-f", "json", "slurm", "parse-logs", str(workflow)).json

    jsonschema.validate(found, schemas.load("torc.slurm.parse-logs/1"))
    assert [
        (one["line_number"], one["node"], [job["job_name"] for job in one["affected_jobs"]])
        for one in found["issues"]
    ] == [(1, "n1", ["early"]), (2, "n2", ["far"]), (3, "n1", ["late"])]
    assert (found["slurm_jobs_count"], found["files_scanned"], found["errors"], found["warnings"]) == (
        1,
        1,
        3,
        0,
    )
    assert found["issues"][0]["affected_jobs"] == [{"job_id": ids["early"], "job_name": "early"}]


def test_a_log_of_a_runner_is_of_its_node(torc: Any, ran: Any, home: Path) -> None:
    workflow, _ = ran
    written(
        home, f"job_runner_slurm_wf{workflow}_sl55_n1_pid4001.log",
        "2026-05-01 12:20:00,000 ERROR connection refused",
    )  # fmt: skip

    (one,) = torc("-f", "json", "slurm", "parse-logs", str(workflow)).json["issues"]

    assert (one["node"], [job["job_name"] for job in one["affected_jobs"]]) == ("n2", ["far"])


def test_other_workflows_and_other_files_are_left_alone(torc: Any, ran: Any, home: Path) -> None:
    workflow, _ = ran
    for name in (
        f"slurm_output_wf{workflow}0_sl55.e",
        f"slurm_output_wf{workflow}_sl55.txt",
        f"slurm_env_wf{workflow}_sl55_n0_pid1.log",
    ):
        written(home, name, "Segmentation fault")

    found = torc("-f", "json", "slurm", "parse-logs", str(workflow)).json

    assert (found["files_scanned"], found["issues"]) == (0, [])


def test_equal_lines_are_counted(torc: Any, ran: Any, home: Path) -> None:
    workflow, _ = ran
    written(home, f"slurm_output_wf{workflow}_sl55.o", *["cp: No space left on device"] * 500, "fine")

    ran_ = torc("slurm", "parse-logs", str(workflow))
    (one,) = torc("-f", "json", "slurm", "parse-logs", str(workflow)).json["issues"]

    assert (one["count"], one["line_number"]) == (500, 1)
    assert ran_.code == 0
    assert "1 error and 0 warnings in 1 log file of 1 allocation in" in ran_.out


def test_what_is_shown_can_be_narrowed(torc: Any, ran: Any, home: Path) -> None:
    workflow, ids = ran
    written(
        home, f"slurm_output_wf{workflow}_sl55.e",
        "before", "slurmstepd: error: *** JOB 55 ON n1 CANCELLED AT 2026-05-01T12:05:00 ***", "after",
        "srun: error: n1: task 0: Out Of Memory",
    )  # fmt: skip

    def lines(*words: str) -> list[int]:
        found = torc("-f", "json", "slurm", "parse-logs", str(workflow), *words).json
        return [one["line_number"] for one in found["issues"]]

    assert lines() == [2, 4]
    assert lines("--errors-only") == [4]
    assert lines("--job", str(ids["early"])) == [2]
    found = torc("-f", "json", "slurm", "parse-logs", str(workflow), "--context", "1").json
    assert found["issues"][0]["context"][0] == "before"
    assert found["issues"][0]["context"][-1] == "after"
    assert torc("slurm", "parse-logs", str(workflow), "--exit-code").code == 1


def test_a_folder_that_is_not_there_is_said(torc: Any, ran: Any) -> None:
    workflow, _ = ran

    done = torc("slurm", "parse-logs", str(workflow), "-o", "elsewhere")

    assert (done.code, "there is no folder 'elsewhere'" in done.err) == (5, True)
