"""What a host says of itself, and whether it reaches the server (`remote.md` RW51)."""

from __future__ import annotations

import os
import platform
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from torc_core import __version__
from torc_ssh.agent.reaching import reach
from torc_ssh.agent.starting import ends_with_session


def test_a_host_says_what_it_is_and_has(machine: Any, centre: Any) -> None:
    told = machine.ask(action="check", url=centre.url, output_dir="torc_output")

    assert (told["version"], told["python"]) == (__version__, platform.python_version())
    assert told["hostname"] == os.uname().nodename
    assert told["reach"] == {"ok": True, "version": __version__}
    assert told["num_cpus"] >= 1
    assert told["memory_bytes"] > 0
    assert told["disk_free_bytes"] > 0
    assert list(machine.home.iterdir()) == []


@pytest.fixture
def listener() -> Iterator[tuple[socket.socket, str]]:
    """A port and its address."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one, f"http://127.0.0.1:{one.getsockname()[1]}/torc-service/v1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "unauthorized"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "wrong_service"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "wrong_service"),
        (b"SSH-2.0-OpenSSH\r\n", "wrong_service"),
    ],
)
def test_what_answers_there_is_told_apart(
    listener: tuple[socket.socket, str], answer: bytes, kind: str
) -> None:
    server, url = listener

    def serve() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            with caller, suppress(ConnectionError):
                caller.recv(4096)
                caller.sendall(answer)
                caller.recv(4096)
                if b"200" in answer:
                    caller.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    assert reach(url)["kind"] == kind


def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    assert reach("http://127.0.0.1:9/torc-service/v1")["kind"] == "refused"
    assert reach("http://no-such-host.invalid:80/torc-service/v1")["kind"] == "name"
    assert reach("sqlite:///home/a/torc.db")["kind"] == "address"


def test_a_server_that_says_nothing_is_given_up(
    listener: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torc_ssh.agent.reaching.PATIENCE", 0.1)
    assert reach(listener[1])["kind"] == "timed_out"


def test_a_host_that_ends_processes_at_logout_is_recognised(tmp_path: Any) -> None:
    assert ends_with_session(tmp_path) is None
    (tmp_path / "logind.conf").write_text("[Login]\nKillUserProcesses=no\n")
    (tmp_path / "logind.conf.d").mkdir()
    (tmp_path / "logind.conf.d/site.conf").write_text("[Login]\nKillUserProcesses = yes\n")
    assert "loginctl enable-linger" in str(ends_with_session(tmp_path))


def test_what_is_no_request_is_answered_as_such(machine: Any) -> None:
    assert machine.ask(action="dance")["status"] == "unknown_action"
    assert machine.ask(action="status")["status"] == "error"
