"""Logs are fetched over connections that break: every byte is here or there at any moment, and in the end here (RW30-RW33).

The count is a tenth of what is promised; `nox -s promises` gives the full one.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hosts import USER
from lanes import Lanes

from torc_ssh.commands.archives import proven

CUTS = int(os.environ.get("TORC_TEST_COLLECT_CUTS", "10"))
"""The promise is 100."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "0"))
NAMES = ("w1", "w2", "w3")
FILES, SIZE = 10, 1 << 20
"""What a host has written each time."""
TRIES = 4


def written(desk: Any, name: str, workflow: int, run: int) -> Mapping[str, str]:
    """Let jobs have written what was not there before; the sums by path."""
    found = {}
    for job in range(FILES):
        # The job that really ran has run 1.
        path = desk.output(name) / f"job_stdio/job_wf{workflow}_j{job}_r{run + 2}_a1.o"
        content = os.urandom(SIZE)
        path.parent.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # an empty directory was taken away as well
        path.write_bytes(content)
        for one in (path.parents[1], path.parent, path):
            os.chown(one, USER, USER)
        found[f"job_stdio/{path.name}"] = hashlib.sha256(content).hexdigest()
    return found


def here(folder: Path) -> dict[str, str]:
    """Sums of what is in the archives that were accepted."""
    accepted = [path for path in folder.glob("torc_logs_*") if not path.name.endswith(".part")]
    return {one.path: one.sha256 for path in accepted for one in proven(path)}


def there(desk: Any, name: str) -> dict[str, str]:
    """Sums of what the host has."""
    found = desk.output(name) / "job_stdio"
    return {
        f"job_stdio/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in found.glob("*")
    }


def await_part(process: subprocess.Popen[str], part: Path, size: int) -> None:
    """Return when so much has arrived, or nothing comes any more."""
    while process.poll() is None:
        try:
            if part.stat().st_size >= size:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.002)


def test_nothing_is_lost_when_connections_break_while_logs_are_fetched(
    desk: Any, until: Callable[..., None], row: Callable[..., None]
) -> None:
    workflow = desk.workflow("echo done")
    desk.torc("remote", "add-workers", str(workflow), *NAMES)
    desk.torc("remote", "run", str(workflow), "--wait")
    until(lambda: not any(desk.workers_on(one) for one in NAMES))
    lots = random.Random(SEED)
    words = ("-f", "json", "remote", "collect-logs", str(workflow), "--delete", "--hosts")
    lasted: list[float] = []
    everything: dict[str, dict[str, str]] = {name: {} for name in NAMES}

    def collect(name: str) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = desk.popen(*words, name, "-l", f"logs-{name}")
        return process

    def whole(number: int, name: str) -> None:
        everything[name] |= written(desk, name, workflow, CUTS)
        begin = time.monotonic()
        process = collect(name)
        out, err = process.communicate(timeout=240)
        lasted.append(time.monotonic() - begin)
        assert process.returncode == 0, out + err
        assert there(desk, name) == {}

    assert Lanes(NAMES).wrong(len(NAMES), whole) == []
    # Half of them are cut at any moment, half while the archive comes.
    moments = [lots.uniform(0, max(lasted)) for _ in range(CUTS)]
    sizes = [lots.uniform(0, FILES * SIZE) for _ in range(CUTS)]

    def cut(number: int, name: str) -> None:
        folder = desk.root / f"logs-{name}"
        sums = written(desk, name, workflow, number)
        everything[name] |= sums
        process = collect(name)
        if number % 2:
            await_part(process, folder / f"torc_logs_{workflow}_{name}.tar.gz.part", int(sizes[number]))
        else:
            time.sleep(moments[number])
        desk.cut_sessions(name)
        out, err = process.communicate(timeout=240)
        about = (number, moments[number], sizes[number], out, err)
        assert process.returncode in (0, 1), about
        arrived, left = here(folder), there(desk, name)
        assert {
            path for path, sum in sums.items() if sum not in (arrived.get(path), left.get(path))
        } == set(), about
        if process.returncode == 0:
            assert left == {}, about
        for _ in range(TRIES):
            process = collect(name)
            out, err = process.communicate(timeout=240)
            if process.returncode == 0:
                break
        assert process.returncode == 0, (about, out, err)
        assert json.loads(out)["results"][0]["stayed"] == [], out
        assert there(desk, name) == {}, about

    found = Lanes(NAMES).wrong(CUTS, cut)
    for name in NAMES:
        arrived = here(desk.root / f"logs-{name}")
        lost = {path for path, sum in everything[name].items() if arrived.get(path) != sum}
        found += [f"{name}: {path} is lost" for path in sorted(lost)]
    row("collections whose connection is cut", SEED, CUTS, found)
