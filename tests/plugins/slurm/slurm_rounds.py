"""Answers of sbatch that are lost or late, and clients that are killed: allocations are those that were intended (SJ8).

The same for the small Slurm and for a real one; each gives a `queue` fixture.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

import pytest

from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Initialize,
    PlannedAction,
    PlannedScheduler,
    Query,
    Workflow,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.plans import fan
from torc_slurm.batch import SlurmBatch

URL = "http://login.cluster:8085/torc-service/v1"
LOST, KILLED = ("fails", "mumbles", "hangs", "loses"), ("killed-before", "killed-while", "killed-after")
"""What may happen to an answer, and to the client that waits for it."""
ROUNDS = os.environ.get("TORC_TEST_SUBMISSIONS")
"""Of all kinds together; not set: as few of each as its queue takes for every commit."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "0"))
COUNT = 3
"""Allocations of a round."""
FAST = {
    "TORC_CLIENT__SLURM__RPC_PER_MINUTE": "100000",
    "TORC_CLIENT__SLURM__SUBMIT_PER_MINUTE": "100000",
    "TORC_LAUNCHERS__SLURM__ANSWER_SECONDS": "3",
    "TORC_LAUNCHERS__SLURM__RETRY_SECONDS": "0.05",
}
"""Nothing is waited for longer than a cluster of this size needs."""

SHIM = """\
#!/bin/sh
# {name}: goes wrong as the file says, at the call it says.
read -r kind skip 2>/dev/null < '{fault}' || kind=none
if [ "$kind" != none ]; then
    if [ "$skip" -gt 0 ]; then echo "$kind $((skip - 1))" > '{fault}'; kind=none; else rm -f '{fault}'; fi
fi
case "$kind" in
    fails) '{real}' "$@" > /dev/null; exit 1 ;;
    mumbles) '{real}' "$@" > /dev/null; echo "see the manual"; exit 0 ;;
    hangs) '{real}' "$@" > /dev/null; sleep 600 ;;
    loses) echo 'sbatch: error: Unexpected message received' >&2; exit 1 ;;
    killed-before) kill -9 $PPID; exit 1 ;;
    killed-while) kill -9 $PPID; sleep 1; '{real}' "$@" > /dev/null; exit 0 ;;
    killed-after) '{real}' "$@" > /dev/null; kill -9 $PPID; exit 0 ;;
    *) exec '{real}' "$@" ;;
esac
"""

CLIENT = """\
import sys
from torc_core.config import Config
from torc_core.host import Host
from torc_core.system import SystemClock
from torc_slurm.batch import SlurmBatch
config = Config.load()
store = Host.load(config).open_store(sys.argv[1], SystemClock())
done = SlurmBatch(store, config, SystemClock(), sys.argv[3]).tend(int(sys.argv[2]))
store.close()
"""
"""A process that submits what is due, and can be killed."""


@dataclass
class Faulty:
    """A queue, and an sbatch before it that can be made to go wrong.

    Parameters
    ----------
    rounds
        Of each kind, for every commit.
    pause
        Seconds between two looks into the queue.
    """

    folder: Path
    environ: Mapping[str, str]
    rounds: int = 1
    pause: float = 0.05
    numbers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        shim = self.folder / "faulty-sbatch"
        real = shutil.which("sbatch", path=self.environ["PATH"])
        shim.write_text(SHIM.format(name="sbatch", fault=self.folder / "fault", real=real))
        shim.chmod(0o700)
        self.rounds = ceil(int(ROUNDS) / len(LOST + KILLED)) if ROUNDS else self.rounds
        pause = {"TORC_LAUNCHERS__SLURM__LOOK_UP_SECONDS": str(self.pause)}
        self.environ = {**self.environ, **FAST, **pause, "TORC_FAKE_SBATCH": str(shim)}

    def fault(self, kind: str, skip: int) -> None:
        (self.folder / "fault").write_text(f"{kind} {skip}\n")

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, env=dict(self.environ), capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def of(self, store_id: str, workflow: int) -> list[str]:
        """Numbers of the batch jobs of a workflow of a store, whatever became of them."""
        lines = self.run("squeue", "--me", "-h", "-t", "all", "-o", "%i|%k|%j").splitlines()
        rows = [line.split("|") for line in lines]
        ours = [one for one in rows if one[1].startswith(f"torc/{store_id}/")]
        return sorted(number for number, _, name in ours if f"wf{workflow}_" in name)

    def clear(self) -> None:
        """Call off all that waits."""
        waiting = self.run("squeue", "--me", "-h", "-o", "%i").split()
        if waiting:
            self.run("scancel", *waiting)


class SubmissionRounds:
    """What is in the queue is what was intended, in every round."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        config = Config.load(environ={})
        store = Host.load(config).open_store(f"sqlite://{tmp_path / 'torc.db'}", SystemClock())
        yield store
        store.close()

    @pytest.mark.parametrize("kind", LOST)
    def test_lost_and_late_answers(self, store: Store, queue: Faulty, tmp_path: Path, kind: str) -> None:
        batch = SlurmBatch(store, Config.load(environ=queue.environ), SystemClock(), URL)
        dice = random.Random(f"{kind} {SEED}")

        for _ in range(queue.rounds):
            workflow = scheduled(store, tmp_path)
            queue.fault(kind, dice.randrange(COUNT))

            batch.tend(workflow)

            known = settled(store, workflow)
            assert known == queue.of(store.server_id, workflow)
            assert len(known) == COUNT
            queue.clear()

    @pytest.mark.parametrize("kind", KILLED)
    def test_killed_clients(self, queue: Faulty, tmp_path: Path, kind: str) -> None:
        dice = random.Random(f"{kind} {SEED}")
        url = f"sqlite://{tmp_path / 'torc.db'}"
        host = Host.load(Config.load(environ={}))

        for _ in range(queue.rounds):
            store = host.open_store(url, SystemClock())
            workflow = scheduled(store, tmp_path)
            store.close()
            queue.fault(kind, dice.randrange(COUNT))

            first = client(queue, url, workflow)
            second = client(queue, url, workflow)

            store = host.open_store(url, SystemClock())
            known, there = settled(store, workflow), queue.of(store.server_id, workflow)
            store.close()
            assert (first, second) == (-9, 0)
            assert known == there
            assert len(known) == COUNT
            queue.clear()


def scheduled(store: Store, folder: Path) -> int:
    """A workflow whose allocations are due; they wait in the queue until they are released."""
    action = PlannedAction(
        trigger_type="on_workflow_start",
        action_type="schedule_nodes",
        config={"scheduler": "held", "scheduler_type": "slurm", "num_allocations": COUNT},
    )
    fields = {"account": "physics", "walltime": "00:05:00", "extra": "--hold"}
    plan = replace(fan(COUNT), schedulers=[PlannedScheduler(name="held", fields=fields)], actions=[action])
    workflow = store.create(plan, "ana").id
    store.change(Workflow, workflow, {"submit_options": {"output_dir": str(folder / "out")}})
    store.initialize(workflow, Initialize())
    return workflow


def settled(store: Store, workflow: int) -> list[str]:
    """The numbers that the store knows; every allocation has one."""
    rows = store.find(Allocation, Query(workflow=workflow)).items
    assert {one.status for one in rows} == {AllocationStatus.PENDING}
    return sorted(one.scheduler_id or "" for one in rows)


def client(queue: Faulty, url: str, workflow: int) -> int:
    """Submit what is due in a process of its own; how it ended."""
    command = [sys.executable, "-c", CLIENT, url, str(workflow), URL]
    done = subprocess.run(
        command, env=dict(queue.environ), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode
