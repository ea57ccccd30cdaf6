"""A tunnel makes nobody the server's owner (`remote.md` RW56, `security.md` §3.3)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from torc_core.errors import Conflict
from torc_ssh.tunnel.relay import own_addresses, routes, safe_route

AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
"""A server of root asks everybody for a credential (K5); here it has to be one that takes its user's processes for him."""

ASK = """
import json, sys
from torc_ssh.tunnel.relay import Relay, Route, _answer, safe_route
from urllib.parse import urlsplit
url = sys.argv[1]
route = safe_route(url)
relay = Relay(route)
host, port = relay.address
plain = Route(host="127.0.0.1", port=urlsplit(url).port)
print(json.dumps([_answer(plain, url), _answer(Route(host=host, port=port), url), route.source]))
"""


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server on loopback, of an ordinary user."""
    (tmp_path / "run").mkdir(mode=0o700)
    env = {
        "HOME": str(tmp_path),
        "USER": "ada",
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "PATH": os.environ["PATH"],
    }
    words = ["server", "run", "--database", "torc.db", "--port", "0", *getattr(request, "param", ())]
    server = subprocess.Popen(
        [*AS_USER, sys.executable, "-m", "torc_core", *words], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    server.stdout.readline()
    yield server.stdout.readline().partition("=")[2].strip()
    server.terminate()
    server.communicate(timeout=PATIENCE)


needs_address = pytest.mark.skipif(not own_addresses(), reason="this host has no address but loopback")


@needs_address
def test_what_comes_through_is_asked_for_a_credential_where_the_user_himself_is_not(url: str) -> None:
    done = subprocess.run(
        [*AS_USER, sys.executable, "-c", ASK, url], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    plain, through, source = json.loads(done.stdout)
    assert (plain, through) == (200, 401)
    assert source in own_addresses()


@needs_address
@pytest.mark.parametrize("url", [("--auth", "none")], indirect=True)
def test_a_server_that_lets_everybody_in_is_led_nowhere(url: str) -> None:
    with pytest.raises(Conflict, match="every user of the workers' hosts would be you"):
        safe_route(url)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(Conflict, match="does not answer"):
        safe_route("http://127.0.0.1:9/torc-service/v1")


def test_a_server_of_another_host_is_approached_as_it_is() -> None:
    (route,) = routes("http://192.0.2.7:8080/torc-service/v1")
    assert (route.host, route.port, route.source) == ("192.0.2.7", 8080, None)
