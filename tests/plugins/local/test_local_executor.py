"""The executor of torc_local, judged as a third party's would be, and what only it promises."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from torc_core.protocols import Queueing
from torc_core.testing.executors import (
    ExecutorContract,
    QueueingContract,
    Tasks,
    ends,
    run,
    survivors,
    wait_for,
)
from torc_local import executor as local
from torc_local import trees
from torc_local.executor import Subprocesses

TREES = int(os.environ.get("TORC_TEST_TREES", "1"))
"""Trees that are killed; the promise is about 100."""


@pytest.fixture
def executor() -> Iterator[Subprocesses]:
    one = Subprocesses()
    yield one
    one.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path)


class TestLocalExecutor(ExecutorContract, QueueingContract):
    pass


def test_the_executor_can_keep_tasks_at_hand(executor: Subprocesses) -> None:
    assert isinstance(executor, Queueing)


def test_jobs_keep_the_umask_of_the_user(executor: Subprocesses, tasks: Tasks) -> None:
    task = tasks.task("umask; touch made")
    before = os.umask(0o027)

    run(executor, task)

    os.umask(before)
    assert Path(task.stdout or "").read_text() == "0027\n"
    assert (tasks.folder / "made").stat().st_mode & 0o777 == 0o640


LATIN = r"""
import os, sys
from pathlib import Path
from torc_core.testing.executors import Tasks, run
from torc_local.executor import Subprocesses
one, tasks = Subprocesses(), Tasks(Path(sys.argv[1]))
base = {**os.environ, "TORC_WORKFLOW_SUBMISSION_DIR": "/\u65e5"}
task = tasks.task("echo \u65e5 \u00e9; printenv NAME TORC_WORKFLOW_SUBMISSION_DIR", base=base, env={"NAME": "\u672c"})
plain = tasks.task("printenv NAME", base=base, env={"NAME": "\u672c"})
print(sys.getfilesystemencoding(), [(end.return_code, end.error) for end in run(one, task, plain)])
one.close()
"""


def test_texts_that_the_locale_has_no_signs_for_reach_jobs_as_they_are(tmp_path: Path) -> None:
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")]
    if shutil.which(made[0]) is None or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("no locale can be made that has few signs")
    environ = {**os.environ, "LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1"}

    done = subprocess.run(
        [sys.executable, "-c", LATIN, str(tmp_path)], env=environ, capture_output=True, text=True, check=True
    )

    assert done.stdout == "iso8859-1 [(0, None), (0, None)]\n"
    assert (tmp_path / "job1.o").read_text() == "日 é\n本\n/日\n"
    assert (tmp_path / "job2.o").read_text() == "本\n"


def test_jobs_are_the_first_that_the_kernel_kills_for_memory(executor: Subprocesses, tasks: Tasks) -> None:
    task = tasks.task("cat /proc/self/oom_score_adj")
    own = int(Path("/proc/self/oom_score_adj").read_text())

    run(executor, task)

    assert int(Path(task.stdout or "").read_text()) == min(1000, own + 500)


def test_a_program_without_a_shebang_is_run_by_bash(executor: Subprocesses, tasks: Tasks) -> None:
    script = tasks.folder / "plain"
    script.write_text("echo plain $BASH_VERSION\n")
    script.chmod(0o700)
    task = tasks.task(str(script))

    (end,) = run(executor, task)

    assert end.return_code == 0
    assert Path(task.stdout or "").read_text().startswith("plain 5")


PIDS = Path("/sys/fs/cgroup/pids")


@pytest.mark.skipif(
    not os.access(PIDS / "cgroup.procs", os.W_OK), reason="the number of processes cannot be bounded"
)
def test_where_there_is_no_room_for_a_process_a_start_is_tried_again(
    executor: Subprocesses, tasks: Tasks
) -> None:
    run(executor, tasks.task("true; true"))
    group = PIDS / f"torc-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(executor.guardian))
        (group / "pids.max").write_text("1")
        begin = time.monotonic()

        (never,) = run(executor, tasks.task("true; true"))

        took = time.monotonic() - begin
        failed = (group / "pids.events").read_text()
        executor.start([tasks.task("exit 3")])
        until(lambda: (group / "pids.events").read_text() != failed)
        (group / "pids.max").write_text("max")
        (late,) = ends(executor, 1)
        assert (never.error, late.return_code) == ("spawn_failed: EAGAIN", 3)
        assert 1 < took < 30
    finally:
        (PIDS / "cgroup.procs").write_text(str(executor.guardian))
        group.rmdir()


@pytest.mark.skipif(
    not os.access(PIDS / "cgroup.procs", os.W_OK), reason="the number of processes cannot be bounded"
)
def test_a_job_that_is_signalled_while_there_is_no_room_for_it_is_never_started(
    executor: Subprocesses, tasks: Tasks
) -> None:
    run(executor, tasks.task("true; true"))
    group = PIDS / f"torc-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(executor.guardian))
        (group / "pids.max").write_text("1")
        task, refused = tasks.task("echo up; exit 3"), (group / "pids.events").read_text()
        executor.start([task])
        until(lambda: (group / "pids.events").read_text() != refused)

        executor.signal(task.job, signal.SIGTERM)
        (group / "pids.max").write_text("max")

        (end,) = ends(executor, 1)
        assert end.error == "spawn_failed: EAGAIN"
        assert Path(task.stdout or "").read_text() == ""
    finally:
        (PIDS / "cgroup.procs").write_text(str(executor.guardian))
        group.rmdir()


SAYS = "until [ -s /proc/$$/fd/1 ]; do sleep 0.02; done"
"""Waits for the first output of a job."""


def adopts(executor: Subprocesses) -> bool:
    """Whether orphans are given to the guardian here."""
    return os.path.exists(f"/proc/{executor.guardian}/task/{executor.guardian}/children")


def test_a_daemon_that_left_its_session_is_found_by_its_mark(executor: Subprocesses, tasks: Tasks) -> None:
    task = tasks.task("setsid sleep 600 & sleep 0.2; exit 0")

    (end,) = run(executor, task)

    if adopts(executor):
        assert end.leftovers == 1
        assert survivors(task.mark) == []
    deadline = time.monotonic() + 60
    while survivors(task.mark):
        assert time.monotonic() < deadline
        executor.wait(0.05)


def test_daemons_of_many_jobs_are_counted_for_each(executor: Subprocesses, tasks: Tasks) -> None:
    if not adopts(executor):
        pytest.skip("orphans are not given to the guardian here")
    count = 50 if os.environ.get("TORC_TEST_FULL") else 10
    todo = [
        tasks.task(f"for i in $(seq {n % 3}); do (setsid sleep 600 &); done; exit 0") for n in range(count)
    ]

    seen = run(executor, *todo)

    assert [end.leftovers for end in seen] == [n % 3 for n in range(count)]
    assert [pid for task in todo for pid in survivors(task.mark)] == []


def test_a_daemon_that_hides_without_a_mark_ends_with_the_executor(
    executor: Subprocesses, tasks: Tasks
) -> None:
    if not adopts(executor):
        pytest.skip("orphans are not given to the guardian here")
    task = tasks.task(f"(env -i setsid /bin/sh -c 'echo $$; exec sleep 600' &); {SAYS}; exit 0")
    run(executor, task)
    hidden = int(Path(task.stdout or "").read_text())
    os.kill(hidden, 0)

    executor.close()

    with pytest.raises(ProcessLookupError):
        os.kill(hidden, 0)


def test_daemons_that_may_stay_outlive_the_executor(executor: Subprocesses, tasks: Tasks) -> None:
    task = tasks.task("setsid sleep 600 & echo $!; exit 0", daemons=True)
    run(executor, task)

    executor.close()

    (left,) = survivors(task.mark)
    os.kill(left, signal.SIGKILL)


def test_jobs_end_when_their_runner_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from torc_core.testing.executors import Tasks; "
        "from torc_local.executor import Subprocesses; tasks = Tasks(Path(sys.argv[1])); "
        "task = tasks.task('echo up; sleep 600'); executor = Subprocesses(); executor.start([task]); "
        "print(task.mark, flush=True); executor.wait(None)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        mark = runner.stdout.readline().strip()
        deadline = time.monotonic() + 60
        while not survivors(mark):
            assert time.monotonic() < deadline

        runner.kill()
        runner.wait()

        while survivors(mark):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_jobs_of_a_dead_guardian_are_ended_and_told_and_the_next_ones_run(
    executor: Subprocesses, tasks: Tasks
) -> None:
    task = tasks.task("echo up; sleep 600")
    executor.start([task])
    wait_for(task, "up")

    os.kill(executor.guardian, signal.SIGKILL)

    (end,) = ends(executor, 1)
    assert end.lost
    assert survivors(task.mark) == []
    assert run(executor, tasks.task("exit 3"))[0].return_code == 3


def test_an_end_tells_what_was_sent_to_the_job_before_it(executor: Subprocesses, tasks: Tasks) -> None:
    waits = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
    early, signalled, killed = tasks.task("true; true"), tasks.task(waits), tasks.task(waits)
    executor.start([early])
    until(lambda: Path(early.stdout or "").exists() and not trees.children(executor.guardian))
    executor.start([signalled, killed])
    wait_for(signalled, "up")
    wait_for(killed, "up")

    for one in (early, signalled):
        executor.signal(one.job, signal.SIGTERM)
    executor.kill([early.job, killed.job])

    found = {end.job: (end.return_code, end.signalled, end.killed) for end in ends(executor, 3)}
    assert found == {
        early.job: (0, False, False),
        signalled.job: (7, True, False),
        killed.job: (-9, True, True),
    }


def test_what_a_guardian_had_told_before_it_died_counts(executor: Subprocesses, tasks: Tasks) -> None:
    first, second = tasks.task("exit 3"), tasks.task("echo up; sleep 600")
    executor.start([first, second])
    wait_for(second, "up")
    # It is told, and nobody has listened yet.
    until(lambda: select.select([executor._channel.fd], [], [], 0)[0])

    os.kill(executor.guardian, signal.SIGKILL)
    until(lambda: ") Z " in Path(f"/proc/{executor.guardian}/stat").read_text())
    executor.start([tasks.task("exit 4")])

    seen = {end.job: (end.return_code, end.lost) for end in ends(executor, 3)}
    assert (seen[first.job], seen[second.job]) == ((3, False), (-signal.SIGKILL, True))


def test_jobs_of_a_guardian_that_stands_still_end_with_the_executor(
    executor: Subprocesses, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CLOSE_WITHIN", 0.5)
    task = tasks.task("echo up; sleep 600")
    executor.start([task])
    wait_for(task, "up")
    os.kill(executor.guardian, signal.SIGSTOP)

    executor.close()

    assert survivors(task.mark) == []


FREEZER = Path("/sys/fs/cgroup/freezer")
BEREFT = """
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from torc_core.protocols import Will
from torc_core.testing.executors import Tasks
from torc_local.executor import Subprocesses
folder = Path(sys.argv[1])
tasks, executor = Tasks(folder), Subprocesses()
spool, second = f"{folder}/spool/last.json", f"{folder}/second/last.json"
executor.entrust(Will(path=spool, second=second, about={"node_id": 1}, deliver=["true"]))
for number in range(2):
    task = tasks.task("echo $$; exec sleep 600")
    executor.start([replace(task, mark=f"s.1.{task.job}.1.1", lease="l")])
