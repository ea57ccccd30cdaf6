"""Jobs on all nodes of an allocation: on this one directly, on the others by an agent that srun has put there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import BinaryIO

from torc_core.model import JobId
from torc_core.protocols import Clock, Executor, Exit, Guarding, Limiting, Locating, Task, Will
from torc_core.runner.log import log
from torc_slurm.running.agent import begun, packed, receive

START_WITHIN = 60.0
"""Seconds that an agent has to say that it is there."""
END_WITHIN = 8.0
NOWHERE = -1
"""The position of an agent that is not there."""
HIDDEN = (
    "SLURM_MEM_PER_CPU",
    "SLURM_MEM_PER_GPU",
    "SLURM_MEM_PER_NODE",
    "SLURM_CPUS_PER_TASK",
    "SLURM_TRES_PER_TASK",
)
"""What the batch script was told, and srun would take for options that exclude ours."""


class AgentOnNode:
    """One agent, seen from the runner.

    Parameters
    ----------
    hear
        Called with each message of it, by a thread of its own; None: it is gone.
    """

    def __init__(
        self,
        position: int,
        name: str,
        words: Sequence[str],
        environ: Mapping[str, str],
        hear: Callable[[int, object], None],
    ) -> None:
        self.position = position
        self.name = name
        self.limits = False
        self.up = False
        self._hear = hear
        self._said = Event()
        self._orders: SimpleQueue[bytes | None] = SimpleQueue()
        self._process = subprocess.Popen(
            list(words),
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self._writer = Thread(target=self._write, daemon=True)
        self._writer.start()

    def await_hello(self, seconds: float) -> bool:
        """Whether it is there within so many seconds."""
        self._said.wait(seconds)
        return self.up

    def tell(self, *message: object) -> None:
        """Give it an order; one that is gone hears nothing, and one that hangs is not waited for."""
        self._orders.put(packed(message))

    def close(self) -> None:
        """Let it end its jobs and go."""
        self.tell("close")
        self._orders.put(None)
        try:
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_WITHIN)
            self._process.kill()
            self._process.wait()
        self.bury()

    def bury(self) -> None:
        """Let go of one that is gone."""
        self._process.wait()
        for thread in (self._reader, self._writer):
            thread.join(END_WITHIN)
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdout.close()

    def _write(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            while (order := self._orders.get()) is not None:
                self._process.stdin.write(order)
                self._process.stdin.flush()
        with suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        said: BinaryIO = self._process.stdout  # type: ignore[assignment]  # it is a pipe, of bytes
        try:
            if begun(said):
                while (message := receive(said)) is not None:
                    if message[0] == "hello":
                        self.limits, self.up = bool(message[2]), True
                        self._said.set()
                    else:
                        self._hear(self.position, message)
        except (ValueError, LookupError, TypeError, MemoryError) as error:
            log.error("agent_not_understood node=%s why=%s", self.name, error)
        self.up = False
        self._said.set()
        self._hear(self.position, None)


def command(name: str, cpus: int) -> list[str]:
    """The words that put an agent on a node, with all that the allocation has there."""
    return [
        *(
            "srun",
            "--overlap",
            "--nodes=1",
            "--ntasks=1",
            f"--nodelist={name}",
            f"--cpus-per-task={cpus}",
            "--mem=0",
        ),
        *("--cpu-bind=none", "--mpi=none", "--wait=0", "--kill-on-bad-exit=0", "--unbuffered", "--quiet"),
        *("--job-name=torc-agent", "--export=ALL", sys.executable, "-m", "torc_slurm.running.agent"),
    ]


def outer(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of an srun of ours."""
    return {name: value for name, value in environ.items() if name not in HIDDEN}


