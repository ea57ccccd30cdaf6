"""The executors of an allocation, judged as a third party's would be, and what only they promise."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from torc_core.model import Shape
from torc_core.model.resources import MIB
from torc_core.protocols import Executor, Task
from torc_core.system import SystemClock
from torc_core.testing.executors import ExecutorContract, Tasks, ends, run, survivors, wait_for
from torc_local.executor import Subprocesses
from torc_slurm.running.nodes import AgentOnNode, Nodes, gathered
from torc_slurm.running.stepping import Layout
from torc_slurm.running.steps import Steps
from torc_slurm.scheduler.budget import Budget
from torc_slurm.scheduler.slurm import Slurm

SHAPE = Shape(cpus=1, memory=100 * MIB, gpus=0, nodes=1, runtime=60)


class Elsewhere:
    """An executor that starts everything on the second node; one that was closed is made anew."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._nodes: Nodes | None = None

    @property
    def nodes(self) -> Nodes:
        if self._nodes is None:
            local, names = Subprocesses(), ["n1", "n2"]
            self._nodes, _ = gathered(local, SystemClock(), self._environ, "n1", names, 4, lambda: None)
        return self._nodes

    def __getattr__(self, name: str) -> object:
        return getattr(self.nodes, name)

    def start(self, tasks: list[Task]) -> None:
        self.nodes.start([replace(one, nodes=(1,)) for one in tasks])

    def close(self) -> None:
        if self._nodes is not None:
            self._nodes.close()
        self._nodes = None


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path)


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def nodes(environ: dict[str, str], lost: list[str]) -> Iterator[Nodes]:
    made, count = gathered(
        Subprocesses(), SystemClock(), environ, "n1", ["n1", "n2"], 4, lambda: lost.append("a node")
    )
    assert count == 2
    yield made
    made.close()


@pytest.fixture(scope="module")
def elsewhere(lasting: dict[str, str]) -> Iterator[Elsewhere]:
    made = Elsewhere(lasting)
    yield made
    made.close()


class TestOtherNodes(ExecutorContract):
    @pytest.fixture
    def executor(self, elsewhere: Elsewhere) -> Elsewhere:
        return elsewhere


def test_jobs_on_another_node_are_told_of_that_node(nodes: Nodes, tasks: Tasks) -> None:
    task = replace(tasks.task('echo "$SLURMD_NODENAME $SLURM_NODEID"'), nodes=(1,))
    base = {**os.environ, "SLURMD_NODENAME": "n1", "SLURM_NODEID": "0"}

    run(nodes, replace(task, base=base))  # type: ignore[arg-type]  # it has all that an executor has

    assert Path(task.stdout or "").read_text() == "n2 1\n"


def test_a_job_of_several_nodes_is_told_which(nodes: Nodes, tasks: Tasks) -> None:
    task = replace(tasks.task('echo "$SLURM_JOB_NODELIST $SLURM_NNODES"'), nodes=(1, 0))

    run(nodes, task)

    assert Path(task.stdout or "").read_text() == "n2,n1 2\n"


def test_what_ran_on_a_node_that_is_gone_is_lost(
    nodes: Nodes, tasks: Tasks, lost: list[str], steps: Path
) -> None:
    task = replace(tasks.task("echo up; exec sleep 600"), nodes=(1,))
    nodes.start([task])
    wait_for(task, "up")
    (agent,) = (path for path in steps.iterdir() if path.name.startswith("7."))

    os.kill(int(agent.read_text()), signal.SIGKILL)
    (end,) = ends(nodes, 1)

    assert (end.lost, lost) == (True, ["a node"])


def test_what_is_started_on_a_node_that_is_gone_is_lost(nodes: Nodes, tasks: Tasks, steps: Path) -> None:
    first, late = (replace(tasks.task("echo up; exec sleep 600"), nodes=(1,)) for _ in range(2))
    nodes.start([first])
    wait_for(first, "up")
    (agent,) = (path for path in steps.iterdir() if path.name.startswith("7."))
    os.kill(int(agent.read_text()), signal.SIGKILL)
    ends(nodes, 1)

    (end,) = run(nodes, late)

    assert (end.job, end.lost) == (late.job, True)


