"""A database has an address for other hosts when one is needed (`cli.md` S9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from torc_core.config import Config
from torc_core.errors import Conflict
from torc_core.host import Host
from torc_core.session import Session
from torc_core.system import SystemClock
from torc_terminal.serving import Served, served


def session(tmp_path: Path, **flags: object) -> Session:
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    config = Config.load(environ=environ, system_file=tmp_path / "none", project_file=tmp_path / "none")
    config = config.over({name.replace("__", "."): (value, "a test") for name, value in flags.items()})
    return Session(host=Host.load(config), config=config, clock=SystemClock())


def test_a_server_is_its_own_address(tmp_path: Path) -> None:
    one = session(tmp_path, client__api_url="http://lab7:8085")
    assert served(one) == Served(url="http://lab7:8085/torc-service/v1")


def test_without_leave_no_server_is_started_and_the_line_that_does_is_told(tmp_path: Path) -> None:
    one = session(tmp_path, client__auto_server=False)
    with pytest.raises(
        Conflict, match=r"torc-server run --database \S+torc.db --host auto --port auto --daemon"
    ):
        served(one)
    one.close()


def test_a_store_that_nobody_can_serve_is_told(tmp_path: Path) -> None:
    one = session(tmp_path, flag__store="memory://x")
    with pytest.raises(Conflict, match="serve it, and name the server with --url"):
        served(one)
