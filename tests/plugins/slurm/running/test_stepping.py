"""A job becomes the srun that is promised, and what srun says of its end is understood."""

from __future__ import annotations

from typing import Any

import pytest

from torc_core.model import JobId, JobUsage, Shape
from torc_core.model.resources import MIB
from torc_core.protocols import Exit, Task
from torc_slurm.running.stepping import Layout, judged, task_of, words

LAUNCHED = "srun: launching StepId=7.3 on host n1, 1 tasks: 0\n"
SHAPE = Shape(cpus=2, memory=100 * MIB, gpus=0, nodes=1, runtime=60)


def task(**more: Any) -> Task:
    fields: dict[str, Any] = {
        "job": JobId(17), "attempt_id": 1, "command": "echo 'a b'", "script": None, "base": {}, "env": {}, "cwd": "/",
        "stdout": "/out/50%/j.o", "stderr": "/out/50%/j.e", "files": "/out/job_stdio/job_wf3_j17_r1_a1", "mark": "m",
        "memory": 100 * MIB, "shape": SHAPE,
    }  # fmt: skip
    return Task(**{**fields, **more})


def test_a_step_is_asked_for_exactly_what_the_job_needs() -> None:
    assert words(task(), Layout(number="7"), 59) == [
        "srun", "--jobid=7", "--nodes=1", "--ntasks=1", "--exact", "--cpus-per-task=2", "--mem=100M", "--time=59",
        "--cpu-bind=none", "--job-name=wf3_j17_r1_a1", "--mpi=none", "--export=ALL", "--input=none",
        "--open-mode=append", "--output=/out/50%%/j.o", "--error=/out/50%%/j.e", "--verbose",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "layout", "minutes", "word"),
    [
        ({"memory": 0}, {}, None, "--mem=0"),
        ({}, {}, 0, "--time=1"),
        ({}, {"signal": "TERM@120"}, None, "--signal=TERM@120"),
        ({"shape": Shape(cpus=1, memory=MIB, gpus=2, nodes=1, runtime=1)}, {}, None, "--gpus-per-node=2"),
        ({"nodes": (1,)}, {"names": ("n1", "n2")}, None, "--nodelist=n2"),
        ({"stdout": None}, {}, None, "--output=/dev/null"),
    ],
)
def test_what_is_special_has_its_word(
    more: dict[str, Any], layout: dict[str, Any], minutes: int | None, word: str
) -> None:
    assert word in words(task(**more), Layout(number="7", **layout), minutes)


def test_a_job_of_several_nodes_begins_on_the_first_and_keeps_what_it_launches_on_them() -> None:
    wide = task(shape=Shape(cpus=4, memory=MIB, gpus=0, nodes=2, runtime=1), nodes=(1, 2))

    made = task_of(wide, "mpirun x", Layout(number="7", names=("n1", "n2", "n3")), None)

    assert "--overlap" in made.command
    assert "--nodelist=n2" in made.command
    assert "SLURM_JOB_NODELIST=n2,n3" in made.command
    assert (made.memory, made.line) == (0, 0)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, LAUNCHED, {"return_code": 0}),
        (3, LAUNCHED + "srun: error: n1: task 0: Exited with exit code 3\n", {"return_code": 3}),
        (137, LAUNCHED + "srun: error: n1: task 0: Exited with exit code 137\n", {"return_code": 137}),
        (139, LAUNCHED + "srun: error: n1: task 0: Segmentation fault\n", {"return_code": -11}),
        (137, LAUNCHED + "srun: error: n1: task 0: Killed\n", {"return_code": -9}),
        (1, LAUNCHED + "srun: error: n1: task 0: Out Of Memory\n", {"oom": True}),
        (143, LAUNCHED + "slurmstepd: error: *** STEP 7.3 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***\n",
         {"timeout": True}),
        (1, "srun: error: Unable to create step for job 7: Requested nodes are busy\n",
         {"error": "spawn_failed: srun: Unable to create step for job 7: Requested nodes are busy"}),
    ],
    ids=["good", "code", "code-of-a-child", "signal", "killed", "memory", "time", "refused"],
)  # fmt: skip
def test_the_end_of_a_step_is_told_as_it_was(code: int, said: str, expected: dict[str, Any]) -> None:
    end = Exit(job=JobId(17), return_code=code, usage=JobUsage(peak_memory_bytes=1))

    found = judged(end, said, 100 * MIB, JobUsage())

    assert {name: getattr(found, name) for name in expected} == expected
    assert found.usage.peak_memory_bytes == (100 * MIB if found.oom else None)
