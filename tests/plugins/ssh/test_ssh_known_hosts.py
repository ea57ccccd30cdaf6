"""Files of host keys: what they say of a host, and how a new key comes into them."""

from __future__ import annotations

import base64
import fcntl
import stat
import threading
from pathlib import Path

import pytest

from torc_ssh.connection.library import known_hosts
from torc_ssh.connection.library.known_hosts import hash_of, known, known_as, remember

KEY = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIA==")
OTHER = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIB==")
TEXT = base64.b64encode(KEY).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("Worker1", 22, "worker1"),
        ("worker1", 2222, "[worker1]:2222"),
        ("::1", 22, "::1"),
        ("::1", 2222, "[::1]:2222"),
    ],
)
def test_a_host_is_known_by_name_and_port(host: str, port: int, name: str) -> None:
    assert known_as(host, port) == name


@pytest.mark.parametrize(
    ("hosts", "name", "speaks"),
    [
        ("worker1", "worker1", True), ("WORKER1", "worker1", True), ("a,worker1,b", "worker1", True),
        ("worker2", "worker1", False), ("*.example", "a.example", True), ("worker?", "worker1", True),
        ("*,!worker1", "worker1", False), ("*,!worker2", "worker1", True), ("!worker1", "worker1", False),
        ("[worker1]:22", "worker1", False), ("worker1", "[worker1]:2222", False),
        ("[worker1]:2222", "[worker1]:2222", True), ("[*]:2222", "[worker1]:2222", True),
        (hash_of("worker1", b"salt"), "worker1", True), (hash_of("worker1", b"salt"), "worker2", False),
        ("|1|broken", "worker1", False), ("|1|?|?", "worker1", False),
    ],
)  # fmt: skip
def test_a_line_speaks_of_a_host(path: Path, hosts: str, name: str, speaks: bool) -> None:
    path.write_text(f"{hosts} ssh-ed25519 {TEXT}\n")

    assert bool(known([str(path)], name)) is speaks


def test_a_line_is_told_with_its_place(path: Path) -> None:
    path.write_text(f"# mine\n\n@revoked worker1 ssh-ed25519 {TEXT} comment\nworker1 ssh-rsa AAAA\n")

    revoked, plain = known([str(path), "/nonexistent"], "worker1")

    assert (revoked.marker, revoked.kind, revoked.key, revoked.number) == ("@revoked", "ssh-ed25519", KEY, 3)
    assert plain.place == f"known_hosts line 4: {path}"


def test_a_path_in_the_home_is_told_shortly(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    path.write_text(f"worker1 ssh-ed25519 {TEXT}\n")

    assert known([str(path)], "worker1")[0].place == "known_hosts line 1: ~/known_hosts"


def test_lines_that_make_no_sense_are_passed_over(path: Path) -> None:
    path.write_bytes(
        b"worker1\nworker1 ssh-ed25519\nworker1 ssh-ed25519 !!\n@odd worker1 ssh-ed25519 AAAA\n\xff\n"
        b"keys for k\xf6ln: see below\nworker1 ssh-ed25519 k\xf6ln\n|1|k\xf6ln|= ssh-ed25519 AAAA\n"
    )

    assert known([str(path)], "worker1") == []


def test_a_new_key_is_written_for_this_user_only(path: Path) -> None:
    assert remember(str(path.parent / "new/known_hosts"), "worker1", "ssh-ed25519", KEY, hashed=False)

    written = path.parent / "new/known_hosts"
    assert written.read_text() == f"worker1 ssh-ed25519 {TEXT}\n"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700


def test_a_last_line_without_an_end_stays_a_line(path: Path) -> None:
    path.write_text("worker2 ssh-rsa AAAA")

    remember(str(path), "worker1", "ssh-ed25519", KEY, hashed=False)

    assert path.read_text() == f"worker2 ssh-rsa AAAA\nworker1 ssh-ed25519 {TEXT}\n"


def test_a_key_is_written_once(path: Path) -> None:
    assert remember(str(path), "worker1", "ssh-ed25519", KEY, hashed=True)
    assert not remember(str(path), "worker1", "ssh-ed25519", KEY, hashed=True)
    assert remember(str(path), "worker2", "ssh-ed25519", OTHER, hashed=True)

    assert "worker" not in path.read_text()
    assert [one.key for one in known([str(path)], "worker2")] == [OTHER]


def test_many_write_at_once_and_no_line_is_lost_or_doubled(path: Path) -> None:
    def write() -> None:
        for number in range(20):
            remember(str(path), f"worker{number}", "ssh-ed25519", KEY, hashed=False)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    hosts = [line.split()[0] for line in path.read_text().splitlines()]
    assert sorted(hosts) == sorted(f"worker{number}" for number in range(20))


def test_a_file_that_another_process_has_locked_for_long_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_hosts, "PATIENCE", 0.2)
    told: list[OSError] = []

    def write() -> None:
        try:
            remember(str(path), "w1", "ssh-ed25519", b"key", hashed=False)
        except OSError as error:
            told.append(error)

    path.touch()
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        writing.join(5)

        hangs = writing.is_alive()

    assert (hangs, len(told)) == (False, 1)
