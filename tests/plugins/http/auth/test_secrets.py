"""Secrets are where they belong and nowhere else: not in process lists, files, logs, the database or answers (§12)."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

TORC = [sys.executable, "-m", "torc_core"]
PASSWORD = "canary-4f1c2d8e-password"


class Processes:
    """What everybody can read of the processes of this host, looked at twenty times a second."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "run").mkdir(mode=0o700)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def ask(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code), error.read()


def test_secrets_are_where_they_belong_and_nowhere_else(home: Path) -> None:
    env = {
        "HOME": str(home), "USER": "ada", "XDG_RUNTIME_DIR": str(home / "run"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip

    def torc(*words: str, **more: Any) -> str:
        ran = subprocess.run(
            [*TORC, *words],
            cwd=home,
            env=env,
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
            **more,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    job = "python3 -c \"import os, urllib.request; open('seen', 'w').write(os.environ['TORC_API_URL']); urllib.request.urlopen(os.environ['TORC_API_URL'] + '/workflows/1').read()\"; env > /dev/null; sleep 0.5"
    (home / "w.json").write_text(json.dumps({"name": "w", "jobs": [{"name": "a", "command": job}]}))
    with Processes() as processes:
        subprocess.run(
            [Path(sys.executable).with_name("torc-htpasswd"), "add", "-f", home / "users", "ann", "-p", "-", "-c", "4"],
            input=PASSWORD + "\n", text=True, check=True, env=env, capture_output=True,
        )  # fmt: skip
        server = subprocess.Popen(
            [*TORC, "--log-level", "debug", "server", "run", "--port", "0", "--database", "torc.db", "--auth-file", "users", "--log-dir", "log"],
            cwd=home, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert server.stdout
            server.stdout.readline()
            url = server.stdout.readline().partition("=")[2].strip()
            torc("--url", url, "create", "w.json")
            shown = torc(
                "server", "token", "new", "--workflow", "1", "--print", "--database", str(home / "torc.db")
            ).strip()
            token = shown.split("/t/")[1].split("/")[0]
            pair = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
            answers = [
                ask(shown + "/workflows/1"),
                ask(shown + "/nowhere"),
                ask(url + "/workflows/1", Authorization=f"Bearer {token}"),
                ask(url + "/workflows/1", Authorization=f"Bearer {token}x"),
                ask(url + "/workflows", Authorization=f"Basic {pair}"),
                ask(url + "/events?workflow_id=1", Authorization=f"Bearer {token}"),
            ]
            torc("--url", url, "run", "1")
            answers.append(ask(shown + "/events?workflow_id=1"))
            answers.append(ask(shown + "/results?workflow_id=1"))
        finally:
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=30)
        time.sleep(0.1)

    assert [status for status, _ in answers] == [200, 404, 200, 401, 200, 200, 200, 200]
    (key_file,) = (home / ".config/torc/servers").glob("*.json")
    capability = (home / "seen").read_text().split("/t/")[1].split("/")[0]
    secrets = {
        "key": json.loads(key_file.read_text())["key"], "password": PASSWORD, "pair": pair,
        "token": token.rsplit("_", 1)[1], "capability": capability.rsplit(".", 1)[1],
    }  # fmt: skip
    places = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    del places[str(key_file)], places[str(home / "seen")]
    places |= {"process list": b"\n".join(processes.seen), "output": (out + err).encode()}
    places |= {f"answer {at}": body for at, (_, body) in enumerate(answers)}
    found = [
        f"{name} in {place}"
        for place, data in places.items()
        for name, one in secrets.items()
        if one.encode() in data
    ]

    assert found == []
    assert any("log" in place and data for place, data in places.items())


def test_whatever_the_umask_nothing_is_open_to_others(home: Path) -> None:
    """C14, check 11: started under umask 000."""
    env = {"HOME": str(home), "USER": "ada", "XDG_RUNTIME_DIR": str(home / "run"), "PATH": os.environ["PATH"]}
    before = set(home.rglob("*"))
    server = subprocess.Popen(
        [*TORC, "server", "run", "--port", "0", "--database", "data/torc.db", "--log-dir", "log"],
        cwd=home, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout
    server.stdout.readline()
    url = server.stdout.readline().partition("=")[2].strip()
    ask(url + "/workflows")
    open_to_others = [
        f"{path} {path.lstat().st_mode:o}"
        for path in {*home.rglob("*")} - before
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)

    assert open_to_others == []
