"""Fixtures for the tests of plugins; pytest loads this module by itself wherever torc is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.host import Host

# NOTE: pytest rewrites assertions only in files that it finds in the distribution, which an editable install hides.
pytest.register_assert_rewrite(
    "torc_core.testing.executors",
    "torc_core.testing.launchers",
    "torc_core.testing.monitors",
    "torc_core.testing.plugins",
    "torc_core.testing.stores",
)


class SetClock:
    """A clock that stands still until it is moved; ids count up."""

    def __init__(self) -> None:
        self._now = 1_700_000_000_000
        self._monotonic = 1_000.0
        self._uuids = 0

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Seconds."""
        return self._monotonic

    def uuid(self) -> str:
        """The next UUID: 00000000-0000-4000-8000-000000000001 and so on."""
        self._uuids += 1
        return f"00000000-0000-4000-8000-{self._uuids:012x}"

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.set(seconds)
        self._monotonic += seconds

    def set(self, seconds: float) -> None:
        """Set the time of day forward, or back: no time passes."""
        self._now += round(seconds * 1000)


@pytest.fixture
def clock() -> SetClock:
    """A clock that the test moves."""
    return SetClock()


@pytest.fixture
def host() -> Callable[..., Host]:
    """Make a host of exactly these plugins: `host({"mine": my_plugin})`; nothing that is installed is loaded."""

    def make(plugins: Mapping[str, object], config: Config | None = None) -> Host:
        from torc_core.host import Host

        return Host.of(plugins, config)

    return make
