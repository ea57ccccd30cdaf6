"""`torc-server service install`: what is written for systemd, and which options it takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import UsageError
from torc_core.host import Host
from torc_core.options import split
from torc_core.program import _app, _owned
from torc_http.program import service


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An account on a host with a systemd that only writes down what it is told."""
    told = tmp_path / "systemctl"
    told.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n')
    told.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(service, "RUNNING", tmp_path)
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(
        config=Config.load(environ={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")})
    )


def test_a_unit_starts_the_server_with_the_options_that_were_given(session, tmp_path) -> None:
    service.install(
        "--port", "0", "--database", "my data/torc.db", "--backup-dir=b", user=True, session=session
    )

    path = tmp_path / "c/systemd/user/torc-server.service"
    (line,) = (one for one in path.read_text().splitlines() if one.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    assert words[1:6] == ["run", "--port", "0", "--database", str(tmp_path / "my data/torc.db")]
    assert f"--backup-dir={tmp_path}/b" in words
    assert words[-2] == "--log-dir"
    assert (tmp_path / "told").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now torc-server.service",
    ]


def test_a_unit_serves_the_database_of_db(session, tmp_path) -> None:
    session.config = session.config.over({"client.database": ("mine.db", "--db")})

    service.install("--port", "0", user=True, session=session)

    unit = (tmp_path / "c/systemd/user/torc-server.service").read_text()
    assert f"--port 0 --database {tmp_path}/mine.db" in unit


def test_systemd_understands_the_unit(session, tmp_path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    service.install("--port", "0", "--database", "50% $a/torc.db", user=True, session=session)
    unit = tmp_path / "c/systemd/user/torc-server.service"

    said = subprocess.run(
        [verify, "verify", "--user", str(unit)], capture_output=True, text=True, check=False
    )

    assert str(unit) not in said.stderr
    assert "torc-server.service" not in said.stderr


def test_a_unit_is_removed_with_the_service(session, tmp_path) -> None:
    service.install(user=True, session=session)
    service.uninstall(user=True, session=session)

    assert not (tmp_path / "c/systemd/user/torc-server.service").exists()
    assert "--user disable --now torc-server.service" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--prot", "1"], "unknown option '--prot'"),
        (["--threads", "many"], "--threads"),
        (["--daemon"], "leave --daemon out"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(session, tmp_path, words, sentence) -> None:
    with pytest.raises(UsageError, match=sentence):
        service.install(*words, user=True, session=session)

    assert not (tmp_path / "c").exists()


def test_options_that_torc_has_too_are_those_of_the_server_behind_install() -> None:
    app = _app(Host.load(Config.load(environ={})))
    words = ["server", "service", "install", "--user", "--log-level", "debug", "--url", "0.0.0.0"]

    flags, rest = split(words, lambda command: _owned(app, command))

    assert flags == {}
    assert rest == words
