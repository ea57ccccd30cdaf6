"""Patterns of host names and users: `*`, `?`, and `!` for what must not match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile(
        "".join(parts.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", pattern)), re.DOTALL
    )


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits one pattern without `!`."""
    return _compiled(pattern).fullmatch(text) is not None


def fits_any(patterns: Iterable[str], text: str) -> bool:
    """Whether a pattern fits and none with `!` does."""
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if fits(pattern[1:], text):
                return False
        elif fits(pattern, text):
            found = True
    return found
