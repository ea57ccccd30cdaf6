"""The official clients, each in an environment of its own, and a server process for them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
VERSIONS = ("0.22.2", "0.35.0")
FOLDERS = {"0.22.2": "c22", "0.35.0": "c35"}


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Path:
    """Where the environments of the clients are: $TORC_TEST_CLIENTS, else the cache of pytest."""
    given = os.environ.get("TORC_TEST_CLIENTS")
    return Path(given) if given else Path(request.config.cache.mkdir("torc-clients"))


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of the official client."""
    return request.param


@pytest.fixture(scope="session")
def python(environments: Path, version: str) -> Path:
    """The interpreter of an environment that has this version; made when it is not there."""
    folder = environments / FOLDERS[version]
    found = folder / "bin" / "python"
    if not found.exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run(
            [found, "-m", "pip", "install", "--quiet", f"torc-client=={version}"],
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            found.unlink()
            pytest.skip(f"torc-client {version} cannot be installed here: {done.stderr[-300:]}")
    return found


@pytest.fixture(scope="session", params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest) -> str:
    """What the server keeps its records in."""
    return request.param


@pytest.fixture
def url(store: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server process with an empty database."""
    path = "memory" if store == "memory" else str(tmp_path / "torc.db")
    command = [sys.executable, str(HERE / "serve.py"), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
        assert server.wait(30) == 0
