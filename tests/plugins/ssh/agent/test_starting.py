"""At most one worker for a host and a workflow, and the truth about it (`remote.md` RW11-RW17)."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from torc_core.model import JobStatus, WorkflowId


def told_by(machine: Any, file: str) -> bytes:
    """What `/proc` tells of all that runs there."""
    told = b""
    for pid in machine.processes():
        with suppress(OSError):
            told += Path(f"/proc/{pid}/{file}").read_bytes()
    return told


def stat_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_worker_is_registered_runs_the_jobs_and_leaves_when_the_workflow_is_complete(
    machine: Any, centre: Any, until: Any
) -> None:
    go = machine.home / "go"
    workflow = centre.workflow(f"while [ ! -e {go} ]; do sleep 0.05; done", "true")

    told = machine.ask(**centre.start(workflow))

    assert told["status"] == "started"
    note = json.loads(
        (machine.home / f"torc_output/torc_worker_{workflow}_{os.uname().nodename}.pid").read_text()
    )
    assert note["pid"] == told["pid"]
    assert note["node_id"] == told["compute_node_id"]
    assert machine.ask(action="status", **centre.about(workflow))["status"] == "running"
    again = machine.ask(**centre.start(workflow))
    assert (again["status"], again["pid"]) == ("already_running", told["pid"])
    go.touch()
    until(lambda: not machine.processes())
    ended = machine.ask(action="status", **centre.about(workflow))
    assert (ended["status"], ended["exit_code"]) == ("not running", 0)
    (totals,) = centre.store.totals([WorkflowId(workflow)])
    assert totals.counts[JobStatus.COMPLETED] == 2


def test_nothing_secret_is_on_a_command_line_or_in_the_environment_of_a_job(
    machine: Any, centre: Any, until: Any
) -> None:
    workflow = centre.workflow("env > env.txt; exec sleep 60")
    request = centre.start(workflow)
    secret = json.loads(request["key"])["key"]

    told = machine.ask(**request)

    until(lambda: b"sleep\00060\0" in told_by(machine, "cmdline"))
    seen = (machine.home / "env.txt").read_bytes() + told_by(machine, "cmdline") + told_by(machine, "environ")
    assert seen.count(b"TORC_JOB_ID=") >= 2
    assert secret.encode() not in seen
    words = Path(f"/proc/{told['pid']}/cmdline").read_text().split("\0")
    assert centre.url in words
    (key,) = (machine.home / ".local/state/torc/workers").iterdir()
    assert stat_of(key) == 0o600
    for file in (machine.home / "torc_output").glob("torc_worker_*"):
        assert stat_of(file) == 0o600


def test_of_many_starts_at_once_one_begins(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("sleep 60")
    marks = [f"mark-{number}" for number in range(6)]
    agents = [machine.popen(centre.start(workflow), mark) for mark in marks]
    from torc_ssh.framing import answer

    told = [
        json.loads(answer(one.communicate(timeout=60)[0], mark))
        for one, mark in zip(agents, marks, strict=True)
    ]

    assert sorted(one["status"] for one in told) == ["already_running"] * 5 + ["started"]
    assert len({one["pid"] for one in told}) == 1


def test_who_asked_and_went_away_finds_his_worker_when_he_asks_again(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("sleep 60")
    request = centre.start(workflow)
    first = machine.popen(request, "gone")
    first.stdout.close()

    told = machine.ask(**request)

    assert first.wait(60) == 0
    assert told["status"] == "started"
    assert machine.ask(**request)["pid"] == told["pid"]
    first.stderr.close()


def test_a_worker_that_cannot_reach_the_server_dies_and_its_last_words_are_told(
    machine: Any, centre: Any
) -> None:
    workflow = centre.workflow("true")

    told = machine.ask(**centre.start(workflow, url="http://127.0.0.1:9/torc-service/v1"))

    assert told["status"] == "died"
    error, hint = told["last_log"][-2:]
    assert "refused" in error
    assert hint.startswith("hint: see whether the server runs")
    asked = machine.ask(**centre.start(workflow, url="http://127.0.0.1:9/torc-service/v1", test_url=True))
    assert (asked["status"], asked["code"], asked["reach"]["kind"]) == ("refused", "unreached", "refused")


def test_setup_and_environment_reach_the_jobs_and_a_setup_that_fails_is_told(
    machine: Any, centre: Any, until: Any
) -> None:
    workflow = centre.workflow('echo "$COLOUR $SHAPE" > seen.txt')

    failed = machine.ask(**centre.start(workflow, setup="echo no such module >&2; false"))
    told = machine.ask(**centre.start(workflow, setup="export SHAPE=round; cat", env={"COLOUR": "a b"}))

    assert failed["status"] == "died"
    assert failed["last_log"] == ["no such module", "Error: --setup ended with code 1"]
    assert told["status"] == "started"
    until(lambda: not machine.processes())
    assert (machine.home / "seen.txt").read_text() == "a b round\n"


def test_logs_of_former_workers_are_kept(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("true")
    for _ in range(7):
        machine.ask(**centre.start(workflow, setup="echo before; exit 3"))

    kept = sorted(one.name for one in (machine.home / "torc_output").glob("torc_worker_*.log*"))

    assert [one.rpartition(".log")[2] for one in kept] == ["", ".1", ".2", ".3", ".4", ".5"]


def test_another_version_is_refused_and_another_protocol_is_named(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("true")

    assert machine.ask(**centre.start(workflow, version="0.0.1"))["code"] == "version"
    assert machine.ask(**centre.start(workflow) | {"protocol": 99})["status"] == "protocol"
    assert machine.processes() == []


def test_a_workflow_that_is_complete_needs_no_worker(machine: Any, centre: Any, until: Any) -> None:
    workflow = centre.workflow("true")
    machine.ask(**centre.start(workflow))
    until(lambda: not machine.processes())

    told = machine.ask(**centre.start(workflow))

    assert (told["status"], told["exit_code"]) == ("complete", 0)


def test_a_worker_whose_lock_was_removed_is_found_all_the_same(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("sleep 60")
    told = machine.ask(**centre.start(workflow))
    for lock in Path(machine.env["XDG_RUNTIME_DIR"]).glob("torc-worker-*"):
        lock.unlink()

    again = machine.ask(**centre.start(workflow))

    assert (again["status"], again["pid"]) == ("already_running", told["pid"])
    assert machine.ask(action="status", **centre.about(workflow))["status"] == "running"


def test_a_worker_that_was_killed_is_stale_and_another_one_takes_its_place(
    machine: Any, centre: Any, until: Any
) -> None:
    workflow = centre.workflow("sleep 60")
    told = machine.ask(**centre.start(workflow))
    os.kill(told["pid"], signal.SIGKILL)

    until(lambda: machine.ask(action="status", **centre.about(workflow))["status"] == "stale")
    again = machine.ask(**centre.start(workflow))

    assert again["status"] == "started"
    assert again["pid"] != told["pid"]


def test_no_key_is_left_where_no_worker_has_begun(machine: Any, centre: Any) -> None:
    workflow = centre.workflow("true")

    machine.ask(**centre.start(workflow, setup="false"))
    machine.ask(**centre.start(workflow, url="http://127.0.0.1:9/torc-service/v1"))

    assert list((machine.home / ".local/state/torc/workers").iterdir()) == []
