"""From the first `add-workers` to the collected logs, with real hosts (`remote.md` §14)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from torc_terminal import schemas

THREE = ("w1", "w2", "w3")


def valid(document: Any) -> Any:
    import jsonschema

    jsonschema.validate(document, schemas.load(document["schema"]))
    return document


def test_the_typical_use(desk: Any, until: Any) -> None:
    workflow = desk.workflow(*(f"echo out {number}; hostname" for number in range(8)))

    added = desk.torc("remote", "add-workers", str(workflow), *THREE)
    listed = valid(desk.answer("remote", "list-workers", str(workflow)))
    started = desk.torc("remote", "run", str(workflow), "--num-cpus", "2")
    desk.until_complete(workflow)
    until(lambda: not any(desk.workers_on(one) for one in THREE))
    status = valid(desk.answer("remote", "status", str(workflow)))
    collected = valid(desk.answer("remote", "collect-logs", str(workflow), "-l", "typical", "--extract"))

    assert added.startswith(f"Added 3 worker(s) to workflow {workflow}:\n  w1\n  w2\n  w3")
    assert [one["state"] for one in listed["items"]] == ["never started"] * 3
    assert listed["items"][2]["resolved"]["port"] == desk.hosts["w3"].port
    assert "Started 3/3 workers" in started
    assert desk.counts(workflow)["completed"] == 8
    assert [one["status"] for one in status["items"]] == ["not running"] * 3
    assert collected["collected"] == 3
    for one in THREE:
        archive = desk.root / f"typical/torc_logs_{workflow}_{one}.tar.gz"
        there = Path(desk.hosts[one].folder) / "home/dev/torc_output"
        with tarfile.open(archive) as packed:
            for member in packed:
                if member.name == ".torc-manifest.json":
                    continue
                file = packed.extractfile(member)
                assert file is not None
                content = file.read()
                assert (
                    hashlib.sha256(content).digest()
                    == hashlib.sha256((there / member.name).read_bytes()).digest()
                )
                assert (desk.root / "typical" / one / member.name).read_bytes() == content


def test_status_stop_and_delete(desk: Any, until: Any) -> None:
    workflow = str(desk.workflow(*["sleep 600"] * 4))
    desk.torc("remote", "add-workers", workflow, *THREE)
    started = valid(desk.answer("remote", "run", workflow, "--num-cpus", "1", "-o", "out"))
    again = desk.torc("remote", "run", workflow, code=3)

    until(lambda: desk.counts(int(workflow))["running"] == 3)
    running = valid(desk.answer("remote", "status", workflow))
    refused = valid(desk.answer("remote", "delete-logs", workflow, "--yes", code=3))
    kept = valid(desk.answer("remote", "collect-logs", workflow, "--delete", code=3))
    stopped = valid(desk.answer("remote", "stop", workflow, "--hosts", "w1,w2"))
    forced = valid(desk.answer("remote", "stop", workflow, "--force"))
    counts = desk.counts(int(workflow))
    asked = desk.torc("remote", "delete-logs", workflow, code=3)
    deleted = valid(desk.answer("remote", "delete-logs", workflow, "--yes"))
    gone = desk.torc("remote", "collect-logs", workflow)

    assert [one["status"] for one in started["results"]] == ["started"] * 3
    assert all(one["compute_node_id"] for one in started["results"])
    assert again.count("Already running (PID ") == 3
    assert [(one["status"], one["jobs_running"]) for one in running["items"]] == [("running", 1)] * 3
    assert [one["pid"] for one in running["items"]] == [one["pid"] for one in started["results"]]
    assert [one["status"] for one in refused["results"]] == ["running"] * 3
    assert [one["status"] for one in kept["results"]] == ["running"] * 3
    assert [(one["status"], one["jobs_terminated"]) for one in stopped["results"]] == [("stopped", 1)] * 2
    assert [one["status"] for one in forced["results"]] == ["not_running", "not_running", "stopped"]
    assert (counts["terminated"], counts["failed"], counts["running"]) == (2, 1, 0)
    assert "?' needs an answer" in asked
    assert [one["status"] for one in deleted["results"]] == ["deleted"] * 3
    assert gone.count("No logs found") == 3
    assert not any(desk.workers_on(one) for one in THREE)


def test_everything_collected_is_deleted_and_nothing_else(desk: Any, until: Any) -> None:
    workflow = str(desk.workflow("echo one", "echo two"))
    desk.torc("remote", "add-workers", workflow, "w1")
    desk.torc("remote", "run", workflow, "--wait", "--timeout", "60s")
    until(lambda: not desk.workers_on("w1"))
    home = Path(desk.hosts["w1"].folder) / "home/dev"
    (home / "torc_output/own.txt").write_text("mine")

    told = valid(desk.answer("remote", "collect-logs", workflow, "--delete"))

    (one,) = told["results"]
    assert (one["deleted"], one["stayed"]) == (one["files"], [])
    assert sorted(path.name for path in (home / "torc_output").iterdir() if path.suffix != ".pid") == [
        ".torc-output", "own.txt",
    ]  # fmt: skip


def test_a_full_disk_here_deletes_nothing_there(desk: Any, until: Any) -> None:
    workflow = str(desk.workflow("head -c 400000 /dev/urandom"))
    desk.torc("remote", "add-workers", workflow, "w1")
    desk.torc("remote", "run", workflow, "--wait", "--timeout", "60s")
    until(lambda: not desk.workers_on("w1"))
    before = sorted(desk.output("w1").rglob("*"))
    tiny = desk.root / "tiny"
    tiny.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tiny", str(tiny)], check=True)
    try:
        told = valid(desk.answer("remote", "collect-logs", workflow, "--delete", "-l", "tiny", code=1))
        left = [path.name for path in tiny.glob("torc_logs_*")]
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)

    (one,) = told["results"]
    assert one["message"].endswith(".tar.gz.part': no space left on device")
    assert all(name.endswith(".part") for name in left)
    assert sorted(desk.output("w1").rglob("*")) == before


def test_a_remote_check_of_hosts_of_every_kind(desk: Any) -> None:
    workflow = str(desk.workflow("true"))
    names = ("beta", "six", "noisy", "tight", "inner", "slow", "refused", "closed")
    desk.torc("remote", "add-workers", workflow, *names, "--skip-ssh-check")

    told = valid(desk.answer("remote", "check", workflow, code=1))
    table = desk.torc("remote", "check", workflow, "--hosts", "beta,inner,refused", code=1)

    found = {one["worker"]: one for one in told["items"]}
    assert [name for name in names if found[name]["fit"]] == [
        "beta",
        "six",
        "noisy",
        "tight",
        "inner",
        "slow",
    ]
    assert found["beta"]["reach"]["ok"] is True
    assert found["inner"]["reach"]["ok"] is False
    assert "Connection refused" in found["refused"]["message"]
    assert "Permission denied (publickey)" in found["closed"]["message"]
    assert "\nrefused: SSH connection failed to refused: Connection refused\n2/3 workers are fit" in table
    assert "\ninner: cannot reach the server: " in table


def test_all_or_none_and_the_best_that_can_be(desk: Any) -> None:
    workflow = str(desk.workflow("sleep 600"))
    added = desk.torc("remote", "add-workers", workflow, "w1", "refused", code=1)
    desk.torc("remote", "add-workers", workflow, "refused", "closed", "--skip-ssh-check")

    none = desk.torc("remote", "run", workflow, code=1)
    some = valid(desk.answer("remote", "run", workflow, "--best-effort", code=1))

    assert (
        "Error: SSH connectivity check failed for 1 worker(s):\n  refused: SSH connection failed to refused"
        in added
    )
    assert "Error: SSH connectivity check failed for 2 worker(s):" in none
    assert "try: ssh refused true" in none
    assert [one["status"] for one in some["results"]] == ["started", "unreachable", "unreachable"]
    assert len(desk.workers_on("w1")) == 1


def test_workers_without_torc_or_with_another_version_are_named(desk: Any, tmp_path: Path) -> None:
    workflow = str(desk.workflow("true"))
    home = Path(desk.hosts["w2"].folder) / "home/dev"
    old = home / "old-torc"
    old.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'torc 0.6.5 (abc)' || { echo 'no such command' >&2; exit 2; }\n"
    )
    old.chmod(0o755)
    desk.torc("remote", "add-workers", workflow, "w2")

    older = desk.torc("remote", "run", workflow, code=1, TORC_CLIENT__REMOTE__TORC_COMMAND="~/old-torc")

    assert "Error: Version check failed on 1 worker(s):" in older
    assert "w2: torc on w2 is too old (0.6.5) for 'remote run'; install" in older
    assert "install the same version on all machines" in older
    assert not desk.workers_on("w2")
    assert json.loads((desk.root / "w.json").read_text())["name"] == "w"
