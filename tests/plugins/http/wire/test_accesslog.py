"""Every request is a line in the log (`security.md` D5, `promises.md` W6)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from falcon.testing import TestClient

from torc_http.accesslog import AccessLog
from torc_http.auth.redaction import Redaction

LOGGER = "torc_http.request"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    found: list[str] = []
    caplog.handler.addFilter(Redaction())
    caplog.handler.addFilter(lambda record: found.append(record.getMessage()) or True)
    with caplog.at_level(logging.INFO, LOGGER):
        yield found


def ask(api: Any, method: str, path: str, **more: Any) -> Any:
    return TestClient(AccessLog(api.app)).simulate_request(method, path, **more)


def test_a_line_says_who_what_and_how_it_ended(api, lines: list[str]) -> None:
    answer = ask(api, "GET", "/torc-service/v1/workflows/7")

    (line,) = lines
    assert line.startswith("request user=owner:owner peer=- method=GET route=/workflows/{id} status=404 ms=")
    assert line.endswith(f"request_id={answer.headers['x-request-id']}")


def test_the_id_of_the_transport_is_that_of_the_answer(api, lines: list[str]) -> None:
    answer = ask(api, "GET", "/torc-service/v1/workflows/7", extras={"torc.request_id": "abc123"})

    assert answer.headers["x-request-id"] == "abc123"
    assert lines[0].endswith("request_id=abc123")


def test_an_unknown_path_makes_no_second_line_and_tells_no_secret(api, lines: list[str]) -> None:
    ask(api, "GET", "/nothing%0Aevil/t/j.1.2.3.4.5." + "a" * 32)

    (line,) = lines
    assert "\n" not in line
    assert "a" * 32 not in line
    assert "status=404" in line


def test_calls_that_come_all_the_time_are_told_at_debug_unless_they_fail(
    api, lines: list[str], caplog
) -> None:
    ask(api, "GET", "/torc-service/v1/ping")
    assert lines == []

    ask(
        api,
        "POST",
        "/torc-service/v1/x/nodes/9/leave",
        body='{"epoch": "x"}',
        headers={"content-type": "application/json"},
    )
    assert "route=/x/nodes/{id}/leave status=4" in lines[0]

    caplog.set_level(logging.DEBUG, LOGGER)
    ask(api, "GET", "/torc-service/v1/ping")
    assert "route=/ping status=200" in lines[1]
