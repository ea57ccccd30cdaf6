"""The face of the small Slurm: makes its folder, injects faults, looks at its jobs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torc_core.testing.slurm import state

FAULTS = (
    "refuses", "fails", "hangs", "submits-then-fails", "submits-then-hangs", "submits-then-mumbles", "silent",
)  # fmt: skip
"""What a command can be made to do: say no in clear words, fail before or after its work, never answer."""

TOOLS = ("sbatch", "squeue", "scancel", "sacct", "sinfo", "scontrol", "srun")
PATIENCE = 60.0


class FakeSlurm:
    """A Slurm of so many nodes in a folder.

    Parameters
    ----------
    nodes
        Names of its nodes.
    cpus, memory
        Of each node; memory in MiB.
    partitions
        By name, the longest time limit in minutes; the first is the default.
    accounts
        Those that are accepted; empty: all, and none has to be given.
    minute
        Seconds that a minute of a time limit lasts.
    accounting
        Whether sacct answers.
    lag
        Seconds that sacct is behind.
    rewrites_comments
        Whether comments are replaced, as some sites do.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: tuple[str, ...] = ("n1", "n2", "n3", "n4"),
        cpus: int = 4,
        memory: int = 2000,
        partitions: Mapping[str, int] | None = None,
        accounts: tuple[str, ...] = (),
        minute: float = 60.0,
        accounting: bool = True,
        lag: float = 0.0,
        rewrites_comments: bool = False,
    ) -> None:
        self.folder = folder
        for name in ("jobs", "bin"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        state.write(folder / "config.json", {
            "nodes": list(nodes), "cpus": cpus, "memory": memory, "accounts": list(accounts), "minute": minute,
            "partitions": dict(partitions or {"standard": 1440, "short": 30}), "accounting": accounting, "lag": lag,
            "rewrites_comments": rewrites_comments,
        })  # fmt: skip
        program = Path(state.__file__).with_name("program.py")
        for tool in TOOLS:
            path = folder / "bin" / tool
            words = shlex.join([sys.executable, "-S", "-E", str(program), str(folder), tool])
            path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            path.chmod(0o700)

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """An environment in which its commands are found first, and no real Slurm is meant."""
        kept = {name: value for name, value in environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return {**kept, "PATH": f"{self.folder / 'bin'}:{environ.get('PATH', os.defpath)}"}

    def fault(self, command: str, kind: str, *, times: int = 1, skip: int = 0, message: str = "") -> None:
        """Have the next `times` calls of a command, after `skip` of them, go wrong.

        Raises
        ------
        ValueError
            If there is no such fault.
        """
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        with state.locked(self.folder):
            path = self.folder / "faults.json"
            known = state.read(path, [])
            known.append({"command": command, "kind": kind, "times": times, "skip": skip, "message": message})
            state.write(path, known)

    def heal(self) -> None:
        """Take back faults that have not happened."""
        with state.locked(self.folder):
            state.write(self.folder / "faults.json", [])

    def jobs(self) -> list[dict[str, Any]]:
        """Every job ever submitted, in order."""
        with state.locked(self.folder):
            return state.jobs(self.folder)

    def calls(self, command: str | None = None) -> list[list[str]]:
        """The command lines that were given, in order."""
        try:
            lines = (self.folder / "calls.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        every = [json.loads(line) for line in lines]
        return [words for words in every if command in (None, words[0])]

    def end(self, number: str, word: str) -> None:
        """End a job as the cluster would: `NODE_FAIL`, `PREEMPTED`, `OUT_OF_MEMORY`, ..."""
        with state.locked(self.folder):
            job = state.job(self.folder, number)
            if job is not None:
                state.kill(job)
                state.over(self.folder, job, word)
                state.schedule(self.folder)

    def expect(self, number: str, at: float, reason: str = "Priority") -> None:
        """Have the queue say why a job waits, and when it may start, in seconds since 1970."""
        with state.locked(self.folder):
            job = state.job(self.folder, number)
            if job is not None:
                state.save(self.folder, {**job, "reason": reason, "expected": at})

    def hold(self, *, on: bool = True) -> None:
        """Start nothing, or go on: what is submitted meanwhile waits."""
        with state.locked(self.folder):
            config = state.read(self.folder / "config.json", {})
            state.write(self.folder / "config.json", {**config, "held": on})
            state.schedule(self.folder)

    def forget(self, number: str) -> None:
        """As if the job had ended long ago: neither the queue nor the accounting knows it."""
        with state.locked(self.folder):
            job = state.job(self.folder, number)
            if job is not None:
                state.kill(job)
                (self.folder / "jobs" / f"{number}.json").unlink()

    def wait_until(self, number: str, *words: str) -> str:
        """Wait until a job is in one of these states; which.

        Raises
        ------
        TimeoutError
            If that does not happen.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with state.locked(self.folder):
                job = state.job(self.folder, number)
            if job is not None and job["state"] in words:
                return str(job["state"])
            threading.Event().wait(0.02)
        raise TimeoutError(f"job {number} of the fake Slurm does not become {' or '.join(words)}")

    def close(self) -> None:
        """End all that still runs."""
        with state.locked(self.folder):
            for job in state.jobs(self.folder):
                state.kill(job)
                if (pid := job.get("stepd")) and state.alive(pid, job.get("stepd_start")):
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
