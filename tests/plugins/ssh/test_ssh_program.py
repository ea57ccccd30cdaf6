"""The system's `ssh` is never waited for without an end, whatever it does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_core.engine.addresses import parse
from torc_ssh.connection.program import connection, ssh
from torc_ssh.connection.program.connection import ProgramConnection
from torc_ssh.connection.program.connector import ProgramConnector
from torc_ssh.settings import RemoteSettings
from torc_ssh.trouble import Unreachable

PROGRAM = """#!/bin/sh
for word; do
  case $word in
    -G) {asked} ; exit 0 ;;
    -O) {control} ; exit 0 ;;
    -M) {ready}; exec sleep 60 ;;
  esac
done
"""
ASKED = "printf 'hostname w1\\nuser ada\\nport 22\\nconnecttimeout 5\\n'"


@pytest.fixture
def connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProgramConnector]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for module in (ssh, connection):
        monkeypatch.setattr(module, "ASKING", 0.3)
    program(tmp_path)
    with ProgramConnector(RemoteSettings(backend="openssh"), print) as made:
        yield made


def program(
    folder: Path, *, asked: str = ASKED, control: str = "echo 4711", ready: str = "echo torc-ready"
) -> None:
    path = folder / "ssh"
    path.write_text(PROGRAM.format(asked=asked, control=control, ready=ready))
    path.chmod(0o700)


def test_one_that_does_not_say_how_it_is_configured_is_a_host_that_fails(
    connector: ProgramConnector, tmp_path: Path
) -> None:
    program(tmp_path, asked="exec sleep 60")

    with pytest.raises(Unreachable, match="how it is configured"):
        connector.connection(parse("w1")).connect()


def test_one_that_does_not_answer_about_a_port_is_a_host_that_fails(
    connector: ProgramConnector, tmp_path: Path
) -> None:
    with connector.connection(parse("w1")) as line:
        program(tmp_path, control="exec sleep 60")

        with pytest.raises(Unreachable, match="no answer within"):
            line.forward(("127.0.0.1", 9))


def test_a_port_that_cannot_be_given_back_is_left(connector: ProgramConnector, tmp_path: Path) -> None:
    with connector.connection(parse("w1")) as line:
        port = line.forward(("127.0.0.1", 9))
        program(tmp_path, control="exec sleep 60")

        port.close()

    assert port.port == 4711


def test_who_hangs_up_twice_signals_nobody_the_second_time(
    connector: ProgramConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    line: ProgramConnection = connector.connection(parse("w1"))
    line.connect()
    line.close()
    signaled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: signaled.append(group))

    line.close()

    assert signaled == []


def test_who_hangs_up_while_it_is_being_connected_does_not_wait_for_that(
    connector: ProgramConnector, tmp_path: Path
) -> None:
    program(tmp_path, ready=f"touch {tmp_path}/begun")
    line: ProgramConnection = connector.connection(parse("w1"), timeout=30)
    told: list[Unreachable] = []

    def connect() -> None:
        try:
            line.connect()
        except Unreachable as error:
            told.append(error)

    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    began = time.monotonic()

    line.close()
    connecting.join(5)

    assert time.monotonic() - began < 3
    assert told
