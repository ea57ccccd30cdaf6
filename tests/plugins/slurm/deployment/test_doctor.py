"""`torc doctor`: each check with a server that is well, and with each thing that can be wrong."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torc_slurm.deployment import cluster, database, seeing, server
from torc_slurm.deployment.checks import Grade
from torc_terminal import schemas
from torc_terminal.internal_names import Candidate

BIN = Path(sys.executable).parent


def found(ran: Any) -> dict[str, dict[str, Any]]:
    jsonschema.validate(ran.json, schemas.load("torc.doctor/1"))
    return {one["id"]: one for one in ran.json["checks"]}


def test_a_fresh_account_is_well(torc: Any, home: Path) -> None:
    ran = torc("-f", "json", "doctor")

    checks = found(ran)
    assert set(checks) == {
        "server-up", "listen", "hostname", "api-url", "port", "multiplexer", "clock", "db-fs", "db-lock", "db-health",
        "db-room", "out-room", "backup", "slurm", "config",
    }  # fmt: skip
    assert ran.code == 0
    assert not (home / ".local").exists()


def test_settings_that_mean_nothing_and_secrets_that_others_read_are_told(
    torc: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORC_CLIENT__SLURM__RPC_PER_MINUT", "3")
    unknown = found(torc("-f", "json", "doctor"))["config"]
    (home / "token").write_text("secret")
    (home / "token").chmod(0o644)
    monkeypatch.setenv("TORC_CLIENT__TOKEN_FILE", str(home / "token"))
    ran = torc("-f", "json", "doctor")

    assert (unknown["status"], "RPC_PER_MINUT" in unknown["message"]) == ("WARN", True)
    assert unknown["remedy"] == "torc config validate"
    assert found(ran)["config"]["remedy"] == f"chmod 600 {home}/token"
    assert ran.code == 1


@pytest.fixture
def served(home: Path) -> Iterator[tuple[Path, str]]:
    """A real server on loopback alone, and its address."""
    path = home / "served.db"
    process = subprocess.Popen(
        [BIN / "torc-server", "run", "--database", path, "--port", "0", "--log-dir", home / "logs"], cwd=home, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    url = process.stdout.readline().strip().partition("=")[2]
    yield path, url
    process.terminate()
    process.communicate(timeout=60)


def test_a_server_that_is_well(torc: Any, served: tuple[Path, str], home: Path) -> None:
    path, url = served
    torc("--db", str(path), "workflows", "new", "-n", "x")

    checks = found(torc("-f", "json", "doctor", "--database", str(path)))

    assert checks["server-up"]["status"] == "OK"
    assert "answers in" in checks["server-up"]["message"]
    assert (checks["listen"]["status"], "127.0.0.1" in checks["listen"]["evidence"]) == ("WARN", True)
    assert checks["listen"]["remedy"] == "torc-server run --host auto"
    assert checks["port"]["message"].endswith("is the server's")
    assert "torc-server" in checks["db-lock"]["message"]
    assert checks["db-health"]["status"] in ("OK", "WARN")
    assert "the file is whole" in checks["db-health"]["message"]
    assert checks["clock"]["status"] == "OK"
    assert found(torc("-f", "json", "--url", url, "doctor"))["server-up"]["status"] == "OK"


def test_a_server_that_is_named_by_its_address_is_looked_at_with_its_database(
    torc: Any, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TORC_API_URL, as the deployment pages say, the server's own host took it for another one's."""
    path, url = served
    monkeypatch.setenv("TORC_API_URL", url)

    checks = found(torc("-f", "json", "doctor"))

    assert "torc-server" in checks["db-lock"]["message"]
    assert "the file is whole" in checks["db-health"]["message"]
    assert checks["db-room"]["message"].startswith(f"'{path.parent}'")
    assert checks["multiplexer"]["message"] != "no server runs on this host"
    assert "127.0.0.1" in checks["listen"]["evidence"]


def test_an_address_of_this_host_is_known_by_listening_on_it() -> None:
    assert seeing.is_here("127.0.0.1")
    assert seeing.is_here(socket.gethostname())
    assert not seeing.is_here("192.0.2.77")
    assert not seeing.is_here("no-such-host.invalid")


