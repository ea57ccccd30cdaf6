"""`torc` in this process, on a home of its own, before a small cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from torc_core.main import main
from torc_core.testing.slurm import FakeSlurm

STAGES = """\
# Stages of a sweep.
name: stages
resource_requirements:
  - {name: small, num_cpus: 1, memory: 1g, runtime: PT10M}
  - {name: whole, num_cpus: 4, memory: 1g, runtime: PT1H}
jobs:
  - name: prep            # first
    command: echo prep
    resource_requirements: small
  - name: work_{i}
    command: 1.10
    depends_on: [prep]
    resource_requirements: whole
    parameters: {i: "1:5"}
  - name: post
    command: echo post
    depends_on_regexes: ["^work_"]
    resource_requirements: small
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        assert self.out, self.err
        return json.loads(self.out)


Torc = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh account: no configuration, no database, no Slurm."""
    for name in [name for name in os.environ if name.startswith(("TORC_", "XDG_", "SLURM", "SBATCH"))]:
        monkeypatch.delenv(name)
    for name in ("NREL_CLUSTER", "CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USER", "ana")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TORC_CLIENT__SLURM__RPC_PER_MINUTE", "100000")
    for tool in ("sinfo", "sacctmgr", "scontrol", "sbatch"):
        monkeypatch.setenv(f"TORC_FAKE_{tool.upper()}", "/nowhere")
    monkeypatch.chdir(folder)
    (folder / "stages.yaml").write_text(STAGES)
    return folder


@pytest.fixture
def slurm(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    """A cluster of four nodes with four CPUs; nothing starts on it."""
    fake = FakeSlurm(tmp_path / "slurm")
    fake.hold()
    for tool in ("sinfo", "scontrol", "sbatch", "squeue", "scancel", "sacct"):
        monkeypatch.setenv(f"TORC_FAKE_{tool.upper()}", str(tmp_path / "slurm" / "bin" / tool))
    yield fake
    fake.close()


@pytest.fixture
def torc(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Torc:
    """Run a command line and see what it did: no terminal, nothing on standard input."""

    def run(*words: object) -> Ran:
        capfdbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Ran(code=code, out=out.decode(errors="replace"), err=err.decode())

    return run
