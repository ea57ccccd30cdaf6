"""Both official clients call every operation of theirs, and their models take every answer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def walked(python: Path, url: str) -> list[dict]:
    done = subprocess.run(
        [python, HERE / "walk.py", url], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_every_operation_answers_as_the_client_expects(python: Path, contract: Any, url: str) -> None:
    lines = walked(python, url)

    wrong = [
        f"{line['operation']}: {line.get('error')} {line.get('raw', '')}"
        for line in lines
        if not line["parsed"]
    ]
    assert wrong == []
    called = {line["operation"] for line in lines}
    assert set(contract.operations) - called == set()
    for line in lines:
        type_ = contract.operations[line["operation"]]["responses"][str(line["status"])]
        assert contract.faults(type_, json.loads(line["raw"]), line["operation"]) == []
