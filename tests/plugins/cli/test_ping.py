"""`torc ping`: whether the store answers."""

from __future__ import annotations

import socket

import pytest

from torc_core import __version__


def test_a_database_answers_for_itself(torc, home):
    told = torc("ping", "--json").json

    assert (told["status"], told["version"], told["api_version"]) == ("ok", __version__, None)
    assert told["url"].endswith("torc.db")


def test_a_server_tells_its_address_its_version_and_how_fast_it_is(torc, url):
    told = torc("ping", "--url", url, "--json").json

    assert (told["url"], told["version"]) == (url, __version__)
    assert told["api_version"]
    assert told["latency_ms"] > 0
    assert f"torc {__version__}" in torc("ping", "--url", url).out


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_server_that_is_not_there_is_unavailable(torc, home, more):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        ran = torc("ping", "--url", f"http://127.0.0.1:{port}/torc-service/v1", *more)

    assert (ran.code, ran.out) == (4, "")
    assert str(port) in ran.err


def test_what_to_look_at_is_said_of_a_server_that_is_not_there(torc, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        ran = torc("--url", url, "workflows", "list")

    assert ran.err == (
        f"error: the server at {url} cannot be reached: Connection refused\n"
        f"hint: see whether the server runs and the address is right: torc --url {url} doctor\n"
    )


def test_options_reach_the_server_too(torc, url, home):
    (home / "token").write_text("no token\n")
    (home / "token").chmod(0o600)

    ran = torc("ping", "--url", url, "--token-file", "token")

    assert ran.code == 2
    assert "'token'" in ran.err
