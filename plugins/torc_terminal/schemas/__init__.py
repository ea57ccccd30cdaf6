"""JSON Schemas of everything that commands print with `-f json` (`cli.md` C9), one file each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any


def file_name(schema: str) -> str:
    """The file of a schema: `torc.jobs.list/1` is in `torc.jobs.list.1.json`."""
    return schema.replace("/", ".") + ".json"


def load(schema: str) -> dict[str, Any]:
    """A schema by name.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    text = files(__name__).joinpath(file_name(schema)).read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]  # a schema is an object


def names() -> Iterator[str]:
    """All schemas by name."""
    for file in files(__name__).iterdir():
        if file.name.endswith(".json"):
            name, _, version = file.name.removesuffix(".json").rpartition(".")
            yield f"{name}/{version}"


def item_fields(schema: str) -> list[str]:
    """The fields that items of a list have, in their order; none where the schema is not known."""
    try:
        return list(load(schema)["properties"]["items"]["items"]["properties"])
    except (FileNotFoundError, KeyError):
        return []
