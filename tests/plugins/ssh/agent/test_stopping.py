"""A worker ends with its jobs, and nobody else does (`remote.md` RW20-RW22)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import JobStatus, WorkflowId
from torc_ssh.agent.asked import Asked
from torc_ssh.agent.stopping import stop

DECOYS = 20

STUBBORN = (
    "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & while :; do sleep 1; done"
)


def processes_of(machine: Any, until: Callable[..., None], least: int) -> list[int]:
    until(lambda: len(machine.processes()) >= least)
    return list(machine.processes())


def test_a_worker_that_is_asked_to_end_ends_its_jobs_and_reports_them(
    machine: Any, centre: Any, until: Callable[..., None], alive: Callable[[int], bool]
) -> None:
    workflow = centre.workflow("sleep 300", "sleep 300", "sleep 300")
    told = machine.ask(**centre.start(workflow))
    until(lambda: centre.store.totals([WorkflowId(workflow)])[0].counts.get(JobStatus.RUNNING) == 2)
    before = machine.processes()

    stopped = machine.ask(action="stop", timeout=60, **centre.about(workflow))

    assert (stopped["status"], stopped["pid"], stopped["exit_code"]) == ("stopped", told["pid"], 143)
    until(lambda: not any(alive(pid) for pid in before))
    (totals,) = centre.store.totals([WorkflowId(workflow)])
    assert totals.counts[JobStatus.TERMINATED] == 2
    assert totals.counts[JobStatus.READY] == 1
    assert machine.ask(action="status", **centre.about(workflow))["status"] == "not running"
    assert machine.ask(action="stop", timeout=5, **centre.about(workflow))["status"] == "not running"


def test_a_worker_that_takes_too_long_is_left_alone_until_it_is_forced(
    machine: Any, centre: Any, until: Callable[..., None]
) -> None:
    workflow = centre.workflow(STUBBORN)
    machine.ask(**centre.start(workflow))
    processes_of(machine, until, 5)

    patient = machine.ask(action="stop", timeout=0.5, **centre.about(workflow))
    forced = machine.ask(action="stop", force=True, **centre.about(workflow))

    assert patient["status"] == "still_stopping"
    assert forced["status"] == "stopped"
    assert forced["killed"] >= 3
    assert machine.processes() == []


def test_strangers_with_the_number_of_a_worker_survive(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, machine.env[name])
    folder = machine.home / "torc_output"
    folder.mkdir()
    path = folder / f"torc_worker_7_{os.uname().nodename}.pid"
    decoys = [subprocess.Popen(["sleep", "300"], start_new_session=True) for _ in range(DECOYS)]
    try:
        for decoy in decoys:
            note = {
                "pid": decoy.pid, "process_start": start_of(decoy.pid), "boot_id": boot(), "node_id": 7, "epoch": "e",
                "marker": "abc.7.0123", "store_id": "abc", "workflow": 7,
            }  # fmt: skip
            for change in ({}, {"process_start": 1}, {"boot_id": "another"}, {"marker": "TORC"}):
                path.write_text(json.dumps({**note, **change}))
                for force in (False, True):
                    told = stop(
                        Asked(
                            {
                                "store_id": "abc",
                                "workflow": 7,
                                "output_dir": "torc_output",
                                "force": force,
                                "timeout": 5,
                            }
                        )
                    )
                    assert told["status"] == "stale"
        assert all(decoy.poll() is None for decoy in decoys)
    finally:
        for decoy in decoys:
            decoy.kill()
            decoy.wait()


def test_what_a_dead_worker_left_is_killed_by_its_mark(
    machine: Any, centre: Any, until: Callable[..., None]
) -> None:
    workflow = centre.workflow("sleep 300")
    told = machine.ask(**centre.start(workflow))
    left = [pid for pid in processes_of(machine, until, 3) if pid != told["pid"]]
    for pid in (told["pid"], *left):
        with suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"sleep" not in words:  # worker and guardian at once: nobody ends the job
                os.kill(pid, signal.SIGSTOP)
    os.kill(told["pid"], signal.SIGKILL)
    until(lambda: machine.ask(action="status", **centre.about(workflow))["status"] == "stale")

    forced = machine.ask(action="stop", force=True, **centre.about(workflow))

    assert forced["status"] == "stale"
    assert forced["killed"] >= 1
    assert machine.processes() == []


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("kind", ["link", "foreign"])
def test_a_folder_for_locks_that_somebody_else_made_is_refused(
    machine: Any, centre: Any, kind: str, tmp_path: Path
) -> None:
    del machine.env["XDG_RUNTIME_DIR"]
    machine.env["TMPDIR"] = str(tmp_path / "tmp")
    folder = tmp_path / "tmp" / f"torc-{os.getuid()}"
    folder.parent.mkdir()
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)

    told = machine.ask(action="status", **centre.about(1))

    assert told["status"] == "error"
    assert "locks" in told["message"]


@pytest.mark.parametrize("force", [False, True])
def test_no_key_is_left_by_a_worker_that_was_ended(machine: Any, centre: Any, force: bool) -> None:
    workflow = centre.workflow("sleep 300")
    machine.ask(**centre.start(workflow))
    keys = machine.home / ".local/state/torc/workers"
    before = len(list(keys.iterdir()))

    machine.ask(action="stop", force=force, timeout=60, **centre.about(workflow))

    assert before == 1
    assert list(keys.iterdir()) == []


def test_a_key_that_a_result_waits_for_is_left(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("sleep 300")
    machine.ask(**centre.start(workflow))
    spool = machine.home / "torc_output/.torc-spool"
    spool.mkdir(exist_ok=True)
    (spool / f"{centre.store.server_id}.{workflow}.1.99.1.json").write_text("{}")

    machine.ask(action="stop", timeout=60, **centre.about(workflow))

    assert len(list((machine.home / ".local/state/torc/workers").iterdir())) == 1


def test_a_worker_that_hangs_before_it_has_begun_is_ended_by_force(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("true")
    begun = machine.ask(**centre.start(workflow, setup="sleep 600", wait=1))

    patient = machine.ask(action="stop", timeout=1, **centre.about(workflow))
    forced = machine.ask(action="stop", force=True, **centre.about(workflow))

    assert (begun["status"], begun["compute_node_id"]) == ("started", None)
    assert patient["status"] == "starting"
    assert (forced["status"], forced["killed"]) == ("stopped", 2)
    assert machine.processes() == []
    assert machine.ask(action="status", **centre.about(workflow))["status"] == "not running"
