"""The official clients, each in an environment of its own, and a server process for them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
VERSIONS = ("0.22.2", "0.35.0")
FOLDERS = {"0.22.2": "c22", "0.35.0": "c35"}


CONTRACTS = Path(__file__).parent / "contracts"
PLAIN = {
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "object": lambda value: type(value) is dict,
    "any": lambda value: True,
}
NULL_AS_IN_THE_TEXT = {("ActiveTaskResponse", "task")}
"""What the machine-readable contract calls not nullable, but its description shows as null."""


class Contract:
    """The published contract of one version."""

    def __init__(self, version: str) -> None:
        read = json.loads((CONTRACTS / f"{version}.json").read_text())
        self._models: Mapping[str, Any] = read["models"]
        self.operations: Mapping[str, Mapping[str, Any]] = {
            one["operation_id"]: one for one in read["operations"].values()
        }

    def faults(self, type_: str, value: Any, path: str) -> list[str]:
        """Everything that a strict client would not take, with its place."""
        return _faults(self._models, type_, value, path)


def _faults(models: Mapping[str, Any], type_: str, value: Any, path: str) -> list[str]:
    if type_ in PLAIN:
        return [] if PLAIN[type_](value) else [f"{path} is {value!r}, not {type_}"]
    if type_.startswith("array<"):
        if type(value) is not list:
            return [f"{path} is no list"]
        inner = type_[6:-1]
        return [
            fault for k, item in enumerate(value) for fault in _faults(models, inner, item, f"{path}[{k}]")
        ]
    if type_.startswith("map<"):
        inner = type_[4:-1].split(",", 1)[1].strip()
        if type(value) is not dict:
            return [f"{path} is no map"]
        return [
            fault for key, item in value.items() for fault in _faults(models, inner, item, f"{path}.{key}")
        ]
    model = models[type_]
    if "enum" in model:
        return [] if value in model["enum"] else [f"{path} is {value!r}, none of {type_}"]
    if type(value) is not dict:
        return [f"{path} is no object"]
    found: list[str] = []
    for name, field in model["fields"].items():
        at = f"{path}.{name}"
        if name not in value:
            found += [f"{at} is missing"] if field["required"] else []
        elif value[name] is None:
            if not field["nullable"] and (type_, name) not in NULL_AS_IN_THE_TEXT:
                found.append(f"{at} is null")
        else:
            found += _faults(models, field["type"], value[name], at)
    return found


@pytest.fixture(scope="session")
def contract(version: str) -> Contract:
    """The contract of the version at hand."""
    return Contract(version)


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
    """The interpreter of an environment that has this version."""
    return interpreter(environments, version)


@pytest.fixture(scope="session")
def pythons(environments: Path) -> list[Path]:
    """The interpreters of all versions."""
    return [interpreter(environments, version) for version in VERSIONS]


def interpreter(environments: Path, version: str) -> Path:
    """The interpreter of an environment that has this version; made when it is not there."""
    # Tests of other files may want it in another process at the same time.
    with (environments / "torc-clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        last = made(environments / FOLDERS[VERSIONS[-1]], VERSIONS[-1])
        return last if version == VERSIONS[-1] else made(environments / FOLDERS[version], version, last)


def made(folder: Path, version: str, others: Path | None = None) -> Path:
    """The interpreter of an environment, which is made with what another has installed where that is given."""
    found, whole = folder / "bin" / "python", folder / "whole"
    if whole.exists():
        return found
    # NOTE: made where it stays, since its programs know by path which interpreter is theirs.
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder)
    if others is not None:
        place = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        (folder / place / "others.pth").write_text(f"{others.parents[1] / place}\n")
    # What is imported is compiled when it is imported: half of what comes along never is.
    command = [sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-compile"]
    command += ["--no-deps"] if others is not None else []
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [*command, f"torc-client=={version}"], capture_output=True, check=False, text=True, env=env
    )
    assert done.returncode == 0, f"torc-client {version} cannot be installed here: {done.stderr[-300:]}"
    subprocess.run([found, "-c", "import torc.api, torc.openapi_client"], check=True, env=env)
    whole.touch()
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
