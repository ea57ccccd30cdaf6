"""However an allocation ends, its jobs are told as they ended, and none is run twice at once.

Walltime, cancel, crash, requeue, preemption, suspension: each takes its time, so all of them happen side by side.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from account import QUICK, row
from namespaces import until

from torc_core.testing.checker import noting

if TYPE_CHECKING:
    from account import Account

    from torc_core.model import WorkflowId

ROUNDS = int(os.environ.get("TORC_TEST_CLUSTER_ENDS", "2"))
AT_ONCE = 12
"""Allocations that end side by side."""
CROWD = 64
"""Jobs at once where half of them ignore SIGTERM."""
SMALL = {"name": "small", "num_cpus": 1, "memory": "50m", "runtime": "PT10S"}
CRASHING = "n5"
ONE = ("-N1", "-n1", "--cpus-per-task=1", "--mem=900", "--time=30", f"--exclude={CRASHING}")
TWO = ("-N2", "--ntasks-per-node=1", "--cpus-per-task=2", "--mem=500", "--time=30", f"--exclude={CRASHING}")
"""Nothing else is on that node."""


def crowd(account: Account, name: str) -> WorkflowId:
    """A workflow of jobs that would run for long; every other one ignores SIGTERM."""
    commands = ("exec sleep 600", "trap '' TERM; exec sleep 600")
    jobs = [
        {"name": f"j{at}", "command": commands[at % 2], "resource_requirements": "small"}
        for at in range(CROWD)
    ]
    more = {"compute_node_expiration_buffer_seconds": 15, "compute_node_min_time_for_new_jobs_seconds": 10}
    return account.workflow(name, jobs, resource_requirements=[SMALL], execution_config=QUICK, **more)


def ended(account: Account, workflow: WorkflowId, number: int) -> list[tuple[str, int, str | None]]:
    """How the attempts of a crowd ended, each way once."""
    found = [(one.status.label, one.return_code, one.reason) for one in account.results(workflow)]
    assert len(found) == CROWD, account.log(number)
    return sorted(set(found), key=str)


def everything_runs(account: Account, workflow: WorkflowId, number: int, count: int) -> None:
    """Wait until so many jobs are processes, which comes after the record of it."""
    try:
        until(lambda: account.alive(workflow) >= count, 120, f"{count} running jobs")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {account.alive(workflow)}\n{account.log(number)}") from error


def walltime(account: Account, at: int) -> None:
    """The end of its time is in the runner's own plan."""
    workflow = crowd(account, f"walltime{at}")

    number = account.submit(workflow, *ONE, "--time=1", more=f"--max-parallel-jobs {CROWD}")

    account.cluster.await_state(number, seconds=240)
    assert ended(account, workflow, number) == [
        ("terminated", -15, "walltime"),
        ("terminated", 152, "walltime"),
    ], account.log(number)


def announced(account: Account, at: int) -> None:
    """Slurm announces it, maybe a minute early."""
    workflow = crowd(account, f"announced{at}")

    asked = ("--time=2", "--signal=B:TERM@60")
    number = account.submit(workflow, *ONE, *asked, more=f"--max-parallel-jobs {CROWD}")

    account.cluster.await_state(number, seconds=240)
    assert ended(account, workflow, number) == [
        ("terminated", -15, "walltime"),
        ("terminated", 152, "walltime"),
    ], account.log(number)
    assert "signal number=15" in account.log(number)


def canceled(account: Account, at: int) -> None:
    """Somebody calls scancel; SIGKILL follows half a minute later."""
    workflow = crowd(account, f"canceled{at}")
    number = account.submit(workflow, *ONE, more=f"--max-parallel-jobs {CROWD}")
    everything_runs(account, workflow, number, CROWD)

    account.cluster.run("scancel", str(number))

    account.cluster.await_state(number, seconds=90)
    found = ended(account, workflow, number)
    assert found == [("terminated", -15, "interrupted"), ("terminated", -9, "interrupted")], account.log(
        number
    )


def lives(account: Account, name: str, **more: Any) -> WorkflowId:
    """A workflow of two jobs whose first attempts would not end for long; they note their lives."""
    command = noting(account.ledger, "sh", "-c", "test $TORC_ATTEMPT_ID != 1 || exec sleep 600")
    jobs = [{"name": f"j{at}", "command": command, "resource_requirements": "small"} for at in range(2)]
    return account.workflow(name, jobs, resource_requirements=[SMALL], execution_config=QUICK, **more)


def requeued(account: Account, at: int) -> None:
    """The batch job is begun anew, under the same number."""
    workflow = lives(account, f"requeued{at}", retry_on_node_loss=1)
    number = account.submit(workflow, *ONE, "--cpus-per-task=2", "--requeue")
    everything_runs(account, workflow, number, 2)

    account.cluster.run("scontrol", "requeue", str(number))

    account.cluster.await_state(number, "COMPLETED", seconds=180)
    assert [one.attempt_id for one in account.jobs(workflow)] == [2, 2], account.log(number)
    assert [one.status.label for one in account.jobs(workflow)] == ["completed", "completed"]


def preempted(account: Account, at: int) -> None:
    """Another batch job is more urgent: Slurm begins ours anew when that is over."""
    node = f"--nodelist=n{8 if at % 2 else 6}"
    workflow = lives(account, f"preempted{at}", retry_on_node_loss=1)
    number = account.submit(workflow, *ONE, "--cpus-per-task=2", "--requeue", "-p", "scavenge", node)
    everything_runs(account, workflow, number, 2)

    account.cluster.submit("sleep 1", "-p", "urgent", "--exclusive", node)

    account.cluster.await_state(number, "COMPLETED", seconds=240)
    assert [one.attempt_id for one in account.jobs(workflow)] == [2, 2], account.log(number)


