"""Trees become JSON and JSON5 text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from torc_core.errors import BadValue

SIMPLE_KEY = re.compile(r'^( *)"([A-Za-z_$][A-Za-z0-9_$]*)":', re.MULTILINE)


def dump(tree: Mapping[str, Any]) -> str:
    """Write JSON, indented by two blanks.

    Raises `BadValue` for what JSON cannot hold.
    """
    try:
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise BadValue(f"this cannot be written as JSON: {error}") from error


def dump_json5(tree: Mapping[str, Any]) -> str:
    """Write JSON5: as JSON, with simple keys left bare.

    Raises `BadValue` for what JSON5 cannot hold.
    """
    # A text in JSON holds no line break, so whatever looks like a key at the start of a line is one.
    return SIMPLE_KEY.sub(r"\1\2:", dump(tree))
