"""One process owns a database file: others wait for it, or are told where to go."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, until
from torc_core.errors import Owned, Unavailable
from torc_core.model import Query, Workflow
from torc_core.testing.plans import diamond
from torc_sql.store import SqlStore
from torc_sqlite.owner import Owner, boot_id, process_start

Open = Callable[..., SqlStore]

OTHER = """
    import sys
    from torc_core.system import SystemClock
    from torc_core.testing.plans import diamond
    from torc_sql.store import SqlStore
    from torc_sqlite.database import SqliteDatabase
    from torc_sqlite.settings import SqliteSettings

    clock = SystemClock()
    store = SqlStore(SqliteDatabase(sys.argv[1], SqliteSettings(), clock, patience=60.0), clock)
    store.create(diamond(), "ann")
    if "serve" in sys.argv:
        store.publish({"socket": "/run/torc.sock"})
    print("ready", flush=True)
    sys.stdin.read()
    if "crash" in sys.argv:
        import os
        os._exit(9)
    store.close()
"""


class Other:
    """Another process that has the database, until it is let go."""

    def __init__(self, path: Path, *how: str) -> None:
        command = [sys.executable, "-c", textwrap.dedent(OTHER), str(path), *how]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self) -> None:
        """Let it end."""
        self.process.communicate()


def test_who_serves_the_database_is_named_at_once(opened: Open, path: Path) -> None:
    other = Other(path, "serve")
    try:
        with pytest.raises(Owned, match="is in use by process") as told:
            opened(patience=60.0)
    finally:
        other.end()

    assert told.value.address["socket"] == "/run/torc.sock"
    assert str(other.process.pid) in str(told.value)


def test_a_database_has_one_owner_whatever_it_is_called(opened: Open, path: Path) -> None:
    store = opened()
    store.create(diamond(), "ann")
    store.close()
    link = path.parent.parent / "link.db"
    link.symlink_to(path)
    other = Other(link, "serve")

    with pytest.raises(Owned):
        opened()

    other.end()
    assert not list(path.parent.parent.glob("link.db?*"))


def test_another_short_command_is_waited_for(opened: Open, path: Path) -> None:
    other = Other(path)
    ending = subprocess.Popen(["sleep", "0.2"])

    def end() -> None:
        ending.wait()
        other.end()

    import threading

    thread = threading.Thread(target=end)
    thread.start()
    found = opened(patience=PATIENCE).find(Workflow, Query())
    thread.join()

    assert found.total == 1


def test_the_wait_has_an_end(opened: Open, path: Path) -> None:
    other = Other(path)
    try:
        with pytest.raises(Owned, match="in use by another command") as told:
            opened(patience=0.1)
    finally:
        other.end()

    assert told.value.address == {}


def test_a_crashed_owner_is_in_nobodys_way(opened: Open, path: Path) -> None:
    other = Other(path, "serve", "crash")
    other.end()

    assert path.with_name("torc.db.server.json").exists()
    assert opened().find(Workflow, Query()).total == 1
    assert not path.with_name("torc.db.server.json").exists()


def test_the_owner_file_says_who_and_where_to_its_user_alone(opened: Open, path: Path) -> None:
    store = opened()

    store.publish({"socket": "/run/torc.sock"})

    file = path.with_name("torc.db.server.json")
    content = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert content.keys() == {
        "schema", "url", "socket", "host", "internal_host", "port", "pid", "boot_id", "process_start", "version",
        "api_version", "key_file", "started_at",
    }  # fmt: skip
    assert content["schema"] == "torc.owner/1"
    assert content["pid"] == os.getpid()
    assert content["process_start"] == process_start(os.getpid()) > 0
    assert content["boot_id"] == boot_id() != ""
    store.close()
    assert not file.exists()


def test_an_owner_file_that_others_can_write_is_not_believed(path: Path) -> None:
    path.parent.mkdir()
    holder = Owner(path)
    holder.take()
    holder.publish({"socket": "/run/torc.sock"})
    path.with_name("torc.db.server.json").chmod(0o644)

    with pytest.raises(Unavailable, match="not only yours"):
        Owner(path).take()

    holder.release()


def test_an_owner_file_of_a_process_that_is_gone_is_not_believed(path: Path) -> None:
    path.parent.mkdir()
    holder = Owner(path)
    holder.take()
    holder.publish({"socket": "/run/torc.sock"})
    file = path.with_name("torc.db.server.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"process_start": 1}))

    with pytest.raises(Owned, match="another command"):
        Owner(path, patience=0.05).take()

    holder.release()


def test_a_process_that_has_ended_owns_nothing_though_nobody_waited_for_it() -> None:
    with subprocess.Popen(["sleep", "600"]) as ended:
        started = process_start(ended.pid)
        ended.kill()
        until(lambda: f"{ended.pid} (sleep) Z" in Path(f"/proc/{ended.pid}/stat").read_text())

        assert (started > 0, process_start(ended.pid)) == (True, 0)


def test_a_symbolic_link_is_not_followed(opened: Open, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("torc.db.lock").symlink_to(path.parent / "elsewhere")

    with pytest.raises(Unavailable, match="lock file"):
        opened().create(diamond(), "ann")

    assert not (path.parent / "elsewhere").exists()


def test_two_processes_that_create_the_file_at_once_both_succeed(opened: Open, path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(OTHER), str(path)]
    both = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for _ in range(2)]

    codes = [process.wait() for process in both]

    for process in both:
        assert process.stdout is not None
        process.stdout.close()
    assert codes == [0, 0]
    assert opened().find(Workflow, Query()).total == 2