print("up", flush=True)
if sys.stdin.readline():
    os.kill(executor.guardian, signal.SIGSTOP)
    while ") T " not in Path(f"/proc/{executor.guardian}/stat").read_text():
        pass
    executor.start([replace(tasks.task("echo $$"), mark="s.1.3.1.1", lease="l")])
    print(executor.guardian, flush=True)
executor.wait(None)
"""


def begun(folder: Path) -> list[Path]:
    """Where both jobs have written their process ids."""
    outputs = [folder / f"job{number}.o" for number in (1, 2)]
    until(lambda: all(one.exists() and one.read_text() for one in outputs))
    return outputs


def test_a_process_that_cannot_be_killed_keeps_no_result_of_the_others(tmp_path: Path) -> None:
    group = FREEZER / f"torc-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("nothing can be made here that cannot be killed")
    try:
        with subprocess.Popen([sys.executable, "-c", BEREFT, str(tmp_path)], stdin=-1, stdout=-1) as runner:
            outputs = begun(tmp_path)
            (group / "cgroup.procs").write_text(outputs[0].read_text())
            (group / "freezer.state").write_text("FROZEN")
            runner.kill()

        will = tmp_path / "spool" / "last.json"
        until(will.exists)

        told = [(one["job"], one["return_code"]) for one in json.loads(will.read_text())["endings"]]
        assert sorted(told) == [(1, -signal.SIGKILL), (2, -signal.SIGTERM)]
    finally:
        (group / "freezer.state").write_text("THAWED")
        until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_what_a_guardian_had_not_heard_of_when_its_runner_died_is_never_started_and_told_elsewhere_if_need_be(
    tmp_path: Path,
) -> None:
    (tmp_path / "spool").write_text("a file in the way of a folder")
    with subprocess.Popen(
        [sys.executable, "-c", BEREFT, str(tmp_path)], stdin=-1, stdout=-1, text=True, bufsize=1
    ) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        assert runner.stdout.readline() == "up\n"
        begun(tmp_path)
        runner.stdin.write("go\n")
        guardian = int(runner.stdout.readline())
        runner.kill()
        runner.wait()
        os.kill(guardian, signal.SIGCONT)

    will = tmp_path / "second" / "last.json"
    until(will.exists)

    told = json.loads(will.read_text())
    assert [one["job"] for one in told["endings"]] == [1, 2]
    assert told["give_back"] == [[3, 1, "l"]]
    assert not (tmp_path / "job3.o").exists()


def test_inherited_descriptors_are_not_for_jobs(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from torc_core.testing.executors import Tasks, run; "
        "from torc_local.executor import Subprocesses; tasks = Tasks(Path(sys.argv[1])); "
        "executor = Subprocesses(); task = tasks.task('ls /proc/self/fd'); run(executor, task); executor.close()"
    )
    with open(tmp_path / "secret", "w") as secret:
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], pass_fds=[secret.fileno()], check=True, timeout=60
        )

    assert (tmp_path / "job1.o").read_text().split() == [
        "0",
        "1",
        "2",
        "3",
    ]  # 3 is what `ls` itself has opened


def test_a_tree_of_depth_five_and_width_three_leaves_nothing(executor: Subprocesses, tasks: Tasks) -> None:
    program = tasks.folder / "grow.sh"
    program.write_text(
        "trap '' TERM\n"
        'if [ "$1" -gt 0 ]; then for i in 1 2 3; do setsid sh "$0" $(($1 - 1)) & done; fi\n'
        "echo up\nwhile :; do sleep 60; done\n"
    )
    for _ in range(TREES):
        task = tasks.task(f"exec sh {program} 4")
        executor.start([task])
        wait_for(task, "up", times=1 + 3 + 9 + 27 + 81)

        executor.kill([task.job])

        (end,) = ends(executor, 1)
        assert end.return_code == -signal.SIGKILL
        assert survivors(task.mark) == []


CROWD = r"""
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
from torc_core.testing.executors import Tasks, run
from torc_local.executor import Subprocesses
one, tasks = Subprocesses(), Tasks(Path(sys.argv[1]))
hog = f"exec '{sys.executable}' -S -c 'x = bytearray(150_000_000)'"
todo = [tasks.task("sleep 600", memory=50_000_000) for _ in range(60)]
if one.limits_memory:
    one.start(todo)
    print([(end.return_code, end.oom) for end in run(one, tasks.task(hog, memory=50_000_000))])
one.close()
"""


def test_jobs_have_their_limits_of_memory_also_when_there_are_more_than_files_can_be_opened(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CROWD, str(tmp_path)], capture_output=True, text=True, check=True
    )

    if not done.stdout:
        pytest.skip("the executor does not limit memory here")
    assert done.stdout == "[(-9, True)]\n"
