"""Tokens and keys as their users make, use and end them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import jsonschema
import pytest

from tests.waiting import SOON
from torc_terminal import schemas


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=SOON) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture
def served(account) -> Any:
    server = account.serve()
    for name in ("one", "two"):
        account.torc(
            "create", account.spec(name, [{"name": "a", "command": "true"}]), TORC_API_URL=server.url
        )
    return server


def db(account: Any) -> list[str]:
    return ["--database", str(account.database)]


@pytest.mark.parametrize("more", [[], ["--derived"]])
def test_an_address_with_a_token_is_good_for_its_workflow_only(account, served, more) -> None:
    url = account.torc("server", "token", "new", "--workflow", "1", "--print", *more, *db(account)).strip()

    assert get(f"{url}/workflows/1")[1]["name"] == "one"
    assert get(f"{url}/workflows/2")[0] == 404
    assert account.answer("--url", url, "status", "1")["workflow_name"] == "one"


def test_a_token_that_was_ended_opens_nothing(account, served) -> None:
    url = account.torc("server", "token", "new", "--all-workflows", "--print", *db(account)).strip()
    listed = account.answer("server", "token", "list", *db(account))
    jsonschema.validate(listed, schemas.load("torc.server.token.list/1"))

    account.torc("server", "token", "revoke", str(listed["items"][0]["id"]), *db(account))

    assert get(f"{url}/workflows/1")[0] == 401


def test_all_tokens_of_a_workflow_end_together(account, served) -> None:
    urls = [
        account.torc("server", "token", "new", "--workflow", "1", "--print", *more, *db(account)).strip()
        for more in ([], ["--derived"])
    ]

    account.torc("server", "token", "revoke", "--workflow", "1", *db(account))

    assert [get(f"{url}/workflows/1")[0] for url in urls] == [401, 401]


def test_a_token_is_not_written_where_nobody_looks(account, served) -> None:
    told = account.torc("server", "token", "new", "--workflow", "1", *db(account), code=2)

    assert "add --print" in told


def test_a_token_without_a_server_has_no_address(account) -> None:
    account.serve().stop()

    told = account.torc("server", "token", "new", "--all-workflows", "--print", *db(account), code=3)

    assert "start torc-server first" in told
    assert account.answer("server", "token", "list", *db(account))["items"] == []


@pytest.mark.parametrize(
    "words", [["token", "new", "--all-workflows", "--print"], ["key", "rotate"]], ids=lambda one: one[0]
)
def test_a_refused_credential_leaves_no_database(account, words) -> None:
    told = account.torc("server", *words, *db(account), code=3 if words[0] == "token" else 4)

    assert str(account.database) in told
    assert not account.database.parent.exists()


def test_a_new_key_takes_the_place_of_the_old_one(account, served) -> None:
    account.torc("server", "key", "rotate", "--now", *db(account))

    assert account.answer("--url", served.url, "workflows", "list")["count"] == 2


def test_exported_workflows_are_one_a_line(account, served) -> None:
    account.torc("server", "export", "-o", "all.jsonl", *db(account))

    lines = (account.root / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["workflow"]["name"] for line in lines] == ["one", "two"]


def test_without_systemd_a_service_says_what_to_do_instead(account) -> None:
    told = account.torc("server", "service", "install", "--user", "--port", "8085", code=3)

    assert "torc-server run --daemon" in told


def test_a_certificate_of_its_own_is_known_by_its_fingerprint(account) -> None:
    server = account.serve("--https", "--host", "127.0.0.1")
    spec = account.spec("tls", [{"name": "one", "command": "true"}])

    created = account.answer("create", spec, TORC_API_URL=server.url)
    told = account.torc("run", str(created["workflow_id"]), TORC_API_URL=server.url)

    assert server.url.startswith("https://")
    assert "completed 1" in told


def test_another_certificate_is_not_spoken_to(account) -> None:
    server = account.serve("--https")
    (path,) = (account.root / ".config/torc/servers").glob("*.json")
    key = json.loads(path.read_text())
    path.write_text(json.dumps({**key, "fingerprint": "0" * 64}))

    told = account.torc("workflows", "list", code=6, TORC_API_URL=server.url)

    assert "its certificate is not the one that the key file of this server names" in told
