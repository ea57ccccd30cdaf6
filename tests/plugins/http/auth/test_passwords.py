"""Password files, and the program that writes them."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_core.testing.plugin import SetClock
from torc_http.auth import passwords
from torc_http.auth.passwords import hashed, load, matches, parsed
from torc_http.auth.verifying import Verifier
from torc_http.htpasswd import main

CHEAP = "4"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users"


def add(file: Path, user: str, password: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
    return main(["add", "-f", str(file), user, "-p", "-", "-c", CHEAP])


def test_a_user_who_was_added_is_verified(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(file, "alice", "secret", monkeypatch) == 0

    for password, code in (("secret", 0), ("Secret", 1), ("", 1), ("secret ", 1)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
        assert main(["verify", "-f", str(file), "alice", "-p", "-"]) == code
    assert main(["verify", "-f", str(file), "bob", "-p", "x"]) == 5
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_other_lines_and_comments_stay(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = hashed("x", 4)
    file.write_text(f"# who may come in\n\nbob:{kept}\n")
    file.chmod(0o600)

    add(file, "alice", "one", monkeypatch)
    add(file, "alice", "two", monkeypatch)

    lines = file.read_text().splitlines()
    assert lines[:3] == ["# who may come in", "", f"bob:{kept}"]
    assert [line.partition(":")[0] for line in lines[3:]] == ["alice"]
    assert matches("two", load(file).hashes["alice"])


def test_a_user_is_taken_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(file, "alice", "one", monkeypatch)
    add(file, "bob", "two", monkeypatch)

    assert main(["remove", "-f", str(file), "alice"]) == 0
    assert main(["remove", "-f", str(file), "alice"]) == 5

    capsys.readouterr()
    assert main(["list", "-f", str(file)]) == 0
    assert capsys.readouterr().out == "bob\n"


def test_a_line_can_be_made_without_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))

    assert main(["hash", "alice", "-p", "-", "-c", CHEAP]) == 0

    user, _, line = capsys.readouterr().out.strip().partition(":")
    assert user == "alice"
    assert matches("secret", line.encode())


def test_a_password_on_the_command_line_is_warned_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["hash", "alice", "-p", "secret", "-c", CHEAP]) == 0

    assert "visible in process lists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hash", "alice", "-p", "x" * 73], "the password has 73 bytes; bcrypt takes at most 72"),
        (["hash", "alice", "-p", "é" * 37], "the password has 74 bytes"),
        (["hash", "alice", "-p", "a\0b"], "NUL"),
        (["hash", "alice", "-p", ""], "the password is empty"),
        (["hash", "a:b", "-p", "x"], "user name 'a:b'"),
        (["hash", "a\nb", "-p", "x"], "control characters"),
        (["hash", "alice", "-p", "x", "-c", "3"], "cost 3 is not between 4 and 31"),
        (["hash", "alice", "-p", "x", "-c", "32"], "cost 32 is not between 4 and 31"),
        (["list", "-f", "/nowhere/users"], "there is no password file '/nowhere/users'"),
    ],
)
def test_wrong_input_gets_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) in {2, 5}

    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_seventy_two_bytes_are_taken_whole() -> None:
    right = "x" * 72

    assert matches(right, hashed(right, 4).encode())
    assert not matches(right[:-1] + "y", hashed(right, 4).encode())


def test_the_program_is_installed(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("torc-htpasswd")

    ran = subprocess.run(
        [program, "hash", "alice", "-p", "-", "-c", "4"],
        input="secret\n", capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip

    assert ran.stdout.startswith("alice:$2b$04$")
    assert ran.stderr == ""


GOOD = "$2b$04$IXbv8SGa1xcTVAzizNS6xueTFPbZ8ysv04oey1WfceO.bD8EyNqZy"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("alice", "line 2 of 'f' is not USER:HASH"),
        (":" + GOOD, "line 2 of 'f' is not USER:HASH"),
        ("alice:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "line 2 of 'f': SHA-1 hashes are too weak"),
        ("alice:$apr1$abc$def", "line 2 of 'f': MD5 hashes are too weak"),
        ("alice:rqXexS6ZhobKA", "line 2 of 'f': this is no bcrypt hash"),
        ("alice:secret", "line 2 of 'f': this is no bcrypt hash"),
        (f"alice:{GOOD[:-1]}", "line 2 of 'f': the bcrypt hash is damaged"),
        (f"alice:{GOOD.replace('$04$', '$03$')}", "cost 3 is not between"),
        (f"bob:{GOOD}", "user 'bob' is there twice"),
    ],
)
def test_a_wrong_line_is_named(line: str, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsed(f"bob:{GOOD}\n{line}\n", "f")

    assert sentence in str(caught.value)


def test_weak_and_dear_hashes_are_warned_about() -> None:
    users = parsed(f"a:{GOOD}\nb:{GOOD.replace('$04$', '$20$')}\n", "f")

    assert ["easy to guess" in users.warnings[0], "too long to check" in users.warnings[1]] == [True, True]
    assert users.checkable("b") is None
    assert users.usual_cost == 4


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_every_kind_of_bcrypt_is_read(prefix: str) -> None:
    users = parsed(f"alice:{GOOD.replace('$2b$', prefix)}", "f")

    assert matches("x", users.hashes["alice"])


def test_a_file_that_others_may_write_is_refused(file: Path) -> None:
    file.write_text(f"alice:{GOOD}\n")
    file.chmod(0o666)

    with pytest.raises(Forbidden, match="can be written by others; run 'chmod 600"):
        load(file)
    assert load(file, shared=True).hashes


def test_a_file_that_is_not_there_tells_how_to_make_it(file: Path) -> None:
    with pytest.raises(NotFound, match="torc-htpasswd add -f"):
        load(file)


@pytest.fixture
def users(file: Path) -> Path:
    file.write_text(f"alice:{hashed('secret', 4)}\n")
    file.chmod(0o600)
    return file


def test_right_passwords_are_remembered_and_wrong_ones_are_not(users: Path, clock: SetClock) -> None:
    verifier = Verifier(users, clock, remember=60)

    assert verifier.verify("alice", "secret")
    assert verifier.known("alice", "secret")
    assert not verifier.verify("alice", "wrong")
    assert not verifier.known("alice", "wrong")
    clock.move(61)
    assert not verifier.known("alice", "secret")


def test_with_a_time_of_zero_nothing_is_remembered(users: Path, clock: SetClock) -> None:
    verifier = Verifier(users, clock, remember=0)

    assert verifier.verify("alice", "secret")
    assert not verifier.known("alice", "secret")


@pytest.mark.parametrize(
    ("user", "password"),
    [("bob", "secret"), ("alice", ""), ("alice", "x" * 1000), ("alice", "a\0b"), ("", "")],
)
def test_what_is_wrong_is_false_and_no_exception(
    users: Path, clock: SetClock, user: str, password: str
) -> None:
    assert not Verifier(users, clock).verify(user, password)


def test_a_changed_file_is_noticed_within_seconds(users: Path, clock: SetClock) -> None:
    verifier = Verifier(users, clock)
    verifier.verify("alice", "secret")
    passwords.set_user(users, "alice", hashed("other", 4))

    clock.move(6)

    assert not verifier.verify("alice", "secret")
    assert verifier.verify("alice", "other")


def test_a_file_that_has_become_wrong_leaves_the_old_users_in_force(users: Path, clock: SetClock) -> None:
    verifier = Verifier(users, clock)
    users.write_text("alice:{SHA}x\n")

    with pytest.raises(Invalid, match="line 1"):
        verifier.reload()
    clock.move(6)

    assert verifier.verify("alice", "secret")


def test_reloading_forgets_what_was_remembered(users: Path, clock: SetClock) -> None:
    verifier = Verifier(users, clock)
    verifier.verify("alice", "secret")

    assert verifier.reload() == 1
    assert not verifier.known("alice", "secret")


class Overtaken:
    """The lock of a verifier: who wants to remember a password with it is overtaken by somebody who reads the file."""

    def __init__(self, verifier: Verifier, lock: Any) -> None:
        self.verifier, self.lock, self.uses = verifier, lock, 0

    def __enter__(self) -> None:
        self.uses += 1
        if self.uses == 2:
            self.verifier.reload()
        self.lock.acquire()

    def __exit__(self, *about: object) -> None:
        self.lock.release()


def test_a_password_that_was_right_before_the_file_was_read_is_not_remembered(
    users: Path, clock: SetClock
) -> None:
    verifier = Verifier(users, clock)
    verifier._lock = Overtaken(verifier, verifier._lock)

    verifier.verify("alice", "secret")

    assert not verifier.known("alice", "secret")


def test_the_file_is_replaced_and_never_written_in_place(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = users.stat().st_ino
    reader = os.open(users, os.O_RDONLY)

    add(users, "bob", "x", monkeypatch)

    assert users.stat().st_ino != before
    assert os.read(reader, 10_000).count(b"\n") == 1
    os.close(reader)