class Nodes:
    """An executor for several nodes; position 0 is this one.

    Parameters
    ----------
    agents
        Those that are there, by position.
    names
        Of all nodes, by position.
    lost
        Called when an agent is gone: with it goes the allocation.
    """

    def __init__(self, local: Executor, clock: Clock, names: Sequence[str], lost: Callable[[], None]) -> None:
        self._local = local
        self._clock = clock
        self._names = names
        self._lost = lost
        self._agents: dict[int, AgentOnNode] = {}
        self._at: dict[JobId, int] = {}
        self._base: Mapping[str, str] | None = None
        self._heard: deque[tuple[int, object]] = deque()
        self._never: list[Exit] = []
        self._closing = False

    def forget(self) -> None:
        """What agents said that could not be started is of no interest."""
        self._heard.clear()

    def adopt(self, agents: Sequence[AgentOnNode]) -> None:
        """Take these agents for the positions from 1 on; some may be gone again."""
        self._agents = {one.position: one for one in agents}
        for one in agents:
            if not one.up:
                self.hear(one.position, None)

    def hear(self, position: int, message: object) -> None:
        """An agent has said something."""
        if self._closing or position == NOWHERE:
            return
        self._heard.append((position, message))
        self._local.wake()

    @property
    def limits_memory(self) -> bool:
        """Whether jobs are kept within their memory, on all nodes."""
        here = isinstance(self._local, Limiting) and self._local.limits_memory
        return here and all(one.limits for one in self._agents.values())

    def processes(self) -> Mapping[str, int]:
        """The jobs of this node."""
        return self._local.processes() if isinstance(self._local, Locating) else {}

    def start(self, tasks: Sequence[Task]) -> None:
        """Start each on the first of its nodes."""
        if tasks and tasks[0].base is not self._base:
            self._base = tasks[0].base
            for position, agent in self._agents.items():
                agent.tell("base", dict(self._base), position)
        here = []
        away: dict[int, list[Task]] = {}
        for task in tasks:
            position = task.nodes[0] if task.nodes else 0
            if position and position not in self._agents:
                # It was chosen before its runner could know that the node is gone.
                self._never.append(Exit(job=task.job, return_code=-signal.SIGKILL, lost=True))
                continue
            placed = replace(task, env={**task.env, **self._narrowed(task)}) if len(task.nodes) > 1 else task
            if position == 0:
                here.append(placed)
            else:
                self._at[task.job] = position
                away.setdefault(position, []).append(replace(placed, base={}))
        if here:
            self._local.start(here)
        for position, some in away.items():
            self._agents[position].tell("start", some)

    def wait(self, timeout: float | None) -> Sequence[Exit]:
        """Sleep until processes ended on any node."""
        exits = [*self._never, *self._local.wait(0.0 if self._heard or self._never else timeout)]
        self._never.clear()
        told_to_end = False
        while self._heard:
            position, message = self._heard[0]
            match message:
                case ("slurm", number):
                    # Slurm ends us all. The runner has to know before it judges what ended with it.
                    if exits:
                        break
                    self._heard.popleft()
                    log.info("signal_on_node node=%s number=%s", self._names[position], number)
                    os.kill(os.getpid(), signal.SIGTERM)
                    told_to_end = True
                case ("exits", some):
                    if told_to_end:
                        break
                    self._heard.popleft()
                    for one in some:  # type: ignore[attr-defined]  # exits
                        if self._at.pop(one.job, None) is not None:
                            exits.append(one)
                case _:
                    self._heard.popleft()
                    exits += self._gone(position)
        if self._heard:
            self._local.wake()
        return exits

    def wake(self) -> None:
        """End a `wait`."""
        self._local.wake()

    def signal(self, job: JobId, signal: int) -> None:
        """Send a signal to the job's process group."""
        if (position := self._at.get(job)) is None:
            self._local.signal(job, signal)
        else:
            self._agents[position].tell("signal", job, int(signal))

    def kill(self, jobs: Sequence[JobId]) -> None:
        """Kill whole trees."""
        self._local.kill([job for job in jobs if job not in self._at])
        for position, agent in self._agents.items():
            if there := [job for job in jobs if self._at.get(job) == position]:
                agent.tell("kill", there)

    def sweep(self, prefix: str) -> int:
        """Kill what dead runners left on these nodes."""
        found = self._local.sweep(prefix)
        for agent in self._agents.values():
            agent.tell("sweep", prefix)
        return found

    def entrust(self, will: Will) -> None:
        """Have this done when this process dies."""
        if isinstance(self._local, Guarding):
            self._local.entrust(will)

    def bequeath(self) -> None:
        """See `Guarding`."""
        if isinstance(self._local, Guarding):
            self._local.bequeath()

    def known(self, jobs: Sequence[JobId]) -> None:
        """The store knows how these have ended."""
        if isinstance(self._local, Guarding):
            self._local.known(jobs)

    def fence(self, at: float, lead: float) -> None:
        """End all jobs at this time; the clocks of the nodes began at different times."""
        if isinstance(self._local, Guarding):
            self._local.fence(at, lead)
        for agent in self._agents.values():
            agent.tell("fence", at - self._clock.monotonic(), lead)

    def close(self) -> None:
        """Kill what still runs, everywhere."""
        self._closing = True
        threads = [Thread(target=agent.close) for agent in self._agents.values()]
        for one in threads:
            one.start()
        self._local.close()
        for one in threads:
            one.join()

    def _gone(self, position: int) -> list[Exit]:
        """An agent is gone, and with it all that it had started."""
        agent = None if self._closing else self._agents.pop(position, None)
        if agent is None:
            return []
        Thread(target=agent.close, daemon=True).start()
        log.error("node_gone node=%s", self._names[position])
        jobs = [job for job, at in self._at.items() if at == position]
        for job in jobs:
            del self._at[job]
        self._lost()
        return [Exit(job=job, return_code=-signal.SIGKILL, lost=True) for job in jobs]

    def _narrowed(self, task: Task) -> dict[str, str]:
        """What a job of several nodes is told of them, so that its own launcher stays on them."""
        return nodes_told([self._names[one] for one in task.nodes])


