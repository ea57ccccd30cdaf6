"""What the life-cycle commands print with `-f json` is what their schemas say, to the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torc_terminal import schemas

Torc = Callable[..., Any]

SPEC = "name: two\njobs: [{name: a_1, command: 'true'}, {name: a_2, command: 'false'}]\n"


def closed(schema: Any) -> Any:
    """The same schema, in which only the keys that it names may be there."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if "properties" in inner:
        inner.setdefault("additionalProperties", False)
    return inner


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (("create", "two.yaml", "--dry-run"), "torc.create.check/1"),
        (("create", "bad.yaml", "--dry-run"), "torc.create.check/1"),
        (("run", "two.yaml", "--dry-run"), "torc.run.check/1"),
        (("run", "bad.yaml", "--dry-run"), "torc.run.check/1"),
        (("run", "1", "--dry-run"), "torc.run.check/1"),
        (("run", "two.yaml"), "torc.run/1"),
        (("run", "1"), "torc.run/1"),
        (("exec", "-c", "false"), "torc.run/1"),
        (("exec", "--joblog", "log", "--retry-failed"), "torc.run/1"),
        (("exec", "-c", "true", "--dry-run"), "torc.exec.plan/1"),
        (("status", "1"), "torc.status/1"),
        (("status", "1", "--by-stage"), "torc.status/1"),
        (("explain", "1"), "torc.explain-workflow/1"),
        (("jobs", "explain", "1"), "torc.explain/1"),
        (("create", "two.yaml"), "torc.outcome/1"),
        (("cancel", "1"), "torc.outcome/1"),
        (("delete", "1", "--yes"), "torc.outcome/1"),
    ],
)
def test_json_follows_its_schema(torc: Torc, home: Path, words: tuple[str, ...], schema: str) -> None:
    (home / "two.yaml").write_text(SPEC)
    (home / "bad.yaml").write_text("name: bad\njobs: [{name: a, comand: 'true'}]\n")
    torc("create", "two.yaml")
    if "--retry-failed" in words:
        torc("exec", "--joblog", "log", "-c", "true")

    document = torc("--json", *words).json

    assert next(iter(document)) == "schema"
    assert document["schema"] == schema
    body = schemas.load(schema)
    jsonschema.validate(document, body if schema == "torc.outcome/1" else closed(body))


@pytest.mark.parametrize(
    "words", [("status", "1"), ("run", "1"), ("create", "two.yaml"), ("exec", "-c", "true")]
)
def test_what_has_no_table_has_no_csv(torc: Torc, home: Path, words: tuple[str, ...]) -> None:
    (home / "two.yaml").write_text(SPEC)
    torc("create", "two.yaml")

    ran = torc("-f", "csv", *words)

    assert (ran.code, ran.out) == (2, "")
    assert "-f json" in ran.err
