"""The page "Remote Workers", section by section and with its commands; its machines are hosts of these tests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torc_core import __version__

PAGE = """\
# Lines starting with # are comments
# Format: [user@]hostname[:port]

# Simple hostname
worker1.example.com

# With username
alice@worker2.example.com

# With custom SSH port
admin@192.168.1.10:2222

# IPv4 address
10.0.0.5

# IPv6 address (must be in brackets for port specification)
[2001:db8::1]
[::1]:2222
"""

NAMES = {"worker1.example.com": "w1", "worker2.example.com": "w2", "192.168.1.10": "w3"}
WORKERS = ("worker1.example.com", "alice@worker2.example.com", "admin@192.168.1.10:2222")


@pytest.fixture
def page(desk: Any) -> Iterator[Any]:
    """The desk of the page's user: his names lead to hosts on which alice and admin have accounts."""
    entries = []
    for name, host in NAMES.items():
        address, port = desk.hosts.place(host)
        port = "" if host == "w3" else f"  Port {port}\n"
        entries.append(
            f"Host {name}\n  HostName {address}\n{port}  HostKeyAlias {desk.hosts.known_as(host)}\n"
        )
        accounts = Path(desk.hosts[host].folder) / "passwd"
        if "alice:" not in accounts.read_text():
            with accounts.open("a") as file:
                file.writelines(f"{user}:*:2001:2001::/home/dev:/bin/bash\n" for user in ("alice", "admin"))
    shutil.copy(desk.hosts.key, desk.root / ".ssh/worker_key")
    address, port = desk.hosts.place("w1")
    entries.append(
        f"Host worker1\n  HostName {address}\n  User alice\n  Port {port}\n  IdentityFile ~/.ssh/worker_key\n"
    )
    desk.configure("".join(entries))
    desk.number = desk.workflow(*["hostname"] * 3)
    return desk


def test_worker_file_format(page: Any) -> None:
    number = str(page.number)
    (page.root / "workers.txt").write_text(PAGE)

    page.torc("remote", "add-workers-from-file", "workers.txt", number, "--skip-ssh-check")
    items = page.answer("remote", "list-workers", number)["items"]
    (page.root / "twice.txt").write_text("node1\nnode2\nalice@node1\n")
    twice = page.torc("remote", "add-workers-from-file", "twice.txt", number, "--skip-ssh-check", code=2)

    assert [(one["user"], one["host"], one["port"]) for one in items] == [
        (None, "worker1.example.com", None), ("alice", "worker2.example.com", None), ("admin", "192.168.1.10", 2222),
        (None, "10.0.0.5", None), (None, "2001:db8::1", None), (None, "::1", 2222),
    ]  # fmt: skip
    assert "twice.txt:3: duplicate host 'node1' (first on line 1)" in twice


def test_worker_management(page: Any) -> None:
    number = str(page.number)

    added = page.torc("remote", "add-workers", number, *WORKERS)
    again = page.torc("remote", "add-workers", number, *WORKERS)
    removed = page.torc("remote", "remove-worker", "worker1.example.com", number)
    left = page.answer("remote", "list-workers", number)["items"]
    unnamed = page.torc("remote", "list-workers", code=2)

    assert added == f"Added 3 worker(s) to workflow {number}:\n" + "".join(f"  {one}\n" for one in WORKERS)
    assert again == f"All workers already exist for workflow {number}\n"
    assert removed == f"Removed worker worker1.example.com from workflow {number}\n"
    assert [one["worker"] for one in left] == list(WORKERS[1:])
    assert "no workflow id given and no terminal to ask on" in unnamed


def test_commands_and_typical_workflow(page: Any, until: Any) -> None:
    # Who starts last shall not find that all is done.
    page.number = page.workflow(*["sleep 4; hostname"] * 3)
    number = str(page.number)
    (page.root / "workers.txt").write_text("\n".join(WORKERS))
    out = ("--output-dir", "/tmp/data/torc_output")

    first = page.torc("remote", "run", number, "--workers", "workers.txt", *out, "--poll-interval", "10")
    page.until_complete(page.number)
    until(lambda: not any(page.workers_on(one) for one in NAMES.values()))
    later = page.torc("remote", "run", number, *out)
    status = page.torc("remote", "status", number)
    stopped = page.torc("remote", "stop", number)
    collected = page.torc("remote", "collect-logs", number, "-l", "./logs")
    with_deletion = page.torc("remote", "collect-logs", number, "--delete")
    deleted = page.torc("remote", "delete-logs", number, "--yes")

    assert "[OK] worker1.example.com: Started (PID " in first
    assert later == f"Workflow {number} is complete; nothing to run\n"
    assert status.splitlines()[0].split()[:3] == ["Host", "Status", "PID"]
    assert stopped.count("Not running") == 3
    assert (
        f"[OK] worker1.example.com: Saved to logs/torc_logs_{number}_worker1_example_com.tar.gz ("
        in collected
    )
    assert "Collected 3/3" in collected
    assert "and deleted" in with_deletion
    assert deleted.count("[OK]") == 3


