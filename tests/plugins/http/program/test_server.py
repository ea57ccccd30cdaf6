"""`torc-server` as its users meet it: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, SOON, until
from torc_core.runner.place import process_start
from torc_http.program.daemon import write_pid
from torc_terminal import schemas


def ping(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/ping", timeout=SOON) as answer:
        return json.loads(answer.read())


def key_of(account: Any) -> tuple[str, str]:
    (path,) = (account.root / ".config/torc/servers").glob("*.json")
    told = json.loads(path.read_text())
    return told["key_id"], told["key"]


def modes(root: Path) -> set[str]:
    """Every file or folder below that others may read or write."""
    found = set()
    for path in root.rglob("*"):
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077:
            found.add(str(path.relative_to(root)))
    return found


def test_a_server_says_where_it_is_and_ends_orderly(account) -> None:
    server = account.serve()

    assert ping(server.url) == {"status": "ok"}
    assert server.url == f"http://127.0.0.1:{server.port}/torc-service/v1"
    assert (account.root / "data/torc.db.server.json").exists()

    assert server.stop() == 0
    assert not (account.root / "data/torc.db.server.json").exists()


def test_what_a_server_makes_is_for_its_user_alone(account) -> None:
    os.umask(os.umask(0) | 0)
    server = account.serve("--log-dir", "logs", preexec_fn=lambda: os.umask(0) and None)
    ping(server.url)

    assert modes(account.root) == set()


def test_a_second_server_is_refused_at_once(account) -> None:
    first = account.serve()
    began = time.monotonic()

    told = account.torc("server", "run", "--database", str(account.database), "--port", "0", code=4)

    assert time.monotonic() - began < SOON
    assert f"process {first.process.pid}" in told
    assert "stop it first" in told


def test_a_port_that_is_taken_leaves_no_database_behind(account) -> None:
    first = account.serve()
    other = account.root / "other/new.db"

    told = account.torc("server", "run", "--database", str(other), "--port", str(first.port), code=4)

    assert str(first.port) in told
    assert list(other.parent.glob("*")) == []


def test_commands_on_the_database_go_through_its_server(account) -> None:
    account.serve()
    spec = account.spec("one", [{"name": "a", "command": "true"}])

    account.torc("--db", str(account.database), "create", spec)

    assert account.answer("--db", str(account.database), "workflows", "list")["count"] == 1


def test_commands_with_an_address_are_the_same(account) -> None:
    server = account.serve()
    spec = account.spec("one", [{"name": "a", "command": "echo hello"}, {"name": "b", "command": "false"}])

    account.torc("run", spec, code=1, TORC_API_URL=server.url)

    listed = account.answer("results", "list", "last", TORC_API_URL=server.url)
    assert {row["job_name"]: row["return_code"] for row in listed["items"]} == {"a": 0, "b": 1}
    assert account.answer("--url", server.url, "status", "last")["is_complete"]


def test_jobs_speak_to_the_server_that_gave_them(account) -> None:
    server = account.serve()
    command = "python3 -c \"import os,urllib.request as u; print(u.urlopen(os.environ['TORC_API_URL']+'/workflows/1').read().decode())\""
    spec = account.spec("one", [{"name": "a", "command": command}])

    account.torc("run", spec, TORC_API_URL=server.url)

    (out,) = (account.root / "torc_output/job_stdio").glob("*.o")
    assert json.loads(out.read_text())["name"] == "one"


def test_jobs_of_a_run_without_a_server_speak_to_the_run(account) -> None:
    command = "python3 -c \"import os,urllib.request as u; print(u.urlopen(os.environ['TORC_API_URL']+'/workflows/1').read().decode())\""
    spec = account.spec("one", [{"name": "a", "command": command}])

    account.torc("run", spec)

    (out,) = (account.root / "torc_output/job_stdio").glob("*.o")
    assert json.loads(out.read_text())["name"] == "one"


def test_a_restart_keeps_address_and_key(account) -> None:
    first = account.serve("--port", str(free_port()))
    key = key_of(account)
    first.stop()

    second = account.serve("--port", str(first.port))

    assert second.url == first.url
    assert key_of(account) == key


def test_after_a_kill_the_next_server_needs_no_help(account) -> None:
    first = account.serve("--port", str(free_port()))
    first.stop(signal.SIGKILL)

    second = account.serve("--port", str(first.port))

    assert ping(second.url) == {"status": "ok"}


def test_a_backup_is_made_while_the_server_serves(account) -> None:
    server = account.serve()
    spec = account.spec("one", [{"name": "a", "command": "true"}])
    account.torc("run", spec, TORC_API_URL=server.url)

    account.torc("server", "backup", "copy.db", "--database", str(account.database), "--verify")

    with closing(sqlite3.connect(account.root / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM result").fetchone() == (1,)
    assert ping(server.url) == {"status": "ok"}


def test_older_backups_are_numbered(account) -> None:
    account.serve().stop()
    for _ in range(4):
        account.torc("server", "backup", "copy.db", "--database", str(account.database), "--keep", "2")

    assert sorted(path.name for path in account.root.glob("copy.db*")) == [
        "copy.db",
        "copy.db.1",
        "copy.db.2",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["torc.db"], ["link.db"], ["torc.db-wal"], ["torc.db.lock"],
        ["copy.db", "--database", "copy.db.1", "--keep", "2"],
    ],
)  # fmt: skip
def test_a_backup_never_takes_the_place_of_the_database(account, words: list[str]) -> None:
    account.torc("workflows", "new", "--name", "kept", "--db", "torc.db")
    named = words if "--database" in words else [*words, "--database", "torc.db"]
    (account.root / "link.db").symlink_to("torc.db")
    (account.root / "copy.db.1").write_bytes((account.root / "torc.db").read_bytes())
    before = (account.root / "torc.db").stat().st_ino, (account.root / "copy.db.1").read_bytes()

    told = account.torc("server", "backup", *named, code=2)

    assert "belongs to the database itself; name another file" in told
    assert ((account.root / "torc.db").stat().st_ino, (account.root / "copy.db.1").read_bytes()) == before


def test_a_backup_keeps_no_negative_number_of_copies(account) -> None:
    account.torc("workflows", "new", "--name", "kept", "--db", "torc.db")

    told = account.torc("server", "backup", "copy.db", "--database", "torc.db", "--keep", "-1", code=2)

    assert "--keep '-1' is negative" in told


def test_the_database_of_every_other_command_is_that_of_the_server_too(account) -> None:
    account.torc("workflows", "new", "--name", "kept", "--db", "mine.db")

    told = account.torc("server", "backup", "copy.db", "--db", "mine.db")

    assert told == f"copied '{account.root}/mine.db' to '{account.root}/copy.db'\n"
    assert "two databases are named" in account.torc(
        "server", "status", "--db", "mine.db", "--database", "other.db", code=2
    )


def test_a_signal_has_a_backup_made(account) -> None:
    server = account.serve("--backup-dir", "backups")

    server.process.send_signal(signal.SIGUSR1)

    account.until(lambda: list((account.root / "backups").glob("torc-*Z.db")))


def test_a_daemon_outlives_its_terminal_and_is_stopped_by_name(account) -> None:
    said = account.torc("server", "run", "--database", str(account.database), "--port", "0", "--daemon")
    url = said.splitlines()[1].partition("=")[2]
    pid = int((account.root / "data/torc.db.pid").read_text())

    assert ping(url) == {"status": "ok"}
    told = account.answer("server", "status", "--database", str(account.database))
    assert told["pid"] == pid
    jsonschema.validate(told, schemas.load("torc.server.status/1"))
    assert (account.root / "data/torc-server.log").exists()

    account.torc("server", "stop", "--database", str(account.database))
    assert process_start(pid) is None
    assert not (account.root / "data/torc.db.pid").exists()


def test_a_server_that_nobody_waits_for_has_ended_all_the_same(account) -> None:
    """Where the first process of a container waits for none of its children, it stays in the list of processes."""
    server = account.serve()

    account.torc("server", "stop", "--database", str(account.database))

    assert os.path.exists(f"/proc/{server.process.pid}")
    assert "nobody serves" in account.torc("server", "status", "--database", str(account.database), code=1)


def test_a_pid_file_of_a_process_that_has_ended_is_nobodys(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    until(lambda: process_start(ended.pid) is None)
    (tmp_path / "pid").write_text(f"{ended.pid}\n")

    write_pid(tmp_path / "pid")

    assert int((tmp_path / "pid").read_text()) == os.getpid()
    ended.wait()


def test_a_daemon_that_cannot_start_says_why(account) -> None:
    account.serve()

    told = account.torc(
        "server", "run", "--database", str(account.database), "--port", "0", "--daemon", code=4
    )

    assert "in use by process" in told


def test_log_lines_can_be_json(account) -> None:
    server = account.serve("--json-logs", "--log-dir", "logs", "--log-level", "debug")
    ping(server.url)
    server.stop()

    lines = (account.root / "logs/torc-server.log").read_text().splitlines()
    assert lines
    assert all({"time", "level", "logger", "message"} <= json.loads(line).keys() for line in lines)


def test_a_server_can_end_with_its_input(account) -> None:
    server = account.serve("--shutdown-on-stdin-eof", stdin=subprocess.PIPE)
    server.process.stdin.close()
    server.process.stdin = None

    assert server.process.wait(PATIENCE) == 0


def test_a_server_can_end_when_nothing_is_left_to_do(account) -> None:
    server = account.serve("--idle-exit", "1s")

    assert server.process.wait(PATIENCE) == 0


def test_the_configuration_of_the_deployment_page_is_taken(account) -> None:
    folder = account.root / ".config/torc"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.toml").write_text(
        f"""
