"""What torc takes for granted of Slurm's commands, as tests: the small Slurm and a real one are held to the same."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torc_core.record import record

PATIENCE = 90.0
"""Seconds in which anything that is waited for has to happen."""
QUEUE = "%i|%T|%r|%S|%e|%L|%D|%P|%a|%N|%k|%j"


@record(frozen=True, slots=True, kw_only=True)
class Commands:
    """Slurm's commands.

    Parameters
    ----------
    environ
        By which they are found, and find their cluster.
    folder
        That all nodes see.
    account, partition
        That are accepted.
    """

    environ: Mapping[str, str]
    folder: Path
    account: str
    partition: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            words,
            env=dict(self.environ),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=60,
        )

    def submit(self, body: str, *directives: str) -> str:
        """Submit a script; the number of its job."""
        script = self.folder / f"script-{time.monotonic_ns()}.sh"
        lines = [
            f"--account={self.account}",
            f"--partition={self.partition}",
            "--output=/dev/null",
            *directives,
        ]
        script.write_text("#!/bin/bash\n" + "".join(f"#SBATCH {line}\n" for line in lines) + body + "\n")
        done = self.run("sbatch", "--parsable", str(script))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().partition(";")[0]

    def state(self, number: str) -> str:
        """The word of the queue; empty: it does not know the job."""
        return self.row(number)[1] if self.row(number) else ""

    def row(self, number: str) -> list[str]:
        """The line of the queue."""
        done = self.run("squeue", "--me", "-h", "-t", "all", "-o", QUEUE)
        assert done.returncode == 0, done.stderr
        rows = [line.split("|", 11) for line in done.stdout.splitlines()]
        return next((row for row in rows if row[0] == number), [])

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is the case."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it does not come true"
            threading.Event().wait(0.05)


class SlurmContract:
    """What torc takes for granted of Slurm: subclass it and give it a `commands` fixture."""

    def test_a_job_is_known_by_its_number_name_and_comment(self, commands: Commands) -> None:
        number = commands.submit("sleep 60", "--job-name=wf1_abc", "--comment=torc/store/abc", "--hold")

        row = commands.row(number)
        commands.run("scancel", number)

        assert number.isdigit()
        assert (row[1], row[6], row[7], row[10], row[11]) == (
            "PENDING", "1", commands.partition, "torc/store/abc", "wf1_abc",
        )  # fmt: skip
        assert row[2].startswith("JobHeld")

    def test_a_job_runs_with_what_it_is_told_and_ends(self, commands: Commands) -> None:
        told = commands.folder / "told"
        number = commands.submit(f'echo "$SLURM_JOB_ID $SLURM_JOB_NUM_NODES $SLURM_NODEID" > {told}; exit 3')

        commands.until(lambda: commands.state(number) in ("FAILED", ""))

        assert told.read_text().split() == [number, "1", "0"]

    def test_a_directive_takes_any_text_in_double_quotes(self, commands: Commands) -> None:
        folder = commands.folder / 'a "b" c\'d %j'
        folder.mkdir()
        path = str(folder).replace("%", "%%").replace('"', '\\"')

        number = commands.submit(
            "echo said", f'--output="{path}/o_%j"', '--comment="two words; $(x) \\\\"', "--hold"
        )
        comment = commands.row(number)[10]
        commands.run("scontrol", "release", number)
        commands.until(lambda: commands.state(number) in ("COMPLETED", ""))

        assert comment == "two words; $(x) \\"
        assert (folder / f"o_{number}").read_text() == "said\n"

    def test_what_is_wrong_is_refused_in_words(self, commands: Commands) -> None:
        script = commands.folder / "wrong.sh"
        script.write_text("#!/bin/sh\ntrue\n")

        account = commands.run("sbatch", "--parsable", "--account=nobody", str(script))
        partition = commands.run("sbatch", "--parsable", "--partition=nowhere", str(script))

        for done in (account, partition):
            assert done.returncode == 1
            assert "Batch job submission failed: Invalid" in done.stderr
            assert not done.stdout

    def test_only_what_waits_is_called_off_where_that_is_asked(self, commands: Commands) -> None:
        running = commands.submit("exec sleep 60")
        waiting = commands.submit("exec sleep 60", "--hold")
        commands.until(lambda: commands.state(running) == "RUNNING")

        done = commands.run("scancel", "--state=PENDING", running, waiting)
        states = commands.state(running), commands.state(waiting)
        commands.run("scancel", running)
        commands.until(lambda: commands.state(running) in ("CANCELLED", ""))

        assert done.returncode == 0, done.stderr
        assert states == ("RUNNING", "CANCELLED")

    def test_an_unknown_number_is_told(self, commands: Commands) -> None:
        done = commands.run("squeue", "-h", "-j", "999999999")

        assert done.returncode == 1
        assert "Invalid job id specified" in done.stderr

    def test_the_accounting_knows_what_has_ended(self, commands: Commands) -> None:
        number = commands.submit("exit 5", "--job-name=accounted", "--comment=x")
        words = [
            "sacct",
            "-X",
            "-n",
            "-P",
            "--noconvert",
            "-S",
            "1970-01-02",
            "--format=JobIDRaw,State,ExitCode,JobName",
        ]

        commands.until(lambda: f"{number}|FAILED|5:0|accounted" in commands.run(*words, "-j", number).stdout)
        off = commands.submit("exec sleep 60", "--hold")
        commands.run("scancel", off)
        commands.until(lambda: f"{off}|CANCELLED by {os.getuid()}|" in commands.run(*words, "-j", off).stdout)

    def test_jobs_of_one_name_run_one_after_the_other_if_they_are_singletons(
        self, commands: Commands
    ) -> None:
        both = ["--job-name=torc-wf1-s1", "--dependency=singleton"]
        first = commands.submit("exec sleep 60", *both)
        second = commands.submit("true", *both)
        commands.until(lambda: commands.state(first) == "RUNNING")

        reason = commands.row(second)[1:3]
        commands.run("scancel", first)
        commands.until(lambda: commands.state(second) in ("COMPLETED", ""))

        assert reason == ["PENDING", "Dependency"]

    def test_a_requeued_job_keeps_its_number(self, commands: Commands) -> None:
        runs = commands.folder / "runs"
        number = commands.submit(f'echo "${{SLURM_RESTART_COUNT:-0}}" >> {runs}; exec sleep 60', "--requeue")
        commands.until(lambda: runs.exists() and commands.state(number) == "RUNNING")

        done = commands.run("scontrol", "requeue", number)
        commands.until(lambda: commands.state(number) in ("PENDING", "REQUEUED", "RUNNING"))
        commands.run("scancel", number)

        assert done.returncode == 0, done.stderr
        commands.until(lambda: commands.state(number) in ("CANCELLED", ""))

    def test_a_command_runs_on_each_node(self, commands: Commands) -> None:
        told = commands.folder / "nodes"
        number = commands.submit(
            f"srun --ntasks-per-node=1 --nodes=2 --wait=0 --kill-on-bad-exit=0 bash -c 'echo \"$SLURM_NODEID\" >> {told}'",
            "--nodes=2",
        )

        commands.until(lambda: commands.state(number) in ("COMPLETED", ""))

        assert sorted(told.read_text().split()) == ["0", "1"]

    def test_an_estimate_is_told_beside_the_answer(self, commands: Commands) -> None:
        script = commands.folder / "estimated.sh"
        script.write_text("#!/bin/sh\ntrue\n")

        done = commands.run("sbatch", "--test-only", f"--account={commands.account}", str(script))

        assert done.returncode == 0
        assert not done.stdout
        assert " to start at " in done.stderr
