"""Where the commands of Slurm are, what they are given as environment, and how one is run to its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from torc_slurm.scheduler.answers import Ran

FAKES = "TORC_FAKE_"
"""`TORC_FAKE_SBATCH` and the like name an executable that is used instead (`cli.md` §7.3)."""
SECRETS = ("TORC_PASSWORD", "TORC_COOKIE_HEADER")
"""What Slurm would write down with the environment of a submission."""
FILTERS = ("SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "SCONTROL_")
"""Beginnings of variables by which users change what the commands show."""
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT")
DIRECTIVES = (
    "JOB_NAME", "PARTITION", "QOS", "TIMELIMIT", "MEM_PER_NODE", "GRES", "TMP", "OUTPUT", "ERROR", "COMMENT", "SIGNAL",
    "REQUEUE", "NO_REQUEUE", "DEPENDENCY", "ARRAY_INX", "EXPORT", "TEST_ONLY", "WAIT", "HINT", "OPEN_MODE",
)  # fmt: skip
"""`SBATCH_<these>` would win over what a script of ours says."""


def found(name: str, environ: Mapping[str, str]) -> str | None:
    """The executable of this command; None: it is not on this host."""
    given = environ.get(f"{FAKES}{name.upper()}")
    return shutil.which(given or name, path=environ.get("PATH", os.defpath))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What commands of Slurm are given: no secret, nothing of an allocation that we are in, nothing that filters."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in KEPT
        or not (name in SECRETS or name.startswith(("SLURM_", "SRUN_", "SBATCH_", "PMI_", *FILTERS)))
    }
    for name, value in environ.items():
        if name.startswith("SBATCH_") and name.removeprefix("SBATCH_") not in DIRECTIVES:
            kept[name] = value
    return {**kept, "LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}


def run(command: Sequence[str], environ: Mapping[str, str], limit: float, given: str = "") -> Ran:
    """Run a command; one that takes longer than `limit` seconds is killed, with all that it has started."""
    begun = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command), env=dict(environ), stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Ran(code=127, out="", err=f"{command[0]}: {os.strerror(error.errno or 0)}")
    with process:
        try:
            out, err = process.communicate(given or None, timeout=limit)
        except subprocess.TimeoutExpired:
            _kill(process)
            code, out, err = _rest(process)
            return Ran(code=code, out=out, err=err, took=time.monotonic() - begun)
        except BaseException:
            _kill(process)
            raise
    return Ran(code=process.returncode, out=out, err=err, took=time.monotonic() - begun)


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _rest(process: subprocess.Popen[str]) -> tuple[int | None, str, str]:
    """What it had said, after its code where it had ended before: it was this process that was stopped for so long.

    A descendant that left the group may hold the pipes open for ever.
    """
    try:
        out, err = process.communicate(timeout=1)
    except subprocess.TimeoutExpired:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        return None, "", ""
    return None if process.returncode == -signal.SIGKILL else process.returncode, out, err
