"""What every executor has to do, as tests: subclass `ExecutorContract` and give it an `executor` fixture."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from torc_core.model import JobId
from torc_core.protocols import Executor, Exit, Limiting, Queueing, Task

PATIENCE = 60.0
"""Seconds in which anything that is waited for has to happen."""

TREE = """
import os, signal, subprocess, sys, time
depth, width, daemon = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "daemon"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if daemon and os.fork():
    os._exit(0)
if daemon:
    os.setsid()
if depth:
    for child in range(width):
        kind = "daemon" if child == 0 else "child"
        subprocess.Popen([sys.executable, "-S", "-c", sys.argv[4], str(depth - 1), str(width), kind, sys.argv[4]])
print("up", flush=True)
time.sleep(600)
"""
"""A tree of processes that ignore SIGTERM; the first child of each is a daemon in a session of its own."""


class ExecutorContract:
    """Starting, waiting, signalling, killing."""

    @pytest.fixture
    def tasks(self, tmp_path: Path) -> Tasks:
        """A source of tasks whose files lie in a temporary directory."""
        return Tasks(tmp_path)

    @pytest.mark.parametrize("code", [0, 1, 3, 127, 255])
    def test_an_exit_status_is_told(self, executor: Executor, tasks: Tasks, code: int) -> None:
        (end,) = run(executor, tasks.task(f"exit {code}"))

        assert (end.return_code, end.error) == (code, None)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE])
    def test_a_signal_is_told_as_a_negative_number(
        self, executor: Executor, tasks: Tasks, number: int
    ) -> None:
        (end,) = run(executor, tasks.task(f"kill -{int(number)} $$"))

        assert end.return_code == -number

    def test_output_goes_to_the_files_of_the_task(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("echo out; echo err >&2; echo more")

        run(executor, task)

        assert Path(task.stdout or "").read_text() == "out\nmore\n"
        assert Path(task.stderr or "").read_text() == "err\n"

    def test_equal_paths_are_one_file(self, executor: Executor, tasks: Tasks) -> None:
        path = str(tasks.folder / "both")
        task = tasks.task("echo out; echo err >&2; echo more", stdout=path, stderr=path)

        run(executor, task)

        assert Path(path).read_text() == "out\nerr\nmore\n"

    def test_output_can_go_nowhere(self, executor: Executor, tasks: Tasks) -> None:
        (end,) = run(executor, tasks.task("echo out; echo err >&2", stdout=None, stderr=None))

        assert end.return_code == 0

    def test_output_files_are_for_their_owner_alone(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("true; true")

        run(executor, task)

        assert [os.stat(path or "").st_mode & 0o777 for path in (task.stdout, task.stderr)] == [0o600, 0o600]

    def test_a_file_in_the_way_is_kept(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("echo new")
        Path(task.stdout or "").write_text("old")

        run(executor, task)

        assert Path(task.stdout or "").read_text() == "new\n"
        assert Path(f"{task.stdout}.1").read_text() == "old"

    def test_a_link_in_the_way_is_not_followed(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("echo new")
        precious = tasks.folder / "precious"
        precious.write_text("precious")
        os.symlink(precious, task.stdout or "")

        run(executor, task)

        assert precious.read_text() == "precious"
        assert not Path(task.stdout or "").is_symlink()

    def test_an_environment_is_the_base_with_the_job_on_top(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task('echo "$A-$B"', base={**os.environ, "A": "base", "B": "base"}, env={"B": "own"})

        run(executor, task)

        assert Path(task.stdout or "").read_text() == "base-own\n"

    def test_standard_input_is_empty(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("cat; echo end")

        run(executor, task)

        assert Path(task.stdout or "").read_text() == "end\n"

    def test_a_job_leads_a_session_of_its_own(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("ps -o pid=,sid=,pgid= -p $$ || cut -d' ' -f1,6,5 /proc/$$/stat")

        run(executor, task)

        pid, session, group = Path(task.stdout or "").read_text().split()
        assert pid == session == group

    def test_a_job_inherits_no_descriptors(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; exit 0")

        run(executor, task)

        assert Path(task.stdout or "").read_text() == ""

    def test_an_ignored_signal_is_not_inherited(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("grep SigIgn /proc/self/status")

        run(executor, task)

        # 32 and 33 belong to the C library, which lets nobody change them.
        assert int(Path(task.stdout or "").read_text().split()[1], 16) & ~(0b11 << 31) == 0

    def test_a_job_that_cannot_write_its_output_is_told(self, executor: Executor, tasks: Tasks) -> None:
        (end,) = run(executor, tasks.task("true; true", stdout=str(tasks.folder / "missing" / "x.o")))

        assert end.error == "output_unwritable: ENOENT"

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"cwd": "/nowhere"}, "spawn_failed: ENOENT"),
            ({"env": {"A": "nul\0"}}, "spawn_failed: EINVAL"),
            ({"command": "echo nul\0"}, "spawn_failed: EINVAL"),
            ({"env": {"A": "x" * 3_000_000}}, "spawn_failed: E2BIG"),
        ],
    )
    def test_a_job_that_cannot_start_is_told(
        self, executor: Executor, tasks: Tasks, wrong: Mapping[str, object], reason: str
    ) -> None:
        (end,) = run(executor, tasks.task(**{"command": "true; true", **wrong}))  # type: ignore[arg-type]
        (after,) = run(executor, tasks.task("exit 0"))

        assert end.error == reason
        assert after.return_code == 0

    def test_a_text_longer_than_an_argument_runs(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task(f": {'x' * 200_000}\necho ran")

        (end,) = run(executor, task)

        assert end.error is None
        assert Path(task.stdout or "").read_text() == "ran\n"

    def test_wake_ends_a_wait(self, executor: Executor) -> None:
        threading.Timer(0.05, executor.wake).start()

        assert executor.wait(PATIENCE) == []

    def test_a_wake_before_the_wait_counts(self, executor: Executor) -> None:
        executor.wake()

        begin = time.monotonic()
        executor.wait(PATIENCE)

        assert time.monotonic() - begin < PATIENCE / 2

    def test_a_wait_ends_in_time(self, executor: Executor, tasks: Tasks) -> None:
        executor.start([tasks.task("sleep 600")])

        assert executor.wait(0.05) == []

    def test_a_signal_reaches_the_whole_group(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("trap 'exit 9' TERM; echo up; sleep 600 & wait")
        executor.start([task])
        wait_for(task, "up")

        executor.signal(task.job, signal.SIGTERM)

        (end,) = ends(executor, 1)
        assert end.return_code == 9

    def test_signals_and_kills_of_what_has_ended_have_no_effect(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        task = tasks.task("exit 0")
        run(executor, task)

        executor.signal(task.job, signal.SIGTERM)
        executor.kill([task.job])

        assert run(executor, tasks.task("exit 4"))[0].return_code == 4

    def test_a_kill_ends_trees_of_daemons_that_ignore_sigterm(self, executor: Executor, tasks: Tasks) -> None:
        depth, width = 3, 3
        program = tasks.folder / "tree.py"
        program.write_text(TREE)
        arguments = f"{depth} {width} child \"$(cat '{program}')\""
        task = tasks.task(f"exec '{sys.executable}' -S -c \"$(cat '{program}')\" {arguments}")
        executor.start([task])
        wait_for(task, "up", times=sum(width**level for level in range(depth + 1)))

        executor.kill([task.job])

        (end,) = ends(executor, 1)
        assert end.return_code == -signal.SIGKILL
        assert survivors(task.mark) == []

    def test_what_a_job_leaves_running_is_ended(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("sleep 600 & sleep 600 & exit 5")

        (end,) = run(executor, task)

        assert (end.return_code, end.leftovers) == (5, 2)
        assert survivors(task.mark) == []

    def test_what_a_job_leaves_running_may_stay_if_it_says_so(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("sleep 600 & echo $!; exit 5", daemons=True)

        (end,) = run(executor, task)

        pid = int(Path(task.stdout or "").read_text())
        os.kill(pid, signal.SIGKILL)
        assert end.leftovers == 0

    def test_a_pipe_that_another_holds_does_not_delay_an_end(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("sleep 600 & exit 0", daemons=True)

        begin = time.monotonic()
        run(executor, task)

        assert time.monotonic() - begin < PATIENCE / 2
        for pid in survivors(task.mark):
            os.kill(pid, signal.SIGKILL)

    def test_peak_memory_is_that_of_the_job(self, executor: Executor, tasks: Tasks) -> None:
        hog = f"exec '{sys.executable}' -S -c 'x = bytearray(150_000_000)'"

        small, large = run(executor, tasks.task("exit 0"), tasks.task(hog))

        assert small.usage.peak_memory_bytes is not None
        assert large.usage.peak_memory_bytes is not None
        assert small.usage.peak_memory_bytes < 50_000_000
        assert 150_000_000 < large.usage.peak_memory_bytes < 250_000_000

    def test_cpu_time_is_that_of_the_job(self, executor: Executor, tasks: Tasks) -> None:
        burn = "import time\nwhile time.process_time() < 0.4: pass"
        idle, busy = tasks.task("sleep 0.3"), tasks.task(f"{shlex.quote(sys.executable)} -c '{burn}'")

        lazy, worker = run(executor, idle, busy)

        assert (lazy.usage.avg_cpu_percent or 0) / 100 * lazy.seconds < 0.2
        assert 0.4 <= (worker.usage.avg_cpu_percent or 0) / 100 * worker.seconds < 1.5
        assert lazy.seconds >= 0.3

    def test_many_short_jobs_all_end_once(self, executor: Executor, tasks: Tasks) -> None:
        todo = [tasks.task("true") for _ in range(300)]

        seen = run(executor, *todo)

        assert sorted(end.job for end in seen) == sorted(task.job for task in todo)
        assert {end.return_code for end in seen} == {0}

    def test_much_output_costs_the_executor_nothing(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("head -c 50000000 /dev/zero")

        (end,) = run(executor, task)

        assert end.return_code == 0
        assert Path(task.stdout or "").stat().st_size == 50_000_000

    def test_nothing_is_left_after_many_jobs(self, executor: Executor, tasks: Tasks) -> None:
        run(executor, tasks.task("exit 0"))
        before, earlier = len(os.listdir("/proc/self/fd")), children()

        run(executor, *(tasks.task("exit 0") for _ in range(50)))

        assert len(os.listdir("/proc/self/fd")) == before
        assert children() - earlier == set()

    def test_close_kills_what_still_runs(self, executor: Executor, tasks: Tasks) -> None:
        task = tasks.task("trap '' TERM; echo up; sleep 600; sleep 600")
        executor.start([task])
        wait_for(task, "up")

        executor.close()

        assert survivors(task.mark) == []

    def test_a_sweep_kills_what_dead_runners_left_and_nothing_else(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        left = subprocess.Popen(
            ["sleep", "600"],
            env={"TORC_MARK": "s.77.1.1.1", "TORC_RUNNER": "4194305.1"},
            start_new_session=True,
        )
        other = subprocess.Popen(
            ["sleep", "600"], env={"TORC_MARK": "s.78.1.1.1", "TORC_RUNNER": "4194305.1"}
        )

        count = executor.sweep("s.77.")

        assert count == 1
        assert left.wait(PATIENCE) != 0
        assert other.poll() is None
        other.kill()
        other.wait()

    def test_a_task_that_goes_beyond_its_memory_is_killed_with_all_its_processes(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        if not isinstance(executor, Limiting) or not executor.limits_memory:
            pytest.skip("the executor does not limit memory here")
        hog = f"'{sys.executable}' -S -c 'import time; x = bytearray(150_000_000); time.sleep(600)'"
        alone = tasks.task(f"exec {hog}", memory=100_000_000)
        child = tasks.task(f"trap '' TERM; {hog}; sleep 600", memory=100_000_000)
        small = tasks.task(f"exec {hog.replace('600', '0.5')}", memory=400_000_000)

        one, other, third = run(executor, alone, child, small)

        assert (one.oom, one.return_code) == (True, -signal.SIGKILL)
        assert other.oom
        assert (third.oom, third.return_code) == (False, 0)
        assert (one.usage.peak_memory_bytes or 0) > 80_000_000
        assert survivors(alone.mark) == survivors(child.mark) == []

    def test_a_kill_that_has_nothing_to_do_with_memory_is_not_told_as_such(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        if not isinstance(executor, Limiting) or not executor.limits_memory:
            pytest.skip("the executor does not limit memory here")

        seen = run(executor, *(tasks.task("kill -KILL $$", memory=50_000_000) for _ in range(20)))

        assert {(end.oom, end.return_code) for end in seen} == {(False, -signal.SIGKILL)}


class QueueingContract:
    """What an executor does that keeps tasks at hand (`Queueing`): beside `ExecutorContract`, with the same fixture."""

    def test_queued_tasks_follow_those_of_their_line(self, executor: Executor, tasks: Tasks) -> None:
        assert isinstance(executor, Queueing)
        first, *others = (tasks.task("exit 0", line=1) for _ in range(4))
        executor.start([first])

        executor.queue(1, 1, others)

        seen = ends(executor, 4)
        assert [end.job for end in seen] == [first.job, *(task.job for task in others)]

    def test_a_recalled_task_is_never_started(self, executor: Executor, tasks: Tasks) -> None:
        assert isinstance(executor, Queueing)
        first, second = tasks.task("sleep 600", line=1), tasks.task("exit 0", line=1)
        executor.start([first])
        executor.queue(1, 1, [second])

        executor.recall([second.job])

        (told,) = ends(executor, 1)
        assert (told.job, told.recalled) == (second.job, True)
        executor.kill([first.job])
        assert [end.successor for end in ends(executor, 1)] == [None]

    def test_hundreds_of_queued_tasks_that_cannot_be_started_are_told_one_by_one(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        assert isinstance(executor, Queueing)
        first = tasks.task("exit 0", line=1)
        never = [tasks.task("exit 0", line=1, stdout="/nowhere/at/all") for _ in range(500)]
        executor.start([first])

        executor.queue(1, 1, [*never, tasks.task("exit 3", line=1)])

        seen = ends(executor, 502)
        assert {end.error for end in seen[1:-1]} == {"output_unwritable: ENOENT"}
        assert (seen[0].job, seen[-1].return_code) == (first.job, 3)

    def test_queued_tasks_follow_those_that_are_killed_for_memory(
        self, executor: Executor, tasks: Tasks
    ) -> None:
        assert isinstance(executor, Queueing)
        if not isinstance(executor, Limiting) or not executor.limits_memory:
            pytest.skip("the executor does not limit memory here")
        hog = f"exec '{sys.executable}' -S -c 'import time; x = bytearray(100_000_000); time.sleep(600)'"
        hogs = [tasks.task(hog, line=1, memory=50_000_000) for _ in range(20)]
        executor.start(hogs[:2])

        executor.queue(1, 2, hogs[2:])

        assert {(end.oom, end.lost) for end in ends(executor, 20)} == {(True, False)}


class Tasks:
    """Makes tasks with ascending ids; their files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._base = dict(os.environ)
        self._next = 1

    def task(
        self,
        command: str,
        *,
        script: str | None = None,
        base: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdout: str | None = "",
        stderr: str | None = "",
        daemons: bool = False,
        line: int = 0,
        memory: int = 0,
    ) -> Task:
        """A task; `stdout` and `stderr` empty: files of its own."""
        job = JobId(self._next)
        self._next += 1
        files = str(self.folder / f"job{job}")
        mark = f"contract.{os.getpid()}.{id(self)}.{job}"
        return Task(
            job=job,
            attempt_id=1,
            command=command,
            script=script,
            base=self._base if base is None else base,
            env={"TORC_MARK": mark, **(env or {})},
            cwd=cwd or str(self.folder),
            stdout=f"{files}.o" if stdout == "" else stdout,
            stderr=f"{files}.e" if stderr == "" else stderr,
            files=files,
            mark=mark,
            daemons=daemons,
            line=line,
            memory=memory,
        )


def run(executor: Executor, *tasks: Task) -> list[Exit]:
    """Start tasks and wait for all; their ends in the order of the tasks."""
    executor.start(tasks)
    order = [task.job for task in tasks]
    return sorted(ends(executor, len(tasks)), key=lambda end: order.index(end.job))


def ends(executor: Executor, count: int) -> list[Exit]:
    """Wait for so many ends; in the order in which they are told."""
    found: list[Exit] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} jobs have ended"
        found += executor.wait(0.5)
    return found


def wait_for(task: Task, word: str, times: int = 1) -> None:
    """Wait until a job has written a word so often."""
    deadline = time.monotonic() + PATIENCE
    path = Path(task.stdout or "")
    while not path.exists() or path.read_text().count(word) < times:
        assert time.monotonic() < deadline, f"{task.command!r} did not write {word!r} {times} times"
        time.sleep(0.005)


def survivors(mark: str) -> list[int]:
    """Living processes that carry a mark."""
    wanted = f"TORC_MARK={mark}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if wanted in environ and state not in "ZX":
            found.append(int(name))
    return found


def children() -> set[int]:
    """Children of this process, those among them that have ended and were not waited for."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(name))
    return found
