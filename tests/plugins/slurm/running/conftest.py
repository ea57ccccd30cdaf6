"""An srun and a scancel that start and signal processes of this machine, as those of Slurm do with steps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

SRUN = """\
import os, signal, subprocess, sys
from pathlib import Path

steps = Path({steps!r})
words, said = sys.argv[1:], {{}}
while words and words[0].startswith("--"):
    name, _, value = words.pop(0)[2:].partition("=")
    said[name] = value
(steps / "calls").open("a").write(" ".join(sys.argv[1:8]) + "\\n")
if (steps / "refuses").exists():
    print("srun: error: Unable to create step for job 7: Requested nodes are busy", file=sys.stderr)
    sys.exit(1)

def opened(path):
    return open(path.replace("%%", "%"), "a") if path else None

def force(number, frame):
    print("srun: forcing job termination", file=sys.stderr, flush=True)
    os.killpg(task.pid, signal.SIGKILL)

told = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in told:
    signal.signal(number, force)
signal.pthread_sigmask(signal.SIG_BLOCK, told)
# As of the real one: what a step does comes after its number is said, and can be signalled from its begin.
step = f"7.{{os.getpid()}}"
if "verbose" in said:
    print(f"srun: launching StepId={{step}} on host n1, 1 tasks: 0", file=sys.stderr, flush=True)

def begin():
    (steps / step).write_text(str(os.getpid()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, told)

env = {{**os.environ, "SLURM_STEP_ID": "0", "SLURMD_NODENAME": said.get("nodelist", "n1")}}
task = subprocess.Popen(
    words, stdin=subprocess.DEVNULL if said.get("input") == "none" else None, stdout=opened(said.get("output")),
    stderr=opened(said.get("error")), start_new_session=True, env=env,
    preexec_fn=begin,
)
signal.pthread_sigmask(signal.SIG_UNBLOCK, told)
code = task.wait()
if (steps / "aborts").exists():
    print("srun: Job step aborted: Waiting up to 32 seconds for job step to finish.", file=sys.stderr)
if code > 0:
    print(f"srun: error: n1: task 0: Exited with exit code {{code}}", file=sys.stderr)
elif code < 0:
    print(f"srun: error: n1: task 0: {{signal.strsignal(-code)}}", file=sys.stderr)
sys.exit(code if code >= 0 else 128 - code)
"""
SCANCEL = """\
import os, signal, sys
from pathlib import Path

number = signal.Signals[sys.argv[1].partition("=")[2]]
for step in sys.argv[2:]:
    os.killpg(int((Path({steps!r}) / step).read_text()), number)
"""


def installed(folder: Path) -> dict[str, str]:
    """An environment in which the two come first, on the first of two nodes of allocation 7.

    `folder/steps` has the process of each step, and `calls` with the words of each srun; `refuses` makes srun fail.
    """
    steps = folder / "steps"
    steps.mkdir()
    for name, text in (("srun", SRUN), ("scancel", SCANCEL)):
        path = folder / name
        path.write_text(f"#!{sys.executable} -IS\n{text.format(steps=str(steps))}")
        path.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TORC_", "SLURM_"))}
    return {
        **kept, "PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURMD_NODENAME": "n1", "SLURM_JOB_NUM_NODES": "2", "XDG_RUNTIME_DIR": str(folder),
    }  # fmt: skip


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return installed(tmp_path)


@pytest.fixture
def steps(environ: dict[str, str], tmp_path: Path) -> Path:
    return tmp_path / "steps"


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same for all tests of a module."""
    return installed(tmp_path_factory.mktemp("lasting"))
