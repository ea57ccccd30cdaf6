"""Runners on hosts that do not see the home of the server's user: their key, and what they say of themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = ("--remote-worker", "alice@node7", "--idle-exit", "0")

KEY = """
import sys
from torc_core.config import Config
from torc_core.host import Host
from torc_core.system import SystemClock

config = Config.load().over({"client.api_url": (sys.argv[1], "--url")})
host = Host.load(config)
store = host.open_store(config.store_url, SystemClock())
print(store.runner_key(int(sys.argv[2])), end="")
"""


def key_for(account: Any, url: str, workflow: int, folder: Path) -> Path:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", KEY, url, str(workflow)],
        env=account.env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    path = folder / "key"
    path.touch(0o600)
    path.write_text(done.stdout)
    return path


@pytest.fixture
def away(tmp_path: Path) -> dict[str, str]:
    """The environment of a home that knows no server."""
    home = tmp_path / "away"
    home.mkdir()
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}


def test_a_runner_with_the_key_of_its_workflow_runs_it_and_no_other(
    account: Any, away: dict[str, str], tmp_path: Path
) -> None:
    server = account.serve("--auth", "credentials")
    account.spec("mine", [{"name": "one", "command": "true"}])
    account.spec("other", [{"name": "two", "command": "true"}])
    for name in ("mine", "other"):
        account.torc("--url", server.url, "create", f"{name}.json")
    account.torc("--url", server.url, "workflows", "initialize", "1")
    key = key_for(account, server.url, 1, tmp_path)
    given = ("--url", server.url, "--token-file", str(key), "run")

    account.torc(*given, "1", *WORKER, "--node-file", str(tmp_path / "node"), **away)
    refused = account.torc(*given, "2", *WORKER, code=5, **away)

    (node,) = account.answer("--url", server.url, "compute-nodes", "list", "1")["items"]
    assert node["scheduler"] == {"type": "remote", "worker": "alice@node7"}
    assert json.loads((tmp_path / "node").read_text())["node_id"] == node["id"]
    assert "no workflow 2" in refused
    assert server.stop() == 0


def test_a_revoked_key_is_refused(account: Any, away: dict[str, str], tmp_path: Path) -> None:
    server = account.serve("--auth", "credentials")
    account.spec("mine", [{"name": "one", "command": "true"}])
    account.torc("--url", server.url, "create", "mine.json")
    key = key_for(account, server.url, 1, tmp_path)
    account.torc("server", "token", "revoke", "--workflow", "1", "--database", str(account.database))

    refused = account.torc("--url", server.url, "--token-file", str(key), "run", "1", code=6, **away)

    assert "Traceback" not in refused
    assert server.stop() == 0