def test_workers_survive_the_connection_and_exit_when_the_workflow_is_canceled(page: Any, until: Any) -> None:
    number = page.workflow("sleep 600")
    page.torc("remote", "add-workers", str(number), "worker1.example.com")
    page.torc("remote", "run", str(number))

    page.hosts["w1"].run("pkill", "-KILL", "-f", "^sshd: dev", check=False)
    status = page.answer("remote", "status", str(number))
    page.torc("cancel", str(number))
    until(lambda: not page.workers_on("w1"))

    assert status["items"][0]["status"] == "running"


def test_ssh_configuration(page: Any) -> None:
    number = str(page.number)
    page.known_hosts.unlink()

    page.torc("remote", "add-workers", number, "worker1")
    (item,) = page.answer("remote", "list-workers", number)["items"]

    assert item["resolved"]["user"] == "alice"
    assert item["resolved"]["identity_files"][0] == str(page.root / ".ssh/worker_key")
    assert page.hosts["w1"].key.split()[1] in page.known_hosts.read_text()  # accepted, and kept
    page.known_hosts.write_text(
        page.known_hosts.read_text().replace(page.hosts["w1"].key, page.hosts["w2"].key)
    )
    changed = page.torc("remote", "run", number, code=1)
    told = re.search(r"Host key verification failed \(key changed; known_hosts line (\d+):", changed)
    assert told is not None, changed
    # Others that are connected to write into the same file.
    assert page.hosts["w2"].key in page.known_hosts.read_text().splitlines()[int(told[1]) - 1]


def test_resource_monitoring(page: Any, until: Any) -> None:
    number = page.workflow(
        "sleep 1",
        resource_monitor_config={"enabled": True, "granularity": "time_series", "sample_interval_seconds": 1},
    )
    page.torc("remote", "add-workers", str(number), "worker1.example.com")
    page.torc("remote", "run", str(number), "--wait")
    until(lambda: not page.workers_on("w1"))

    page.torc("remote", "collect-logs", str(number), "--extract")

    (database,) = (page.root / "remote_logs/worker1_example_com/resource_utilization").glob("*.db")
    assert f"w1_{number}_" in database.name
    page.torc("plot-resources", str(database))


def test_troubleshooting(page: Any) -> None:
    number = str(page.number)

    none = page.torc("remote", "run", number, code=2)
    home = Path(page.hosts["w2"].folder) / "home/dev"
    (home / "torc").write_text("#!/bin/sh\necho 'torc 0.6.5'\n")
    (home / "torc").chmod(0o755)
    page.torc("remote", "add-workers", number, "alice@worker2.example.com")
    older = page.torc("remote", "run", number, code=1, TORC_CLIENT__REMOTE__TORC_COMMAND="~/torc")
    page.torc("remote", "add-workers", number, "games@worker1.example.com", "--skip-ssh-check")
    denied = page.torc("remote", "run", number, code=1)
    dead = page.torc(
        "remote", "run", number, "--hosts", "worker2.example.com", "--worker-url", "http://127.0.0.1:9",
        "--reverse-tunnel", "never", code=[1, 2],
    )  # fmt: skip

    assert (
        f"No workers configured for workflow {number}. Use 'torc remote add-workers' or '--workers' flag."
        in none
    )
    assert "Error: Version check failed on 1 worker(s):\n  alice@worker2.example.com: " in older
    assert "0.6.5" in older
    assert __version__ in older
    assert (
        "Error: SSH connectivity check failed for 1 worker(s):\n  games@worker1.example.com: SSH connection failed to "
    ) in denied
    assert "Permission denied (publickey)" in denied
    assert "http://127.0.0.1:9/torc-service/v1" in dead
    assert "--worker-url" in dead


def test_security_considerations(page: Any, until: Any) -> None:
    number = page.workflow("sleep 600")
    page.torc("remote", "add-workers", str(number), "worker1.example.com")
    page.torc("remote", "run", str(number))

    lines = page.hosts["w1"].run("ps", "-ww", "-eo", "args=")
    (key,) = (Path(page.hosts["w1"].folder) / "home/dev/.local/state/torc/workers").iterdir()

    assert page.url in lines
    assert key.read_text().split('"key": "')[1].partition('"')[0] not in lines
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.stat().st_uid != os.geteuid()
