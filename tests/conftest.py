"""Every test runs as if it had been started from a terminal, however it was."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Undo what a shell does to what it starts in the background: children would inherit ignored signals."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
