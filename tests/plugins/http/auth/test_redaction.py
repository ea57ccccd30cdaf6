"""What looks like a secret is not in the log, and nobody writes lines of his own into it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_http.auth.capability import JobCapability, WorkflowCapability, written
from torc_http.auth.redaction import masked, private_handler, redacted
from torc_http.auth.tokens import new_token

TOKEN = new_token("alice", 0, workflows=None).text
JOB = written(bytes(32), JobCapability(workflow=1, job=2, run=3, attempt=4, generation=5))
WORKFLOW = written(bytes(32), WorkflowCapability(workflow=1, access_class="edit", expires=5, generation=0))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logging.Logger]:
    log = logging.getLogger("test_redaction")
    handler = private_handler(tmp_path / "log")
    log.addHandler(handler)
    yield log
    log.removeHandler(handler)
    handler.stream.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    [
        "GET /t/{secret}/torc-service/v1/jobs",
        "Authorization: Bearer {secret}",
        "{{'Authorization': 'Bearer {secret}'}}",
        "HTTP_AUTHORIZATION='Basic {secret}'",
        "authorization=Torc s=a, n=1, m={secret}",
        "http://kl3/?token={secret}&a=b",
        "Cookie: torc_8080={secret}",
        "Set-Cookie: torc_8080={secret}; HttpOnly",
        'body {{"password": "{secret}"}}',
        "postgres://alice:{secret}@host/db",
    ],
)
def test_no_secret_reaches_the_log(line: str) -> None:
    for secret in (TOKEN, JOB, WORKFLOW, "swordfish-0123456789"):
        assert secret not in redacted(line.format(secret=secret))


@pytest.mark.parametrize("secret", [TOKEN, JOB, WORKFLOW], ids=["named", "job", "workflow"])
def test_tokens_are_cut_wherever_they_stand(secret: str) -> None:
    shown = redacted(f"somebody said {secret}, and more")

    # A token is `torc_<key>_<secret>`, whose secret may have any of these signs in it; a capability ends in its proof.
    assert secret.split("_", 2)[-1] not in shown
    assert secret.rsplit(".", maxsplit=1)[-1] not in shown
    assert shown.endswith(", and more")


def test_plain_lines_stay_as_they_are() -> None:
    line = "claimed workflow_id=3 node_id=7 jobs=64 path=/torc-service/v1/jobs/3 host=kl3.hsn.cm j.1.2"

    assert redacted(line) == line


def test_a_line_of_the_log_is_one_line_without_control_characters(
    log: logging.Logger, tmp_path: Path
) -> None:
    log.warning("user=%s", "eve\r\n2026 INFO all is well\x1b[2J\x00\u202e\x9b")

    text = (tmp_path / "log").read_text()
    assert text.count("\n") == 1
    assert not [sign for sign in text[:-1] if not sign.isprintable()]
    assert "eve\\x0d\\n2026" in text


def test_the_log_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_handler(tmp_path / "log").stream.close()  # type: ignore[attr-defined]
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_trace_is_redacted_too(log: logging.Logger, tmp_path: Path) -> None:
    try:
        raise ValueError(f"/t/{JOB}/x")
    except ValueError:
        log.exception("failed")

    assert JOB not in (tmp_path / "log").read_text()


def test_recorded_environments_hide_what_is_named_like_a_secret() -> None:
    shown = masked({"AWS_SECRET_ACCESS_KEY": "a", "my_password": "b", "TORC_API_URL": "c", "PATH": "/bin"})

    assert shown == {
        "AWS_SECRET_ACCESS_KEY": "***",
        "my_password": "***",
        "TORC_API_URL": "***",
        "PATH": "/bin",
    }
