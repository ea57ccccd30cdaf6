"""The convenience functions of the official clients do what they promise."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COUNT = int(os.environ.get("TORC_TEST_BULK_JOBS", "12003"))
"""Jobs that are created in one go; 250005 makes bodies of 100,001."""


@pytest.fixture
def told(python: Path, url: str, tmp_path: Path) -> Mapping[str, Mapping[str, Any]]:
    """What the helpers saw, by what they did."""
    command = [python, HERE / "helping.py", url, str(COUNT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert not [line for line in lines if line["what"] == "failed"]
    return {line["what"]: line for line in lines}


@pytest.mark.parametrize("store", ["sqlite"])
def test_helpers_create_walk_map_and_orchestrate(told: Mapping[str, Mapping[str, Any]], version: str) -> None:
    assert told["created"]["count"] == COUNT
    assert told["created"]["ordered"]
    assert told["created"]["names"] == ["j0", f"j{COUNT - 1}"]
    assert told["walked"]["equal"]
    assert told["limited"]["count"] == 10
    assert told["empty"]["count"] == 0
    assert told["ids"]["count"] == COUNT

    functions = told["functions"]
    assert set(functions["status"].values()) == {"completed"}
    assert functions["results"]["postprocess_result"] == {"total": 6}

    assert told["zero"]["runs"] == [[[1, 1], [1, 2]], [[2, 1], [2, 2]]]

    if version != "0.22.2":
        orchestrated = told["orchestrated"]
        assert orchestrated["ran"] == ["seed", "work1", "seed1", "work2", "seed2", "work3", "seed3"]
        assert orchestrated["complete"]
        assert orchestrated["data"]["__torc_lineage__line__g000003"]["generation"] == 3
        assert orchestrated["data"]["__torc_lineage__line__final"]["final"] is True
