"""Every test runs as if it had been started from a terminal, long files come first, and checks of promises add their rows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

HERE = Path(__file__).parent
ROWS = os.environ.get("TORC_TEST_TABLE")
"""A file to which each check adds its row: name, seed, count, violations."""
LONG = (
    "faults/test_server_away.py", "plugins/http/client/test_contract.py", "promises/test_server_kills.py", "clients",
    "plugins/cli/test_schemas.py", "faults", "plugins/sqlite/test_contract.py", "promises", "plugins/http/x/test_contract.py",
    "flows", "plugins/cli/test_completions.py", "plugins/http/program", "mission", "core/testing", "plugins/cli/test_run_processes.py",
    "core/store/test_evaluator.py", "docs", "core/runner", "plugins/http/wire", "plugins/formats",
)  # fmt: skip
"""What takes longest, some that wait beside some that compute: no process is left alone with a long file at the end."""


def pytest_configure() -> None:
    """Let examples take as long as a busy machine takes, and undo what a shell does to what it starts in the background.

    Children would inherit ignored signals; and of an example that took long once it would be said that it is flaky.
    """
    examples.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    examples.load_profile("patient")
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    places: dict[Path, int] = {}
    for item in items:
        if item.path not in places:
            places[item.path] = _place(item.path)
    items.sort(key=lambda item: places[item.path])


def _place(path: Path) -> int:
    name = path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else ""
    return next((at for at, one in enumerate(LONG) if name == one or name.startswith(f"{one}/")), len(LONG))


@pytest.fixture
def row() -> Callable[..., None]:
    """Add a row to the table of the promises, and insist on no violation."""

    def add(check: str, seed: int, count: int, found: list[str]) -> None:
        if ROWS:
            with Path(ROWS).open("a") as table:
                table.write(json.dumps([check, seed, count, len(found)]) + "\n")
        assert found == [], f"{check}, seed {seed}: {found}"

    return add
