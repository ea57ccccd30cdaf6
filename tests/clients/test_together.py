"""Clients of both versions share a workflow, and agree on what has become of it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
JOBS = 40


def sent(url: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url + path, data=data, method="POST", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize("store", ["sqlite"])
def test_both_versions_run_one_workflow_together(pythons: list[Path], url: str) -> None:
    id = sent(url, "/workflows", {"name": "shared", "user": "ann"})["id"]
    jobs = [{"workflow_id": id, "name": f"j{n}", "command": "true"} for n in range(JOBS)]
    made = [job["id"] for job in sent(url, "/bulk_jobs", {"jobs": jobs})["jobs"]]
    sent(url, f"/workflows/{id}/initialize_jobs")

    loops = [
        subprocess.Popen([python, HERE / "sharing.py", url, str(id)], stdout=subprocess.PIPE, text=True)
        for python in pythons * 2
    ]
    told = [json.loads(loop.communicate(timeout=120)[0].splitlines()[-1]) for loop in loops]

    assert [loop.returncode for loop in loops] == [0, 0, 0, 0]
    assert sorted(job for one in told for job in one["ran"]) == made
    assert all(one["seen"] == told[0]["seen"] and one["results"] == told[0]["results"] for one in told)
    assert list(told[0]["seen"].values()).count("failed") == 4
    assert len(told[0]["results"]) == JOBS