def suspended(account: Account, at: int) -> None:
    """Slurm stops all its processes for a while; nothing is lost."""
    go = account.root / f"go{at}"
    job = {"name": "j", "command": f"until [ -e {go} ]; do sleep 0.1; done", "resource_requirements": "small"}
    workflow = account.workflow(f"suspended{at}", [job], resource_requirements=[SMALL])
    number = account.submit(workflow, *ONE)
    everything_runs(account, workflow, number, 1)

    account.cluster.run("scontrol", "suspend", str(number))
    account.cluster.await_state(number, "SUSPENDED")
    account.cluster.run("scontrol", "resume", str(number))
    go.touch()

    account.cluster.await_state(number, "COMPLETED", seconds=120)
    found = [(one.attempt_id, one.status.label) for one in account.jobs(workflow)]
    assert found == [(1, "completed")], account.log(number)


def crashed(account: Account, at: int) -> None:
    """The node loses its power; Slurm runs the batch job again."""
    workflow = lives(account, f"crashed{at}", retry_on_node_loss=1)
    node = ("--exclude=", f"--nodelist={CRASHING}")
    number = account.submit(workflow, *ONE, "--cpus-per-task=2", "--requeue", *node)
    everything_runs(account, workflow, number, 2)
    account.cluster.fault(CRASHING, "crash")
    account.cluster.await_state(number, "PENDING", "COMPLETED", seconds=120)
    account.cluster.fault(CRASHING, "boot")
    account.cluster.await_state(number, "COMPLETED", seconds=180)
    assert [one.attempt_id for one in account.jobs(workflow)] == [2, 2], account.log(number)
    assert [one.status.label for one in account.jobs(workflow)] == ["completed", "completed"]


def canceled_on_nodes(
    account: Account, at: int, name: str, config: dict[str, Any], *, each: bool = False
) -> None:
    """Somebody calls scancel for an allocation of two nodes."""
    commands = ("exec sleep 600", "trap '' TERM; exec sleep 600")
    jobs = [
        {"name": f"j{job}", "command": commands[job % 2], "resource_requirements": "small"}
        for job in range(4)
    ]
    workflow = account.workflow(f"{name}{at}", jobs, resource_requirements=[SMALL], execution_config=config)
    number = account.submit(workflow, *TWO, each=each)
    everything_runs(account, workflow, number, 4)

    account.cluster.run("scancel", str(number))

    account.cluster.await_state(number)
    found = [(one.status.label, one.reason) for one in account.results(workflow)]
    assert found == [("terminated", "interrupted")] * 4, account.log(number)


def canceled_with_agents(account: Account, at: int) -> None:
    """One runner has both nodes."""
    canceled_on_nodes(account, at, "agents", QUICK)


def canceled_with_a_runner_on_each(account: Account, at: int) -> None:
    """Each node has a runner of its own."""
    canceled_on_nodes(account, at, "each", QUICK, each=True)


def canceled_with_steps(account: Account, at: int) -> None:
    """Each job is a step, which Slurm ends by itself."""
    canceled_on_nodes(account, at, "steps", {"mode": "slurm", "sigkill_headroom_seconds": 10})


def walltime_with_steps(account: Account, at: int) -> None:
    """Each job is a step, and the runner's signals go to the steps; Slurm's own limit of a step comes later."""
    config = {"mode": "slurm", "sigkill_headroom_seconds": 30}
    jobs = [
        {"name": f"j{job}", "command": command, "resource_requirements": "small"}
        for job, command in enumerate(("exec sleep 600", "trap '' TERM; exec sleep 600"))
    ]
    more = {"compute_node_expiration_buffer_seconds": 15, "compute_node_min_time_for_new_jobs_seconds": 10}
    name = f"steps-walltime{at}"
    workflow = account.workflow(name, jobs, resource_requirements=[SMALL], execution_config=config, **more)

    number = account.submit(workflow, *ONE, "--cpus-per-task=2", "--time=2")

    account.cluster.await_state(number, seconds=240)
    found = [(one.status.label, one.return_code, one.reason) for one in account.results(workflow)]
    assert found == [("terminated", -15, "walltime"), ("terminated", 152, "walltime")], account.log(number)


PROMISED: tuple[Callable[[Account, int], None], ...] = (walltime, requeued, crashed)
"""Those of which a number is promised; of the others a tenth."""
ONLY = os.environ.get("TORC_TEST_CLUSTER_SCENES", "").split()
"""Names of scenes; none: all of them."""
SCENES: tuple[Callable[[Account, int], None], ...] = (
    *PROMISED,
    announced,
    canceled,
    preempted,
    suspended,
    canceled_with_agents,
    canceled_with_a_runner_on_each,
    canceled_with_steps,
    walltime_with_steps,
)


@pytest.mark.timeout(900)
def test_every_end_of_an_allocation_is_told_as_it_was(account: Account) -> None:
    counts = {
        scene: ROUNDS if scene in PROMISED else math.ceil(ROUNDS / 10)
        for scene in SCENES
        if not ONLY or scene.__name__ in ONLY
    }
    scenes = [(scene, at) for at in range(ROUNDS) for scene in counts if at < counts[scene]]

    # Crashes come one after the other anyway: they are not to keep others waiting.
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as power:
        running = [
            (scene.__name__, at, (power if scene is crashed else pool).submit(scene, account, at))
            for scene, at in scenes
        ]
    wrong = [f"{name} {at}: {one.exception()}" for name, at, one in running if one.exception()]

    for scene, count in counts.items():
        failed = sum(one.exception() is not None for name, _, one in running if name == scene.__name__)
        row(f"ends: {scene.__name__}", count, failed)
    assert not wrong, "\n".join(wrong)
    assert account.verdict() == []
