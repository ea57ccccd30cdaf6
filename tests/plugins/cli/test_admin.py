"""`torc admin reload-auth`: a server reads its password file again."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.cli.conftest import opened
from torc_core.system import SystemClock

HASH = "$2b$04$abcdefghijklmnopqrstuuWdKk8cBjM4pYvQjW4R1mYv5uQ2w1sVa"


@pytest.fixture
def guarded(home: Path) -> Iterator[str]:
    """Address of a server with a password file, which belongs to whoever runs this."""
    from torc_http.auth.settings import AuthSettings
    from torc_http.running import Running
    from torc_http.serving.listening import listen

    users = home / "users"
    users.write_text(f"ann:{HASH}\n")
    users.chmod(0o600)
    settings = AuthSettings(owner=getpass.getuser(), host="h", auth_file=str(users))
    with opened() as store:
        running = Running(store, SystemClock(), listen(port=0, unix=False), auth=settings)
        running.start()
        try:
            yield f"http://127.0.0.1:{running.doors.port}/torc-service/v1"
        finally:
            running.close()


def test_the_password_file_is_read_again(torc, home, guarded):
    with (home / "users").open("a") as file:
        file.write(f"bob:{HASH}\n")

    ran = torc("--url", guarded, "admin", "reload-auth", "--json")

    assert (ran.code, ran.json["user_count"]) == (0, 2), ran.err


def test_a_server_without_a_password_file_says_so(torc, url):
    ran = torc("--url", url, "admin", "reload-auth")

    assert ran.code == 2
    assert "no password file is configured" in ran.err


def test_without_a_server_there_is_nothing_to_reload(torc):
    ran = torc("admin", "reload-auth")

    assert ran.code == 3
    assert "no server is running" in ran.err