def test_a_server_that_was_killed(torc: Any, home: Path) -> None:
    path = home / "served.db"
    process = subprocess.Popen(
        [BIN / "torc-server", "run", "--database", path, "--port", "0", "--log-dir", home], cwd=home, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.kill()
    process.communicate()

    ran = torc("doctor", "--database", str(path))
    fixed = torc("-f", "json", "doctor", "--database", str(path), "--fix").json["fixed"]
    after = torc("-f", "json", "doctor", "--database", str(path))

    assert ran.code == 1
    assert "FAIL  server-up" in ran.out
    assert "does not answer: refused" in ran.out
    assert f"process {process.pid} has ended" in ran.out
    assert "torc-server" in ran.out and "log" in ran.out
    assert f"removed the stale owner file '{path}.server.json'" in fixed
    assert found(after)["server-up"]["status"] == "OK"


def test_an_address_nobody_answers_at(torc: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    ran = torc("-f", "json", "--url", f"http://127.0.0.1:{port}", "doctor")

    assert ran.code == 1
    assert "refused" in found(ran)["server-up"]["message"]
    unknown = torc("-f", "json", "--url", "http://no-such-host.invalid:8085", "doctor")
    assert "name not resolved" in found(unknown)["server-up"]["message"]


def test_a_port_that_somebody_else_has(torc: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        checks = found(torc("-f", "json", "--url", f"http://127.0.0.2:{port}", "doctor"))

    assert checks["port"]["status"] == "WARN"
    assert f"(pid {os.getpid()})" in checks["port"]["message"]
    assert checks["port"]["remedy"] == "torc-server run --port auto"


def test_addresses_that_differ(torc: Any, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = served
    monkeypatch.setenv("TORC_API_URL", "http://kl9:8085/torc-service/v1")

    checks = found(torc("-f", "json", "doctor", "--database", str(path)))

    assert checks["api-url"]["status"] == "WARN"
    assert "kl9" in checks["api-url"]["evidence"]


@pytest.mark.parametrize(
    ("kind", "grade"),
    [
        ("ext4", Grade.OK), ("xfs", Grade.OK), ("tmpfs", Grade.OK), ("nfs4", Grade.FAIL), ("cifs", Grade.FAIL),
        ("lustre", Grade.WARN), ("gpfs", Grade.WARN), ("beegfs", Grade.WARN), ("fuse.sshfs", Grade.FAIL),
    ],
)  # fmt: skip
def test_the_file_system_of_the_database(tmp_path: Path, kind: str, grade: Grade) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\n")

    check = database.file_system(tmp_path / "torc.db", mounts)

    assert check.grade is grade
    assert kind in check.message


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "torc.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE a (b)")
        connection.executemany("INSERT INTO a VALUES (?)", [("x" * 500,) for _ in range(500)])
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096:12000] = b"\0" * (12000 - 4096)
    path.write_bytes(content)

    assert database.health(path).grade is Grade.FAIL


def patient(
    home: Path, *, url: str | None = None, slurm: bool = True, database_: Path | None = None
) -> server.Patient:
    from torc_core.config import Config

    return server.Patient(config=Config.load(), database=database_, url=url, slurm=slurm)


def test_loopback_is_refused_where_there_is_slurm(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/torc-service/v1"

        check = server.listen(patient(home, url=url))

    assert (check.grade, check.remedy) == (Grade.FAIL, "torc-server run --host auto")


def test_an_external_name_is_warned_of_with_the_internal_one(home: Path) -> None:
    names = [
        Candidate(name="in.hsn.site", source="profile", address="10.0.0.1", interface="hsn0", rank=1),
        Candidate(
            name=os.uname().nodename, source="hostname -s", address="192.0.2.1", interface="eth0", rank=4
        ),
    ]

    check = server.hostname(patient(home, url=f"http://{os.uname().nodename}:8085"), names)

    assert check.grade is Grade.WARN
    assert "the internal name is 'in.hsn.site'" in check.message
    assert check.remedy == "torc-server run --host in.hsn.site"


WELL = {
    "resolved": "yes", "tcp": "reached", "ping": "HTTP/1.1 200 OK", "inode": "7", "writable": "yes", "key": "yes",
    "host": "n1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "n1 reaches http://kl3:8085/torc-service/v1"),
        ({"resolved": "no"}, "n1 does not know the name 'kl3'"),
        ({"tcp": "refused"}, "the server does not listen on that interface"),
        ({"tcp": "timed-out"}, "a firewall, or the wrong network"),
        ({"ping": ""}, "what answers is no torc server"),
        ({"inode": "8"}, "has another"),
        ({"writable": "no"}, "cannot write into"),
        ({"key": "no"}, "cannot read the server's key"),
        ({"torc": ""}, "finds no torc instead of"),
        ({"torc": "torc 0.0.9"}, "finds torc 0.0.9 instead of"),
    ],
)
def test_what_a_compute_node_tells(told: dict[str, str], said: str, tmp_path: Path) -> None:
    from torc_core import __version__

    all_of_it = {**WELL, "torc": f"torc {__version__}", **told}

    check = cluster.judged(
        all_of_it, "http://kl3:8085/torc-service/v1", https=False, inode=7, folder=tmp_path
    )

    assert said in check.message
    assert (check.grade is Grade.OK) == (told == {})
    assert told == {} or check.remedy


def test_sockets_are_found_as_the_kernel_lists_them(tmp_path: Path) -> None:
    four, six = tmp_path / "tcp", tmp_path / "tcp6"
    four.write_text(
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F95 00000000:0000 0A 0 0 0 0 0 1 1\n   1: 00000000:0050 00000000:0000 0A 0 0 0 0 0 2 1\n"
        "   2: 0300960A:1F95 0500960A:C000 01 0 0 0 0 0 3 1\n"
    )
    six.write_text("  sl\n   0: 00000000000000000000000001000000:1F95 0:0 0A 0 0 0 0 0 4 1\n")

    assert seeing.listeners(8085, (four, six)) == ["127.0.0.1", "::1"]


def test_backups_are_asked_for_while_something_is_at_stake(home: Path) -> None:
    calm, busy = (database.backup(patient(home), active=active) for active in (False, True))

    assert (calm.grade, busy.grade) == (Grade.OK, Grade.WARN)
    assert "--backup-dir" in (busy.remedy or "")


def test_rights_of_others_are_taken(torc: Any, home: Path) -> None:
    torc("workflows", "new", "-n", "x")
    path = home / ".local/share/torc/torc.db"
    path.chmod(0o644)

    fixed = json.loads(torc("-f", "json", "doctor", "--fix").out)["fixed"]

    assert f"took the rights of others from '{path}'" in fixed
    assert path.stat().st_mode & 0o077 == 0
