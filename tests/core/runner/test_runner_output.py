"""Much output, no room for output, and jobs that cannot start: the runner lives and goes on (`runner.md` §5.3, §5.4)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import SOON
from torc_core.model import JobStatus, PlannedJob

FULL = bool(os.environ.get("TORC_TEST_FULL"))
MIB = 1024**2
TIMES = 10 if FULL else 2


def resident() -> int:
    """Bytes of this process, which is the runner's too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "command",
    [
        f"head -c {2048 if FULL else 128}M /dev/zero",
        f"yes | head -n {10**6 if FULL else 10**5}",
        f"head -c {64 if FULL else 8}M /dev/urandom",
    ],
    ids=["huge", "lines", "binary"],
)
def test_much_output_costs_the_runner_no_memory(site, command: str) -> None:
    site.run("true; true")
    before = resident()

    site.run(command)

    assert resident() - before < 20 * MIB
    (result,) = site.results()
    assert result.status is JobStatus.COMPLETED
    assert site.file(".o").stat().st_size >= 200_000


@pytest.fixture
def small_disk(site: Any) -> Iterator[Path]:
    """A file system of 4 MiB where the output goes."""
    folder = site.folder / "out"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", folder], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_under_the_output_fails_jobs_and_not_the_runner(site, small_disk: Path, capfd) -> None:
    report = site.run(*["head -c 500K /dev/zero"] * 50)

    results = site.results()
    assert len(results) == report.tally.completed + report.tally.failed == 50
    assert report.tally.failed > 30
    assert {one.reason for one in results} == {None, "output_unwritable: ENOSPC"}
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"command": "true; true", "env": {"X": "x" * 3_000_000}}, "spawn_failed: E2BIG"),
        ({"command": "true; true", "env": {"X": "nul\0"}}, "spawn_failed: EINVAL"),
        ({"command": "/nowhere/program; exit 127"}, "exit_code"),
        ({"command": "true", "invocation_script": "/nowhere/wrapper"}, "exit_code"),
    ],
    ids=["too big", "nul", "no such program", "no such wrapper"],
)
def test_jobs_that_cannot_start_end_soon_and_others_go_on(site, wrong: dict[str, Any], reason: str) -> None:
    jobs = [PlannedJob(name=f"bad{number}", **wrong) for number in range(TIMES)]

    begin = time.monotonic()
    report = site.run(*jobs, "exit 0")

    assert time.monotonic() - begin < SOON
    assert {one.reason for one in site.results()} == {reason, None}
    assert (report.tally.failed, report.tally.completed) == (TIMES, 1)


def test_jobs_end_soon_when_their_working_directory_is_gone(site) -> None:
    gone = site.folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    site.create(*["true; true"] * TIMES)
    runner = site.runner()
    work = runner._work

    def later(*args: Any) -> Any:
        gone.rmdir()
        return work(*args)

    runner._work = later
    runner.run()
    os.chdir(site.folder)

    assert {(one.return_code, one.reason) for one in site.results()} == {(125, "spawn_failed: ENOENT")}
