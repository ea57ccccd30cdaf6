"""What a client reads and sends back as it came stays as it was (`wire.md` T8)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
KINDS = {
    "workflow", "file", "user_data", "requirement", "local_scheduler", "slurm_scheduler", "job", "node", "allocation",
    "result", "ro_crate_entity",
}  # fmt: skip


def test_a_record_that_is_sent_back_stays_as_it_was(python: Path, url: str) -> None:
    command = [python, HERE / "roundtrip.py", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    assert {line["kind"] for line in lines} == KINDS
    for line in lines:
        assert line["before"] == line["after"] == line["again"], line["kind"]
        assert line["created"] == line["before"], line["kind"]
