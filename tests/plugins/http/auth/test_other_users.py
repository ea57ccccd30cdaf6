"""Real users of one host: the owner needs nothing, others get nothing, and whoever takes the port gets nothing either."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")

ALICE, EVE = 65_533, 65_532
BASE = "/torc-service/v1"
ROUNDS = int(os.environ.get("TORC_SQUATTER_ROUNDS", "2"))
OTHERS = Path(__file__).with_name("others.py")


class Program:
    """A program of another user, told by lines and ended by closing its input."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, OTHERS, *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        )  # fmt: skip

    def told(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def say(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        """What it says last."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return json.loads(out) if out.strip() else None


@pytest.fixture
def home() -> Iterator[Path]:
    """The home of alice; nobody else can enter it."""
    # NOTE: not in pytest's folder, which every further run of pytest closes to other users.
    path = Path(tempfile.mkdtemp(prefix="torc-alice-"))
    os.chown(path, ALICE, ALICE)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs, which have ended when the home goes."""
    programs: list[Program] = []

    def begin(*words: object) -> Program:
        programs.append(Program(*words))
        return programs[-1]

    yield begin
    for one in programs:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def ask(
    start: Callable[..., Program], uid: int, port: int, path: str, method: str = "GET", **headers: str
) -> Any:
    return start("ask", uid, port, method, BASE + path, json.dumps(headers)).told()


def test_the_owner_needs_nothing_and_another_user_is_refused(
    start: Callable[..., Program], home: Path
) -> None:
    port = start("serve", ALICE, home, 0).told()["port"]

    mine = ask(start, ALICE, port, "/workflows")
    theirs = ask(start, EVE, port, "/workflows")

    assert (mine["status"], json.loads(mine["body"])["items"]) == (200, [])
    assert theirs["status"] == 401
    error = json.loads(theirs["body"])["error"]
    assert error["message"] == (
        "no credential: this server accepts requests without one only from programs of user 'alice' on host kl3, and"
        f" yours is run by another user (uid {EVE})"
    )
    assert len(error["how"]) == 3
    assert theirs["headers"]["www-authenticate"] == "Torc, Bearer"


def test_a_proxy_of_the_owner_speaks_for_nobody(start: Callable[..., Program], home: Path) -> None:
    port = start("serve", ALICE, home, 0).told()["port"]

    for header in (
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Real-IP",
        "Via",
        "X-ProxyContextPath",
    ):
        assert ask(start, ALICE, port, "/workflows", **{header: "x"})["status"] == 401


def test_in_mode_credentials_the_owner_is_asked_too(start: Callable[..., Program], home: Path) -> None:
    port = start("serve", ALICE, home, 0, "credentials").told()["port"]

    assert ask(start, ALICE, port, "/workflows")["status"] == 401
    caller = start("call", ALICE, home, port)
    caller.told()
    caller.say()
    assert "answer" in caller.told()


def test_a_server_of_root_asks_everybody(start: Callable[..., Program], tmp_path: Path) -> None:
    """K5."""
    told = start("serve", 0, tmp_path, 0).told()

    assert told["mode"] == "credentials"
    assert ask(start, 0, told["port"], "/workflows")["status"] == 401


def test_what_a_server_leaves_behind_is_its_users_alone(start: Callable[..., Program], home: Path) -> None:
    server = start("serve", ALICE, home, 0)
    port = server.told()["port"]
    ask(start, ALICE, port, "/workflows", "POST")
    server.end()

    for path in [*home.rglob("*")]:
        if "warm" in path.relative_to(home).parts[0]:
            continue
        about = path.lstat()
        assert (about.st_uid, stat.S_IMODE(about.st_mode) & 0o077) == (ALICE, 0), path


def test_whoever_takes_the_port_gets_no_secret_and_no_work(start: Callable[..., Program], home: Path) -> None:
    """C13, the threat nobody documents: the server ends, another user binds its port and waits for its runners."""
    port = free_port()
    server = start("serve", ALICE, home, port)
    key = json.loads(Path(server.told()["key_file"]).read_text())["key"]
    caller = start("call", ALICE, home, port)
    caller.told()
    caller.say()
    genuine = caller.told()["answer"]

    for _ in range(ROUNDS):
        server.end()
        squatter = start("squat", EVE, port, json.dumps({"jobs": [{"command": "touch /tmp/owned"}]}))
        squatter.told()
        for _ in range(3):
            caller.say()
            told = caller.told()
            assert (told["kind"], told["exit_code"]) == ("Unproven", 6)
            assert told["error"] == (
                f"the server at 127.0.0.1:{port} does not hold your key; it may belong to somebody else"
            )
        heard = base64.b64decode(squatter.end()["heard"])
        assert b"POST" in heard
        for secret in (key.encode(), b"swordfish", base64.b64encode(b"alice:swordfish"), b"Basic", b"Bearer"):
            assert secret not in heard

        server = start("serve", ALICE, home, port)
        server.told()
        caller.say()
        assert caller.told() == {"answer": genuine}