def test_a_node_that_is_gone_before_all_are_there_is_not_taken_for_one(
    environ: dict[str, str], tasks: Tasks, lost: list[str], steps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greets_and_dies(agent: AgentOnNode, seconds: float) -> bool:
        was_up = await_hello(agent, seconds)
        (pid,) = (path.read_text() for path in steps.iterdir() if path.name.startswith("7."))
        os.kill(int(pid), signal.SIGKILL)
        agent._reader.join()
        return was_up

    await_hello = AgentOnNode.await_hello
    monkeypatch.setattr(AgentOnNode, "await_hello", greets_and_dies)
    made, _ = gathered(
        Subprocesses(), SystemClock(), environ, "n1", ["n1", "n2"], 4, lambda: lost.append("a node")
    )

    (end,) = run(made, replace(tasks.task("true"), nodes=(1,)))

    made.close()
    assert (end.lost, lost) == (True, ["a node"])


def test_a_node_that_cannot_be_reached_is_left_out(environ: dict[str, str], steps: Path) -> None:
    (steps / "refuses").touch()

    made, count = gathered(Subprocesses(), SystemClock(), environ, "n1", ["n1", "n2"], 4, lambda: None)

    made.close()
    assert count == 1


def test_nodes_that_cannot_be_reached_are_given_up_together(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "srun").write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    monkeypatch.setattr("torc_slurm.running.nodes.START_WITHIN", 0.2)
    monkeypatch.setattr("torc_slurm.running.nodes.END_WITHIN", 0.5)
    names = [f"n{number}" for number in range(1, 8)]
    began = time.monotonic()

    made, count = gathered(Subprocesses(), SystemClock(), environ, "n1", names, 4, lambda: None)

    took = time.monotonic() - began
    made.close()
    assert count == 1
    assert took < 4


def test_a_node_that_hangs_holds_up_neither_starts_nor_the_end(
    nodes: Nodes, tasks: Tasks, steps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torc_slurm.running.nodes.END_WITHIN", 0.5)
    first = replace(tasks.task("echo up; exec sleep 600"), nodes=(1,))
    nodes.start([first])
    wait_for(first, "up")
    (agent,) = (int(path.read_text()) for path in steps.iterdir() if path.name.startswith("7."))
    big = replace(tasks.task("true"), nodes=(1,), env={f"V{number}": "x" * 10_000 for number in range(40)})
    os.kill(agent, signal.SIGSTOP)

    def work() -> None:
        nodes.start([big])
        nodes.close()

    working = threading.Thread(target=work, daemon=True)
    working.start()
    working.join(10)

    hangs = working.is_alive()
    with suppress(ProcessLookupError):
        os.kill(agent, signal.SIGKILL)
    working.join(10)
    assert not hangs


def test_what_a_prolog_prints_is_passed_over(tmp_path: Path, environ: dict[str, str], tasks: Tasks) -> None:
    (tmp_path / "srun").rename(tmp_path / "quiet")
    (tmp_path / "srun").write_text(f'#!/bin/sh\necho welcome to the cluster\nexec {tmp_path}/quiet "$@"\n')
    (tmp_path / "srun").chmod(0o700)

    made, count = gathered(Subprocesses(), SystemClock(), environ, "n1", ["n1", "n2"], 4, lambda: None)
    (end,) = run(made, replace(tasks.task("true"), nodes=(1,)))  # type: ignore[arg-type]  # it has all that an executor has

    made.close()
    assert (count, end.return_code) == (2, 0)


def test_an_agent_that_talks_nonsense_is_gone(tmp_path: Path, environ: dict[str, str]) -> None:
    talks = r"printf '\n\000torc-agent\000\000\000\000\003abc'; exec sleep 600"
    heard: list[object] = []

    agent = AgentOnNode(
        1, "n2", ["sh", "-c", talks], environ, lambda position, message: heard.append(message)
    )
    up = agent.await_hello(5)

    agent.close()
    assert (up, heard) == (False, [None])


def test_what_a_node_says_that_was_given_up_is_of_no_interest(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own signal to its srun reaches its agent as one of Slurm's."""
    (tmp_path / "srun").write_text(
        f"#!{sys.executable}\nimport signal, sys, time\nfrom torc_slurm.running.agent import send\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: send(sys.stdout.buffer, ('slurm', number)))\n"
        "while True:\n    time.sleep(0.1)\n"
    )
    monkeypatch.setattr("torc_slurm.running.nodes.START_WITHIN", 1.0)
    monkeypatch.setattr("torc_slurm.running.nodes.END_WITHIN", 0.3)
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))

    made, _ = gathered(Subprocesses(), SystemClock(), environ, "n1", ["n1", "n2"], 4, lambda: None)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        made.wait(0.1)

    made.close()
    signal.signal(signal.SIGTERM, before)
    assert told == []


def test_slurm_that_ends_a_node_is_heard_before_the_ends_of_its_jobs(nodes: Nodes, tasks: Tasks) -> None:
    task = replace(tasks.task("echo up; exec sleep 600"), nodes=(1,))
    nodes.start([task])
    wait_for(task, "up")
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))

    nodes.hear(1, ("slurm", signal.SIGTERM))
    nodes.hear(1, ("exits", []))
    ended = nodes.wait(5.0)

    signal.signal(signal.SIGTERM, before)
    assert (heard, list(ended)) == ([signal.SIGTERM], [])


