"""How a password is given to `torc`, and what it says about the way."""

from __future__ import annotations

import base64
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pexpect
import pytest

from tests.waiting import PATIENCE

VISIBLE = "warning: --password is visible in process lists; use TORC_PASSWORD or --prompt-password"


@pytest.fixture
def shown():
    """The address of a server that knows nobody, and what it was shown."""
    seen = []

    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.headers.get("Authorization"))
            self.send_error(401)

        def log_message(self, *words): ...

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/torc-service/v1", seen
    server.shutdown()
    thread.join()
    server.server_close()


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_a_password_on_the_command_line_is_used_and_warned_of(torc, shown):
    url, seen = shown

    ran = torc("--url", url, "workflows", "list", "--all-users", "--password", "open sesame")

    assert ran.code == 6
    assert seen[0] == basic("ana:open sesame")
    assert ran.err.splitlines()[0] == VISIBLE


def test_a_password_of_the_environment_is_not_warned_of(torc, shown, monkeypatch):
    url, seen = shown
    monkeypatch.setenv("TORC_PASSWORD", "open sesame")

    ran = torc("--url", url, "workflows", "list", "--all-users")

    assert seen[0] == basic("ana:open sesame")
    assert VISIBLE not in ran.err


def test_a_password_is_asked_for_and_not_shown(home, shown):
    url, seen = shown
    words = ["-m", "torc_core", "--url", url, "--prompt-password", "workflows", "list", "--all-users"]

    child = pexpect.spawn(
        sys.executable, words, cwd=str(home), env={**os.environ}, encoding="utf-8", timeout=PATIENCE
    )
    child.expect_exact("Password for ana: ")
    child.sendline("open sesame")
    child.expect(pexpect.EOF)
    child.close()

    assert seen[0] == basic("ana:open sesame")
    assert "open sesame" not in child.before


def test_two_ways_to_give_a_password_exclude_each_other(torc):
    ran = torc("--prompt-password", "--password", "x", "workflows", "list")

    assert (ran.code, ran.err) == (
        2,
        "error: '--prompt-password' and '--password' exclude each other; give only one of them\n",
    )


def test_without_a_terminal_no_password_is_asked_for(torc, shown):
    url, seen = shown

    ran = torc("--url", url, "--prompt-password", "workflows", "list")

    assert (ran.code, seen) == (2, [])
    assert ran.err == "error: no terminal to ask for the password on; set TORC_PASSWORD\n"
