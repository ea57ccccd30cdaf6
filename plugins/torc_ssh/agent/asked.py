"""What the agent is asked, and what it answers: one JSON object each way, whose shape has a number (`remote.md` RW10)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from torc_core.errors import BadValue
from torc_core.model import Json

PROTOCOL = 1
"""Both sides have to have the same: it is compared even where versions of torc may differ (RW70)."""

COMMAND = "_worker-agent"
"""The word of the hidden command."""

LONGEST = 256 << 20
"""Bytes of a request: it may name every file of an archive."""


class Asked:
    """A request; every value is taken from it by name and kind."""

    def __init__(self, told: Mapping[str, Json]) -> None:
        self._told = told

    @classmethod
    def read(cls, raw: bytes) -> Asked:
        """Parse a request.

        Raises
        ------
        BadValue
            If it is none.
        """
        try:
            told = json.loads(raw)
        except ValueError as error:
            raise BadValue(f"the request is no JSON: {error}") from error
        if not isinstance(told, dict):
            raise BadValue("the request is no JSON object")
        return cls(told)

    def text(self, name: str) -> str:
        """A text that has to be there."""
        value = self._told.get(name)
        if not isinstance(value, str) or "\0" in value:
            raise BadValue(f"the request has no text {name!r}")
        return value

    def maybe_text(self, name: str) -> str | None:
        """A text, if there is one."""
        return None if self._told.get(name) is None else self.text(name)

    def number(self, name: str, default: float | None = None) -> float:
        """A number."""
        value = self._told.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValue(f"the request has no number {name!r}")
        return value

    def maybe_number(self, name: str) -> float | None:
        """A number, if there is one."""
        return None if self._told.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        """Whether something is wished for."""
        return self._told.get(name) is True

    def texts(self, name: str) -> Sequence[str]:
        """A list of texts, empty if there is none."""
        value = self._told.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadValue(f"the request has no list of texts {name!r}")
        return [str(one) for one in value]

    def mapping(self, name: str) -> Mapping[str, Json]:
        """An object, empty if there is none."""
        value = self._told.get(name) or {}
        if not isinstance(value, dict):
            raise BadValue(f"the request has no object {name!r}")
        return value


Answered = dict[str, Json]
"""The body of an answer; `status` says how it went."""
