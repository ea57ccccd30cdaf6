"""How a server begins and ends: on a port it had, on an older database, in memory, after one that was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, SOON

LARGE = 2 * 1024**3


def operations(account: Any, url: str) -> list[tuple[str, str]]:
    """Names and objects of what was written down."""
    listed = account.answer("admin", "audit", "list", TORC_API_URL=url)["items"]
    return [(one["operation"], one["object"]) for one in listed]


def memory_of(pid: int) -> int:
    """Bytes that a process has had in memory at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_port_that_was_this_servers_is_waited_for(account) -> None:
    first = account.serve("--port", str(free_port()))
    first.stop()
    squatter = socket.create_server(("127.0.0.1", first.port), reuse_port=False)
    threading.Timer(1.5, squatter.close).start()

    second = account.serve("--port", str(first.port))

    assert second.url == first.url


def test_a_port_of_somebody_else_is_refused_at_once(account) -> None:
    account.serve().stop()
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        began = time.monotonic()

        told = account.torc("server", "run", "--database", str(account.database), "--port", str(port), code=4)

    assert time.monotonic() - began < SOON
    assert str(port) in told
    assert "--port auto" in told


def test_a_host_that_is_not_this_one_is_refused_with_those_that_are(account) -> None:
    told = account.torc("server", "run", "--database", str(account.database), "--host", "192.0.2.1", code=2)

    assert "is no address of this host" in told
    assert "'0.0.0.0' for all" in told
    assert os.uname().nodename in told


def test_a_server_in_memory_leaves_nothing(account) -> None:
    server = account.popen("server", "run", "--database", ":memory:", "--port", "0")
    assert server.stdout is not None
    server.stdout.readline()
    url = server.stdout.readline().partition("=")[2].strip()
    spec = account.spec("one", [{"name": "a", "command": "true"}])
    account.torc("run", spec, TORC_API_URL=url)
    folders = list((account.root / "run").glob("torc-*"))

    server.send_signal(signal.SIGTERM)

    assert server.wait(PATIENCE) == 0
    assert [path for path in folders if path.exists()] == []
    assert list((account.root / "run").glob("torc-*")) == []
    assert list((account.root / ".config/torc/servers").glob("*.json")) == []
    assert not (account.root / ":memory:").exists()
    assert not account.database.exists()


def test_an_older_database_is_brought_up_and_kept_as_it_was(account) -> None:
    first = resources.files("torc_sql.migrations").joinpath("0001.sql").read_text()
    account.database.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(account.database)) as database:
        database.executescript(first)
        database.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', '1')")
        database.commit()
    account.database.chmod(0o600)

    server = account.serve()
    spec = account.spec("one", [{"name": "a", "command": "true"}])
    account.torc("run", spec, TORC_API_URL=server.url)

    (kept,) = account.database.parent.glob("torc.db.before-*")
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as before:
        (schema,) = before.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    assert int(kept.suffix.rpartition("-")[2]) == int(schema) + 1


def test_a_newer_database_is_refused_with_both_numbers(account) -> None:
    account.serve().stop()
    with closing(sqlite3.connect(account.database)) as database:
        database.execute("UPDATE meta SET value = '999' WHERE name = 'schema'")
        database.commit()

    told = account.torc("server", "run", "--database", str(account.database), "--port", "0", code=4)

    assert "has schema 999, and this torc knows schemas up to" in told


def test_a_database_that_ran_open_does_not_again_by_itself(account) -> None:
    account.serve("--auth", "none").stop()

    server = account.serve()
    server.process.send_signal(signal.SIGTERM)
    _, told = server.process.communicate(timeout=PATIENCE)

    assert "was served with --auth none before" in told


def test_a_server_after_one_that_was_killed_says_whom_it_follows(account) -> None:
    first = account.serve()
    first.stop(signal.SIGKILL)

    second = account.serve()

    assert (
        "lease_taken_over",
        f"process {first.process.pid} on {os.uname().nodename}",
    ) in operations(account, second.url)


def test_a_server_whose_database_was_taken_over_ends_and_leaves_the_other_alone(account) -> None:
    server = account.serve()
    with closing(sqlite3.connect(account.database, timeout=PATIENCE)) as other:
        other.execute("UPDATE server_lease SET epoch = epoch + 1, host = 'n7', pid = 4242")
        other.commit()
    owner = account.database.with_name("torc.db.server.json")
    owner.write_text(json.dumps({**json.loads(owner.read_text()), "host": "n7", "pid": 4242}))

    account.torc(
        "create", account.spec("one", [{"name": "a", "command": "true"}]), TORC_API_URL=server.url, code=4
    )
    _, told = server.process.communicate(timeout=PATIENCE)

    assert server.process.returncode == 4
    assert "another process has taken the database over" in told
    assert json.loads(owner.read_text())["host"] == "n7"


def test_a_server_that_was_stopped_was_not_taken_over(account) -> None:
    account.serve().stop()

    second = account.serve()

    assert "lease_taken_over" not in {name for name, _ in operations(account, second.url)}


def test_ten_thousand_requests_come_on_one_connection(account) -> None:
    server = account.serve()
    count = int(os.environ.get("TORC_TEST_REQUESTS", "1000"))

    with closing(HTTPConnection("127.0.0.1", server.port, timeout=SOON)) as client:
        client.connect()
        first = client.sock
        for _ in range(count):
            client.request("GET", "/torc-service/v1/ping")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')

        assert client.sock is first


@pytest.mark.parametrize("route", ["/workflows", "/bulk_jobs", "/x/plans"])
def test_two_gibibytes_are_refused_before_they_are_read(account, route: str) -> None:
    server = account.serve("--auth", "none")
    before = memory_of(server.process.pid)

    with socket.create_connection(("127.0.0.1", server.port), timeout=SOON) as connection:
        head = f"POST /torc-service/v1{route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\n\r\n"
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 64 * 1024**2:
                sent += connection.send(b" " * 65_536)
        except (ConnectionError, TimeoutError):
            pass
        try:
            told = connection.recv(4_096)
        except ConnectionError:
            told = b""

    assert told.startswith(b"HTTP/1.1 413 ") or sent < 64 * 1024**2
    assert memory_of(server.process.pid) - before < 32 * 1024**2
