"""Where the jobs of an executor are: what a monitor needs to know."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from torc_core.protocols import Locating
from torc_core.testing.executors import Tasks, run, wait_for
from torc_local import trees
from torc_local.executor import Subprocesses


@pytest.fixture
def executor() -> Iterator[Subprocesses]:
    one = Subprocesses()
    yield one
    one.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path)


def located(executor: Subprocesses, count: int) -> dict[str, int]:
    end = time.monotonic() + 60
    while len(found := executor.processes()) != count and time.monotonic() < end:
        time.sleep(0.01)
    return dict(found)


def test_each_job_that_runs_is_found_by_its_mark(executor, tasks):
    assert isinstance(executor, Locating)
    assert executor.processes() == {}
    one, other = (tasks.task("echo $$; exec sleep 60") for _ in range(2))
    executor.start([one, other])
    wait_for(one, "\n")

    found = located(executor, 2)

    assert set(found) == {one.mark, other.mark}
    assert found[one.mark] == int(Path(one.stdout).read_text())
    assert executor.processes() is executor.processes()
    executor.kill([one.job])
    assert list(located(executor, 1)) == [other.mark]


def test_a_job_that_has_ended_is_nowhere(executor, tasks):
    run(executor, tasks.task("true; true"))

    assert located(executor, 0) == {}


def test_marks_of_others_are_not_ours(tasks, monkeypatch):
    """A runner that is itself a job has a mark in its environment, and so has its guardian."""
    monkeypatch.setenv("TORC_MARK", "outer.1.1.1.1")
    executor = Subprocesses()
    task = tasks.task("exec sleep 60")
    executor.start([task])

    found = located(executor, 1)

    executor.close()
    assert set(found) == {task.mark}


def test_a_process_that_is_just_becoming_another_program_is_not_overlooked(monkeypatch):
    read, early = trees._read, [None] * 2

    def reading(path):
        text = read(path)
        if path == f"/proc/{process.pid}/environ" and early:
            return b""
        if path == f"/proc/{process.pid}/stat" and early:
            name, end, rest = text.rpartition(b")")
            fields = rest.split()
            fields[47:49] = [b"0", b"0"]
            text = name + end + b" " + b" ".join(fields)
        return text

    monkeypatch.setattr(trees, "_read", reading)
    monkeypatch.setattr(trees, "time", SimpleNamespace(sleep=lambda seconds: early and early.pop()))
    with subprocess.Popen(["sleep", "600"], env={"TORC_MARK": "s.1.1.1.1"}) as process:
        found = trees.strays(b"s.1.")
        process.kill()

    assert early == []
    assert process.pid in found


def test_children_are_found_on_a_kernel_without_a_list_of_them(monkeypatch):
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        listed = trees.children(os.getpid())
        read = trees._read
        monkeypatch.setattr(trees, "_read", lambda path: b"" if path.endswith("/children") else read(path))
        monkeypatch.setattr(os.path, "exists", lambda path: False)

        searched = trees.children(os.getpid())

        child.kill()
    assert child.pid in listed
    assert child.pid in searched
