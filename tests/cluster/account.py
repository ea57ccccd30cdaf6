"""A user's account on the login node of a cluster: a server that the nodes reach, workflows, batch jobs, and a verdict."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from namespaces import until
from slurm import SlurmCluster

from torc_core.config.credentials import Credentials
from torc_core.model import Job, Query, Result, WorkflowId
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.checker import check, gathered, noting, read_ledger, survivors
from torc_http import open_store
from torc_http.client.settings import HttpStoreSettings

CLOCK = SystemClock()
BIN = Path(sys.executable).parent
QUICK = {"sigterm_lead_seconds": 5, "sigkill_headroom_seconds": 10}
"""An execution config with which jobs are ended within seconds."""


def row(check: str, count: int, wrong: int) -> None:
    """Add a row to the table of the promises, where one is made."""
    if path := os.environ.get("TORC_TEST_TABLE"):
        with Path(path).open("a") as table:
            table.write(json.dumps([check, 0, count, wrong]) + "\n")


class Account:
    """A user with a server on the login node.

    Parameters
    ----------
    root
        The home; all nodes see it.
    first
        Where commands are looked for before anywhere else; None: nowhere.
    """

    def __init__(self, cluster: SlurmCluster, root: Path, first: Path | None = None) -> None:
        self.cluster = cluster
        self.root = root
        self.ledger = root / "ledger"
        self.database = root / "torc.db"
        self._making = Lock()
        (root / "run").mkdir(mode=0o700)
        host = socket.gethostname().split(".")[0]
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        self.url = f"http://{host}:{port}/torc-service/v1"
        self.env = {
            "HOME": str(root), "USER": "root", "PATH": f"{'' if first is None else f'{first}:'}{BIN}:{os.environ['PATH']}", "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(root / "run"), "SLURM_CONF": cluster.env["SLURM_CONF"], "TORC_API_URL": self.url,
        }  # fmt: skip
        words = [
            "run",
            "--host",
            "0.0.0.0",
            "--port",
            str(port),
            "--database",
            str(self.database),
            "--threads",
            "4",
        ]
        with (root / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [BIN / "torc-server", *words], cwd=root, env={**self.env, "TORC_API_URL": ""}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        until(lambda: "TORC_API_URL=" in (root / "server.log").read_text(), 60, "a server")
        credentials = Credentials(username="root", key_folder=root / ".config/torc/servers")
        self.store: Store = open_store(self.url, HttpStoreSettings(), CLOCK, credentials)

    def torc(self, *words: str, check: bool = True) -> str:
        """Run a command of torc on the login node; what it prints."""
        done = subprocess.run(
            [BIN / "torc", *words], cwd=self.root, env=self.env, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"torc {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def job(self, name: str, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
        """A job that notes its start and its end in the ledger."""
        return {"name": name, "command": noting(self.ledger, f"{seconds:g}"), **more}

    def workflow(self, name: str, jobs: Iterable[dict[str, Any]], **more: Any) -> WorkflowId:
        """Create a workflow and start its first run."""
        spec = {"name": name, "jobs": list(jobs), **more}
        path = self.root / f"{name}.json"
        path.write_text(json.dumps(spec))
        # One after the other: a server lets few at once do what may take long, and refuses the others.
        with self._making:
            made = json.loads(self.torc("create", str(path), "-f", "json"))
            number = WorkflowId(made["workflow_id"])
            self.torc("workflows", "initialize", str(number), "--force")
        return number

    def submit(self, workflow: WorkflowId, *options: str, each: bool = False, more: str = "") -> int:
        """Submit a batch job whose script is what torc would write; its number.

        Parameters
        ----------
        each
            A runner on each of its nodes.
        """
        runner = f"{BIN}/torc-slurm-job-runner {self.url} {workflow} {self.out} -p 5 {more}"
        srun = "unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU; exec srun --ntasks-per-node=1 --wait=0 --kill-on-bad-exit=0 "
        line = f"{srun} --cpu-bind=none --mpi=none {runner}" if each else f"exec {runner}"
        script = self.root / f"batch{time.monotonic_ns()}.sh"
        script.write_text(f"#!/bin/bash\n{line}\n")
        told = [f"--output={self.root}/batch_%j.o", "--open-mode=append"]
        done = subprocess.run(
            ["sbatch", "--parsable", *told, *options, script], env=self.env, cwd=self.root, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    @property
    def out(self) -> Path:
        """The output directory of all runners."""
        return self.root / "out"

    def jobs(self, workflow: WorkflowId) -> list[Job]:
        """The jobs as they are."""
        return list(self.store.find(Job, Query(workflow=workflow)).items)

    def results(self, workflow: WorkflowId) -> list[Result]:
        """What is known of how attempts ended, of all attempts."""
        return list(self.store.find(Result, Query(workflow=workflow)).items)

    def alive(self, workflow: WorkflowId) -> int:
        """How many jobs of a workflow are processes, on whatever node."""
        marks = {one.mark for one in survivors(self.root)}
        return sum(mark.split(".")[1] == str(workflow) for mark in marks)

    def complete(self, workflow: WorkflowId) -> bool:
        """Whether every job has ended."""
        return self.store.totals([workflow])[0].complete

    def log(self, job: int) -> str:
        """What the runners of a batch job have logged, and their script said."""
        found = [*self.out.glob(f"job_runner_slurm_*_sl{job}_*.log"), self.root / f"batch_{job}.o"]
        return "\n".join(path.read_text() for path in found if path.exists())

    def verdict(self, *, ends: bool = True) -> list[str]:
        """What is wrong with all that has happened here so far."""
        marks, living = read_ledger(self.ledger), survivors(self.root)
        evidence = gathered(self.store, CLOCK.now(), marks=marks, survivors=living)
        return [str(one) for one in check(evidence, ends=ends)]

    def close(self) -> None:
        """End what is left."""
        self.store.close()
        if self.server.poll() is None:
            self.server.kill()
        self.server.wait()
        for one in survivors(self.root):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
