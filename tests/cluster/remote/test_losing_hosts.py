"""Workers and hosts that die, reboot, fill up or cannot be reached any more (`remote.md` §13)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import Job, JobStatus, Node, NodeState, Query, Result, WorkflowId

QUICK = Path(__file__).parents[2] / "faults/quick.py"
MINUTE, BEYOND, FLAG = 6, 6_000, 3_000
"""W is six seconds and not sixty, the store waits six seconds longer, and says `unreachable` after three."""

PULSE = "while :; do date +%s%N >> ~/pulse-$TORC_JOB_ID-$TORC_ATTEMPT_ID; sleep 0.1; done"
"""A job that says all the time that it lives, and ends only when it is told so."""


@pytest.fixture
def hasty(bare: Any) -> Iterator[Any]:
    """A desk with a server for which a minute is short."""
    bare.env |= {
        "TORC_TEST_MINUTE": str(MINUTE), "TORC_TEST_BEYOND": str(BEYOND), "TORC_TEST_FLAG": str(FLAG),
        "TORC_SERVER__SWEEP_SECONDS": "1", "TORC_CLIENT__OFFLINE__DRAIN_PING_INTERVAL_SECS": "1",
    }  # fmt: skip
    bare.serve(torc=[sys.executable, str(QUICK)])
    return bare


def pulses(desk: Any, host: str) -> list[int]:
    """All signs of life of jobs on a host, in nanoseconds."""
    home = Path(desk.hosts[host].folder) / "home/dev"
    return sorted(int(line) for path in home.glob("pulse-*") for line in path.read_text().splitlines())


def node_on(desk: Any, workflow: str, host: str) -> Node:
    with desk.store() as store:
        nodes = store.find(Node, Query(workflow=WorkflowId(int(workflow)))).items
    return max((one for one in nodes if one.hostname == host), key=lambda one: one.id)


def state_of(desk: Any, workflow: str, host: str) -> NodeState:
    return node_on(desk, workflow, host).state


def results(desk: Any, workflow: str) -> list[Result]:
    with desk.store() as store:
        return list(store.find(Result, Query(workflow=WorkflowId(int(workflow)))).items)


def jobs(desk: Any, workflow: str) -> list[Job]:
    with desk.store() as store:
        return list(store.find(Job, Query(workflow=WorkflowId(int(workflow)))).items)


def started(desk: Any, *commands: str, on: str, **more: Any) -> str:
    """A workflow with a worker on a host, all of whose jobs run."""
    workflow = str(desk.workflow(*commands, **more))
    desk.torc("remote", "add-workers", workflow, on)
    desk.torc("remote", "run", workflow, "--num-cpus", str(len(commands)))
    return workflow


def test_jobs_of_a_host_that_is_cut_off_run_again_when_they_have_ended_there(hasty: Any, until: Any) -> None:
    command = f'test "$TORC_ATTEMPT_ID" = 1 || {{ date +%s%N >> ~/pulse-again; exit 0; }}; {PULSE}'
    workflow = started(
        hasty, command, command, on="w1", compute_node_wait_for_healthy_database_minutes=1,
        retry_on_node_loss=1,
    )  # fmt: skip
    until(lambda: len(pulses(hasty, "w1")) > 4)

    hasty.hosts["w1"].cut()
    until(lambda: state_of(hasty, workflow, "w1") is NodeState.UNREACHABLE, 20)
    shown = hasty.answer("remote", "status", workflow, "--no-ssh", code=1)["items"][0]
    hasty.torc("remote", "add-workers", workflow, "w2")
    hasty.torc("remote", "run", workflow, "--hosts", "w2", "--num-cpus", "2")
    hasty.until_complete(workflow=int(workflow), seconds=60)
    hasty.hosts["w1"].heal()
    until(lambda: not hasty.workers_on("w1"), 60)

    assert shown["status"] == "unreachable"
    # What ran there was dead before it was given out again: no job runs twice at once.
    assert pulses(hasty, "w1")[-1] < pulses(hasty, "w2")[0]
    assert hasty.counts(int(workflow))["completed"] == 2
    assert {one.attempt_id for one in jobs(hasty, workflow)} == {2}


def test_jobs_of_a_host_that_is_cut_off_that_are_not_run_again_end_there_and_count(
    hasty: Any, until: Any
) -> None:
    command = "date +%s%N >> ~/pulse-once; sleep 18; date +%s%N >> ~/pulse-once"
    workflow = started(hasty, command, on="w2", compute_node_wait_for_healthy_database_minutes=1)
    until(lambda: pulses(hasty, "w2"))

    hasty.hosts["w2"].cut()
    until(lambda: hasty.counts(int(workflow))["failed"] == 1, 40)
    (provisional,) = results(hasty, workflow)
    until(lambda: len(pulses(hasty, "w2")) == 2, 40)
    hasty.hosts["w2"].heal()
    until(lambda: hasty.counts(int(workflow))["completed"] == 1, 60)

    assert (provisional.return_code, provisional.reason) == (-128, "node_lost")
    assert len(pulses(hasty, "w2")) == 2


def test_a_new_boot_proves_that_the_jobs_of_a_host_have_ended(desk: Any, until: Any) -> None:
    workflow = started(desk, "sleep 600", "sleep 600", on="w3")
    until(lambda: desk.counts(int(workflow))["running"] == 2)

    desk.hosts["w3"].crash()
    desk.hosts.boot("w3")
    stale = desk.answer("remote", "status", workflow, code=1)["items"][0]
    again = desk.answer("remote", "run", workflow)["results"][0]
    until(lambda: desk.counts(int(workflow))["running"] == 2, 20)

    assert stale["status"] == "stale"
    assert again["status"] == "started"
    # The worker takes up what its former life has left, as every run does.
    assert {(one.attempt_id, one.return_code) for one in results(desk, workflow)} == {(1, -128)}
    assert {(one.attempt_id, one.node_id) for one in jobs(desk, workflow)} == {(2, again["compute_node_id"])}


def test_jobs_of_a_worker_that_is_killed_end_with_it_and_are_told(desk: Any, until: Any) -> None:
    workflow = started(desk, "setsid sleep 600 & sleep 600", "sleep 600", on="w4")
    until(lambda: desk.counts(int(workflow))["running"] == 2)
    host = desk.hosts["w4"]

    host.run("kill", "-9", str(desk.workers_on("w4", int(workflow))[0]))
    until(lambda: "sleep 600" not in host.run("ps", "-u", "dev", "-o", "args="), 15)
    until(lambda: desk.counts(int(workflow))["running"] == 0, 45)

    assert {one.status for one in jobs(desk, workflow)} <= {JobStatus.FAILED, JobStatus.TERMINATED}
    assert state_of(desk, workflow, "w4") is NodeState.ENDED
    assert desk.answer("remote", "status", workflow)["items"][0]["status"] == "stale"


def test_a_full_disk_fails_the_job_and_not_the_worker(desk: Any, until: Any) -> None:
    host = desk.hosts["w5"]
    host.run("mkdir", "-p", "/home/dev/small")
    host.run("mount", "-t", "tmpfs", "-o", "size=600k,mode=700,uid=2001", "small", "/home/dev/small")
    try:
        workflow = str(desk.workflow("head -c 2000000 /dev/zero", "rm -f ~/small/out/job_stdio/*; true"))
        desk.torc("remote", "add-workers", workflow, "w5")
        desk.torc("remote", "run", workflow, "-o", "small/out", "--num-cpus", "1")
        desk.until_complete(int(workflow))
        until(lambda: not desk.workers_on("w5"))
        by_job = {one.job_id: one for one in results(desk, workflow)}
        full, other = (by_job[one.id] for one in sorted(jobs(desk, workflow), key=lambda one: one.name))
    finally:
        host.run("umount", "-l", "/home/dev/small")

    assert full.status is JobStatus.FAILED
    assert other.status is JobStatus.COMPLETED
    assert desk.answer("remote", "status", workflow)["items"][0]["status"] == "not running"


def test_two_users_of_one_host_have_nothing_to_do_with_each_other(ssh_hosts: Any, until: Any) -> None:
    from .conftest import desk_of

    with desk_of(ssh_hosts) as one, desk_of(ssh_hosts) as other:
        for desk in (one, other):
            desk.serve()
            assert started(desk, "sleep 600", on="w6") == "1"
            until(lambda desk=desk: desk.counts(1)["running"] == 1)
        names = sorted(path.name for path in one.output("w6").glob("*.pid"))
        both = one.workers_on("w6", 1)
        stopped = one.answer("remote", "stop", "1")
        left = one.workers_on("w6", 1)
        (state,) = other.answer("remote", "status", "1")["items"]

    assert len(both) == 2
    assert len(names) == 2
    assert stopped["results"][0]["status"] == "stopped"
    assert [state["pid"]] == left
    assert (state["status"], state["jobs_running"]) == ("running", 1)


@pytest.fixture
def watchful(desk: Any) -> Any:
    """A desk that notices within ten seconds that a host is dead."""
    desk.configure("Host *\n  ServerAliveInterval 5\n  ServerAliveCountMax 1\n")
    return desk


def test_a_host_that_vanishes_while_its_worker_is_stopped_is_told(watchful: Any, until: Any) -> None:
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    workflow = str(watchful.workflow(stubborn, stubborn, execution_config={"sigterm_lead_seconds": 60}))
    watchful.torc("remote", "add-workers", workflow, "w1", "w2")
    watchful.torc("remote", "run", workflow, "--num-cpus", "1")
    until(lambda: watchful.counts(int(workflow))["running"] == 2)

    process = watchful.popen("-f", "json", "remote", "stop", workflow, "--hosts", "w1")
    until(lambda: "_worker-agent" in watchful.hosts["w1"].run("ps", "-ww", "-u", "dev", "-o", "args="))
    begin = time.monotonic()
    watchful.hosts["w1"].cut()
    out, err = process.communicate(timeout=60)
    seconds = time.monotonic() - begin
    status = watchful.popen(
        "-f", "json", "remote", "status", workflow, env={"TORC_CLIENT__REMOTE__CONNECT_TIMEOUT_SECS": "2"}
    )
    shown, _ = status.communicate(timeout=60)
    watchful.hosts["w1"].heal()
    told = watchful.torc("remote", "stop", workflow, "--force")

    assert process.returncode == 1, out + err
    assert '"status":"unreachable"' in out.replace(" ", "")
    assert "no sign of life" in out
    assert seconds < 30
    assert '"status":"unreachable"' in shown.replace(" ", "")
    assert '"status":"running"' in shown.replace(" ", "")
    assert told.count("[OK]") == 2


def test_a_host_that_vanishes_while_its_worker_is_started_is_told_and_found_again(
    watchful: Any, until: Any
) -> None:
    workflow = str(watchful.prepared("sleep 600", "w3"))
    env = {"TORC_CLIENT__REMOTE__CONNECT_TIMEOUT_SECS": "2"}

    process = watchful.popen("-f", "json", "remote", "run", workflow, env=env)
    until(lambda: watchful.workers_on("w3", int(workflow)))
    watchful.hosts["w3"].cut()
    out, err = process.communicate(timeout=120)
    watchful.hosts["w3"].heal()
    again = watchful.answer("remote", "run", workflow, code=[0, 3])["results"][0]

    assert process.returncode == 1, out + err
    assert "whether a worker runs there is not known, ask with 'torc remote status'" in out
    assert watchful.workers_on("w3", int(workflow)) == [again["pid"]]


def test_a_host_that_only_ssh_cannot_reach_is_told_from_one_that_is_dead(desk: Any, until: Any) -> None:
    workflow = started(desk, "sleep 600", on="w5")
    desk.hosts["w5"].stop_listening()

    (shown,) = desk.answer("remote", "status", workflow, code=1)["items"]

    assert shown["status"] == "unreachable"
    assert "Connection refused" in shown["note"]
    assert "s ago: the worker lives, the way from here to it does not" in shown["note"]
