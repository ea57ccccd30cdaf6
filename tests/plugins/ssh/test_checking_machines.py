"""What `torc remote check` notes about a machine (`remote.md` §13: a clock that differs is shown, and has no effect)."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from torc_core import __version__
from torc_ssh.commands.checking import look

NOW = 1_700_000_000_000


class Machine:
    """Answers as an agent does."""

    name = "w1"
    worker = SimpleNamespace(worker="w1", options=None)

    def __init__(self, **told: Any) -> None:
        self._told = {
            "status": "checked",
            "version": __version__,
            "clock_ms": NOW,
            "reach": {"ok": True},
            **told,
        }

    def ask(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert action == "check"
        return self._told


@pytest.mark.parametrize(
    ("told", "fit", "note"),
    [
        ({}, True, None),
        ({"clock_ms": NOW + 3_600_000}, True, "its clock is 3600 s ahead"),
        ({"clock_ms": NOW - 90_000}, True, "its clock is 90 s behind"),
        ({"version": "0.6.5"}, False, f"version 0.6.5 is not {__version__}"),
        (
            {"reach": {"ok": False, "text": "connection refused"}}, True,
            "cannot reach the server: connection refused; 'remote run' uses a tunnel",
        ),
    ],
)  # fmt: skip
def test_what_is_odd_about_a_machine_is_noted(told: dict[str, Any], fit: bool, note: str | None) -> None:
    remote = SimpleNamespace(output_dir="torc_output")
    session: Any = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: NOW), config=SimpleNamespace(client=SimpleNamespace(remote=remote))
    )
    machine: Any = Machine(**told)

    found = look(session, machine, "http://server")

    assert (found["fit"], found["message"]) == (fit, note)