@pytest.fixture
def stepping(environ: dict[str, str]) -> Iterator[Steps]:
    clock = SystemClock()
    slurm = Slurm(environ, Budget(None, {"queries": 1000, "submissions": 1000}, clock), clock)
    made = Steps(Subprocesses(), clock, slurm, Layout(number="7"), None, end=None, headroom=60.0)
    yield made
    made.close()


def step(tasks: Tasks, command: str, environ: dict[str, str]) -> Task:
    return replace(tasks.task(command, base=environ), shape=SHAPE)


def test_a_step_is_told_as_a_process_would_be(stepping: Steps, tasks: Tasks, environ: dict[str, str]) -> None:
    good, bad = step(tasks, "echo out; echo err >&2", environ), step(tasks, "exit 3", environ)
    dies = step(tasks, "kill -SEGV $$", environ)

    stepping.start([good, bad, dies])
    found = {end.job: end.return_code for end in ends(stepping, 3)}

    assert found == {good.job: 0, bad.job: 3, dies.job: -signal.SIGSEGV}
    assert (Path(good.stdout or "").read_text(), Path(good.stderr or "").read_text()) == ("out\n", "err\n")
    assert not list(tasks.folder.glob("*.srun"))


def test_a_step_is_signalled_by_its_number(stepping: Steps, tasks: Tasks, environ: dict[str, str]) -> None:
    task = step(tasks, "trap 'echo told; exit 7' TERM; echo up; while :; do sleep 0.05; done", environ)
    stepping.start([task])
    wait_for(task, "up")

    stepping.signal(task.job, signal.SIGTERM)
    (end,) = ends(stepping, 1)

    assert end.return_code == 7
    assert Path(task.stdout or "").read_text() == "up\ntold\n"


def test_a_step_that_ignores_signals_is_killed(
    stepping: Steps, tasks: Tasks, environ: dict[str, str]
) -> None:
    task = step(tasks, "trap '' TERM; echo up; while :; do sleep 0.05; done", environ)
    stepping.start([task])
    wait_for(task, "up")

    stepping.kill([task.job])
    (end,) = ends(stepping, 1)

    assert end.return_code == -signal.SIGKILL
    assert survivors(task.mark) == []


def test_a_step_that_slurm_refuses_could_not_be_started(
    stepping: Steps, tasks: Tasks, environ: dict[str, str], steps: Path
) -> None:
    (steps / "refuses").touch()

    (end,) = run(stepping, step(tasks, "true", environ))

    assert str(end.error).startswith("spawn_failed: srun: Unable to create step")


def test_a_step_that_slurm_ends_is_told_when_slurm_could_have_said_why(
    stepping: Steps, tasks: Tasks, environ: dict[str, str], steps: Path
) -> None:
    task = step(tasks, "echo up; exec sleep 600", environ)
    stepping.start([task])
    wait_for(task, "up")
    (steps / "aborts").touch()
    os.killpg(int(next(steps.glob("7.*")).read_text()), signal.SIGTERM)

    at_first = stepping.wait(1.0)
    stepping.signal(task.job, signal.SIGTERM)
    (end,) = ends(stepping, 1)

    assert (list(at_first), end.return_code) == ([], -signal.SIGTERM)


def test_a_command_of_any_length_is_a_step(stepping: Steps, tasks: Tasks, environ: dict[str, str]) -> None:
    task = step(tasks, f"echo {'x' * 200_000} | wc -c", environ)

    run(stepping, task)

    assert Path(task.stdout or "").read_text() == "200001\n"


@pytest.mark.parametrize("command", ["true", f"true {'x' * 200_000}"])
def test_a_step_whose_files_cannot_be_written_could_not_be_started(
    stepping: Steps, tasks: Tasks, environ: dict[str, str], command: str
) -> None:
    never, good = (
        replace(step(tasks, command, environ), files="/nowhere/at/all"),
        step(tasks, "true", environ),
    )

    found = {end.job: end.error for end in run(stepping, never, good)}

    assert found == {never.job: "output_unwritable: ENOENT", good.job: None}


def test_what_is_no_job_is_a_process_of_this_node(stepping: Executor, tasks: Tasks, steps: Path) -> None:
    run(stepping, tasks.task("true"))

    assert not (steps / "calls").exists()