[server]
# Use internal hostname for compute node access
host = "{os.uname().nodename}"
port = 0
database = "{account.database}"
threads = 4
completion_check_interval_secs = 30.0
log_level = "info"

[server.logging]
log_dir = "{account.root}/logs"
"""
    )
    process = account.popen("server", "run")
    assert process.stdout is not None
    port = process.stdout.readline().partition("=")[2].strip()
    url = process.stdout.readline().partition("=")[2].strip()

    assert url == f"http://{os.uname().nodename}:{port}/torc-service/v1"
    assert ping(url) == {"status": "ok"}
    assert (account.root / "logs/torc-server.log").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--port", "many"], 2, "port 'many' is not a number"),
        (["--host", "no.such.host.here"], 2, "host 'no.such.host.here' is not known here"),
        (["--auth", "maybe"], 2, "--auth is auto, credentials or none, not 'maybe'"),
        (["--auth", "none", "--require-auth"], 2, "contradict each other"),
        (["--auth", "none", "--enforce-access-control"], 2, "--enforce-access-control does not; leave one of them out"),
        (["--idle-exit", "soon"], 2, "--idle-exit 'soon' is no duration"),
        (["--idle-exit", "-5"], 2, "--idle-exit '-5' is out of range; give 0 s or more"),
        (["--backup-every", "0", "--backup-dir", "b"], 2, "--backup-every '0' is out of range; give 1 s or more"),
        (["--backup-every", "nan", "--backup-dir", "b"], 2, "--backup-every 'nan' is out of range"),
        (["--pid-file", "/no/pid"], 4, "pid file '/no/pid' cannot be written: no folder '/no'"),
        (["--backup-every", "x", "--backup-dir", "b"], 2, "--backup-every 'x' is no duration"),
        (["--log-dir", "/proc/no"], 4, "log folder '/proc/no' cannot be written to"),
        (["--https", "--tls-cert", "a"], 2, "--tls-cert and --tls-key belong together"),
        (["--log-level", "loud"], 2, "loud"),
        (["--auth-file", "no.such.file"], 5, "there is no password file 'no.such.file'"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_sentence(account, words: list[str], code: int, sentence: str) -> None:
    told = account.torc("server", "run", "--database", str(account.database), *words, code=code)

    assert sentence in told
    assert "Traceback" not in told
    assert not account.database.parent.exists() or not any(account.database.parent.iterdir())


def test_a_signal_has_the_stacks_of_all_threads_written_to_the_log(account) -> None:
    server = account.serve("--log-dir", "logs")
    ping(server.url)
    path = account.root / "logs/torc-server.log"

    server.process.send_signal(signal.SIGUSR2)

    wanted = ("stack thread=torc-sweep", "stack thread=MainThread")
    account.until(lambda: all(one in path.read_text() for one in wanted))
    assert ping(server.url) == {"status": "ok"}


def test_every_request_is_a_line_in_the_log(account) -> None:
    server = account.serve("--log-dir", "logs")
    account.torc("workflows", "list", TORC_API_URL=server.url)
    server.stop()

    lines = (account.root / "logs/torc-server.log").read_text().splitlines()
    (line,) = [line for line in lines if "route=/x/store/find" in line]
    assert "request user=owner:ada peer=127.0.0.1 method=POST" in line
    assert " status=200 ms=" in line
