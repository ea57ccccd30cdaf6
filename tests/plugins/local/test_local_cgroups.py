"""Where control groups can be made, and what is written into them; of version 2 on files that only look like it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from torc_local import cgroups
from torc_local.cgroups import Group, find, tidy
from torc_local.groups import Groups

FILES = (
    *("cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group"),
    *("memory.limit_in_bytes", "memory.oom_control", "cgroup.event_control"),
)


class Kernel:
    """A tree of plain files in place of `/sys/fs/cgroup`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.own = folder / "own"

    def version_2(
        self, path: str, *, controllers: str = "cpu memory pids", procs: str = "", shared: str = ""
    ) -> Path:
        folder = self.root / path.strip("/")
        folder.mkdir(parents=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text(shared)
        (folder / "cgroup.procs").write_text(procs)
        self.own.write_text(f"0::{path}\n")
        return folder

    def find(self, *family: int) -> tuple[int, str] | None:
        return find(family, str(self.own), str(self.root))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel whose new groups have the files that a real one makes."""
    mkdir = os.mkdir

    def made(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        for name in FILES:
            (Path(path) / name).touch()

    monkeypatch.setattr(os, "mkdir", made)
    monkeypatch.setattr(cgroups, "_remove", removed)
    return Kernel(tmp_path)


def removed(folder: str) -> bool:
    """As the kernel does: files of a group are no obstacle."""
    for file in Path(folder).glob("*"):
        file.unlink()
    if os.path.isdir(folder):
        os.rmdir(folder)
    return True


def test_in_a_group_that_is_ours_alone_we_make_room_for_groups_of_jobs(kernel: Kernel) -> None:
    folder = kernel.version_2("/user.slice/run.scope", procs="11\n12\n")

    assert kernel.find(11, 12) == (2, str(folder))
    assert (folder / "cgroup.subtree_control").read_text() == "+memory"
    assert (folder / "torc-runner" / "cgroup.procs").read_text() == "12"


def test_where_others_live_in_our_group_there_are_no_groups_of_jobs(kernel: Kernel) -> None:
    folder = kernel.version_2("/session.scope", procs="1\n11\n12\n")

    assert kernel.find(11, 12) is None
    assert (folder / "cgroup.subtree_control").read_text() == ""


def test_where_children_are_limited_already_others_do_no_harm(kernel: Kernel) -> None:
    folder = kernel.version_2("/", procs="1\n11\n", shared="memory")

    assert kernel.find(11, 12) == (2, str(folder))


def test_without_the_controller_of_memory_there_are_no_groups(kernel: Kernel) -> None:
    kernel.version_2("/a", controllers="cpu pids", procs="11\n")

    assert kernel.find(11) is None


def test_a_runner_that_was_moved_before_finds_the_same_place(kernel: Kernel) -> None:
    folder = kernel.version_2("/run.scope", shared="memory")
    kernel.own.write_text("0::/run.scope/torc-runner\n")

    assert kernel.find(11, 12) == (2, str(folder))


def test_a_system_without_control_groups_has_no_place(tmp_path: Path) -> None:
    assert find((1,), str(tmp_path / "none"), str(tmp_path)) is None


def test_a_group_of_version_2_bounds_memory_and_dies_as_a_whole(kernel: Kernel) -> None:
    folder = kernel.version_2("/a", shared="memory")
    group = Group(2, str(folder), "7-1", 1_000_000)
    here = Path(group.folder)
    assert [(here / name).read_text() for name in ("memory.max", "memory.swap.max", "memory.oom.group")] == [
        "1000000",
        "0",
        "1",
    ]
    assert group.alarm == -1

    (here / "memory.events").write_text("low 0\nmax 9\noom 0\noom_kill 0\n")
    before = group.exceeded
    (here / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 3\n")
    (here / "memory.peak").write_text("999424\n")

    assert (before, group.exceeded, group.peak) == (False, True, 999_424)
    assert group.close()
    assert not here.exists()


def test_a_process_enters_with_its_children(kernel: Kernel) -> None:
    folder = kernel.version_2("/a", shared="memory")
    group = Group(2, str(folder), "7-1", 1_000_000)

    group.enter(os.getpid())

    assert (Path(group.folder) / "cgroup.procs").read_text().startswith(str(os.getpid()))
    group.close()


def test_what_was_taken_before_a_process_entered_counts(kernel: Kernel) -> None:
    folder = kernel.version_2("/", shared="memory")
    hog = "x = bytearray(50_000_000); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-S", "-c", hog], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()

        found = [
            Group(2, str(folder), f"1-{job}", limit).enter(process.pid)
            for job, limit in enumerate((40_000_000, 100_000_000))
        ]
        process.kill()

    assert found == [True, False]


def test_groups_of_dead_guardians_are_removed(kernel: Kernel) -> None:
    folder = kernel.version_2("/a", shared="memory")
    for name in ("torc-4194305-1", f"torc-{os.getpid()}-1", "other-4194305-1"):
        os.mkdir(folder / name)

    tidy(str(folder))

    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        f"torc-{os.getpid()}-1",
        "other-4194305-1",
    }


def alarmed(kernel: Kernel) -> Path:
    """A place for groups of version 1, whose alarms nobody but the test raises."""
    folder = kernel.root / "memory"
    folder.mkdir(parents=True)
    return folder


def test_a_kill_that_comes_long_after_its_alarm_is_seen(kernel: Kernel) -> None:
    exceeded: list[int] = []
    groups = Groups(select.poll(), exceeded.append)
    groups.place(1, str(alarmed(kernel)))
    group = groups.group(7, 1_000_000)
    assert group is not None

    os.eventfd_write(group.alarm, 1)
    groups.alarm(group.alarm)
    now = time.monotonic()
    groups.tend(now + 2)
    looks = groups.next_time()
    (Path(group.folder) / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    groups.tend(now + 3)

    assert looks is not None
    assert exceeded == [7]
    groups.remove(group)


def test_a_job_that_is_tried_again_has_a_group_although_that_of_its_last_attempt_is_not_empty_yet(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = Groups(select.poll(), lambda job: None)
    groups.place(1, str(alarmed(kernel)))
    first = groups.group(7, 1_000_000)
    assert first is not None
    monkeypatch.setattr(cgroups, "_remove", lambda folder: False)
    groups.remove(first)

    second = groups.group(7, 1_000_000)

    assert second is not None
    assert second.folder != first.folder
