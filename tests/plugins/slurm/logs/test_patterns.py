"""Each family of `slurm.md` §15.1 with lines as programs write them, and lines that only look like trouble."""

from __future__ import annotations

import pytest

from torc_slurm.logs.patterns import found
from torc_slurm.logs.places import host_of, instant_of, job_of

LINES = [
    ("memory", "error", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.batch. Some of your processes may have been killed by the cgroup out-of-memory handler."),
    ("memory", "error", "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:10485760kB"),
    ("memory", "error", "[12345.6] Out of memory: Killed process 7 (stress)"),
    ("memory", "error", "bash: fork: Cannot allocate memory"),
    ("memory", "error", "slurmstepd: error: Step 5.0 exceeded job memory limit (9000 > 8000), being killed"),
    ("memory", "error", "slurmstepd: error: task/cgroup: task[0]: killed"),
    ("memory", "error", "terminate called after throwing an instance of 'std::bad_alloc'"),
    ("memory", "error", "numpy.core._exceptions.MemoryError: Unable to allocate"),
    ("slurm", "error", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-05-01T14:03:22 DUE TO TIME LIMIT ***"),
    ("slurm", "warning", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-05-01T14:03:22 DUE TO PREEMPTION ***"),
    ("slurm", "warning", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-05-01T14:03:22 ***"),
    ("slurm", "error", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-05-01T14:03:22 DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***"),
    ("slurm", "error", "JobState=NODE_FAIL Reason=NodeDown"),
    ("slurm", "error", "JobState=FAILED Reason=NonZeroExitCode"),
    ("slurm", "error", "srun: error: n1: task 0: Exited with exit code 1"),
    ("slurm", "error", "srun: Job 5 step creation temporarily disabled, retrying (Requested nodes are busy)"),
    ("slurm", "error", "srun: error: Unable to create step for job 5: Requested nodes are busy"),
    ("slurm", "error", "slurm_load_jobs error: Socket timed out on send/recv operation"),
    ("gpu", "error", "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"),
    ("gpu", "error", "CUDA error: an illegal memory access was encountered"),
    ("gpu", "error", "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."),
    ("gpu", "error", "HIP error: invalid device function"),
    ("crash", "error", "bash: line 1: 4242 Segmentation fault      ./solver"),
    ("crash", "error", "Program received signal SIGBUS: Access to an undefined portion of a memory object."),
    ("crash", "error", "./a.out: Aborted (core dumped)"),
    ("python", "error", "Traceback (most recent call last):"),
    ("python", "error", "ModuleNotFoundError: No module named 'pandas'"),
    ("file system", "error", "OSError: [Errno 28] No space left on device"),
    ("file system", "error", "cp: cannot create regular file 'x': Disk quota exceeded"),
    ("file system", "error", "touch: cannot touch 'x': Read-only file system"),
    ("file system", "error", "cat: x: Stale file handle"),
    ("network", "error", "curl: (7) Failed to connect to kl3 port 8085: Connection refused"),
    ("network", "error", "ssh: Could not resolve hostname x: Name or service not known"),
    ("network", "error", "connect: Network is unreachable"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "severity", "line"), LINES, ids=[line[:40] for _, _, line in LINES])
def test_trouble_is_known_by_its_line(family: str, severity: str, line: str) -> None:
    one = found(line)

    assert one is not None
    assert (one.family, one.severity) == (family, severity)


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("RuntimeError: CUDA out of memory.", "GPU out of memory"),
        ("Memory cgroup out of memory: Killed process 1", "memory limit of the cgroup reached"),
        ("slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT x DUE TO TIME LIMIT ***", "time limit reached"),
        ("srun: error: Unable to create step for job 5: Requested nodes are busy", "nodes are busy"),
    ],
)
def test_the_most_specific_pattern_wins(line: str, description: str) -> None:
    one = found(line)

    assert one is not None
    assert one.description == description


@pytest.mark.parametrize(
    "line",
    [
        "3 of 100 tests failed, see the report",
        "2026-05-01 14:03:22,001 INFO finished job_id=3 status=failed",
        "the order was cancelled by the customer",
        "broom-killer level 3",
        "timeout=30 retries=5",
        "all good",
        "",
    ],
)
def test_what_only_looks_like_trouble_is_none(line: str) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (
            "slurmstepd: error: *** JOB 5 ON x1000c0s0b0n0 CANCELLED AT 2026-05-01T14:03:22 ***",
            "x1000c0s0b0n0",
        ),
        ("srun: error: n1: task 0: Out Of Memory", "n1"),
        ("slurmstepd: error: Detected 1 oom-kill event(s)", None),
        ("srun: error: task 0 launch failed: Error configuring interconnect", None),
        ("srun: error: Unable to create step for job 5: Requested nodes are busy", None),
    ],
)
def test_a_line_may_name_its_host(line: str, host: str | None) -> None:
    assert host_of(line) == host


def test_a_line_may_tell_its_time_and_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert instant_of("AT 2026-05-01T14:03:22Z DUE") == 1_777_644_202_000
    assert instant_of("2026-05-01 14:03:22,120 INFO") is not None
    assert instant_of("2026-05-01T16:03:22+02:00") == 1_777_644_202_000
    assert instant_of("nothing of the kind") is None
    assert instant_of("0001-01-01 00:00:00 out of memory") is None
    assert instant_of("2026-05-01 14:03:22+8000 MB: out of memory") is None
    assert job_of("error: wf3_j17_r1_a2: task 0: Killed", 3) == 17  # type: ignore[arg-type]  # an id
    assert job_of("error: wf30_j17_r1_a2: task 0: Killed", 3) is None  # type: ignore[arg-type]