def nodes_told(names: Sequence[str]) -> dict[str, str]:
    """The variables of Slurm that name these nodes, with one task on each."""
    listed, number = ",".join(names), str(len(names))
    return {
        "SLURM_JOB_NODELIST": listed, "SLURM_NODELIST": listed, "SLURM_JOB_NUM_NODES": number, "SLURM_NNODES": number,
        "SLURM_NTASKS": number, "SLURM_NPROCS": number, "SLURM_TASKS_PER_NODE": f"1(x{number})",
    }  # fmt: skip


def gathered(
    local: Executor,
    clock: Clock,
    environ: Mapping[str, str],
    own: str | None,
    names: Sequence[str],
    cpus: int,
    lost: Callable[[], None],
) -> tuple[Nodes, int]:
    """An executor for this node and all others on which an agent could be started; and how many nodes it has.

    Parameters
    ----------
    own, names
        Of this node, and of all of the allocation.
    cpus
        Of each node.
    """
    others = [name for name in names if name != own]
    given = outer(environ)
    known: list[str] = [own or names[0]]
    nodes = Nodes(local, clock, known, lost)
    started = [
        AgentOnNode(at, name, command(name, cpus), given, nodes.hear)
        for at, name in enumerate(others, start=1)
    ]
    deadline = clock.monotonic() + START_WITHIN
    there = []
    for agent in started:
        if agent.await_hello(max(0.1, deadline - clock.monotonic())):
            there.append(agent)
        else:
            log.warning("node_not_reached node=%s", agent.name)
            agent.position = NOWHERE
            # Nobody waits for it: there may be many.
            Thread(target=agent.close, daemon=True).start()
    nodes.forget()
    for position, agent in enumerate(there, start=1):
        agent.position = position
        known.append(agent.name)
    nodes.adopt(there)
    return nodes, len(known)
