"""How long a run lasts, and how it begins: the options of `torc run` about time."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime

from torc_core.errors import Unavailable, UsageError
from torc_core.record import record
from torc_core.runner.stagger import delay
from torc_core.session import Session
from torc_terminal.durations import seconds_of

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries while the server cannot be reached; doubling."""


@record(frozen=True, slots=True, kw_only=True)
class Times:
    """When a run ends and how it waits, checked.

    Parameters
    ----------
    end
        Monotonic seconds; None: there is no end.
    poll_interval
        Longest pause between two looks at a store that cannot hold requests, in seconds.
    startup_window
        Seconds over which runners that start together spread.
    patience
        Seconds that the server may be away at the first contact.
    """

    end: float | None = None
    poll_interval: float = 5.0
    startup_window: float = 0.0
    patience: float = 1_200.0

    def begin(self, session: Session) -> None:
        """Wait for this runner's turn, and for the server if the store is one.

        Raises
        ------
        Unavailable
            If it cannot be reached in time.
        """
        if self.startup_window:
            _pause(delay(os.uname().nodename, session.config.environ, self.startup_window))
        if not session.config.store_url.startswith(("http://", "https://")):
            return
        deadline, pause, told = session.clock.monotonic() + self.patience, FIRST_PAUSE, False
        while True:
            try:
                session.store().totals([])
                return
            except Unavailable as error:
                if session.clock.monotonic() + pause > deadline:
                    raise
                if not told:
                    session.note(f"waiting for the server: {error}")
                told = True
            _pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def times_of(
    session: Session,
    *,
    time_limit: str | None,
    end_time: str | None,
    poll_interval: float | None,
    startup_delay_seconds: float,
    wait_for_server: float,
) -> Times:
    """Check what was given.

    Raises
    ------
    UsageError
        If a value is out of range, or the end is past.
    """
    ends = []
    now = session.clock.monotonic()
    if time_limit is not None:
        ends.append(now + seconds_of(time_limit, "--time-limit"))
    if end_time is not None:
        ends.append(now + _until(session, end_time))
    poll = session.config.client.run.poll_interval if poll_interval is None else poll_interval
    for option, value, least, most in (
        ("--poll-interval", poll, 0.05, 86_400),
        ("--startup-delay-seconds", startup_delay_seconds, 0, 3_600),
        ("--wait-for-server", wait_for_server, 0, 1_000_000),
    ):
        if not least <= value <= most:
            raise UsageError(f"{option} '{value:g}' is out of range; give {least:g} to {most:.12g}")
    return Times(
        end=min(ends, default=None),
        poll_interval=poll,
        startup_window=startup_delay_seconds,
        patience=60 * wait_for_server,
    )


def _until(session: Session, text: str) -> float:
    """Seconds from now to an instant; without an offset it is local time."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"--end-time '{text}' is not a time; write e.g. 2026-05-01T18:00:00Z or 2026-05-01T18:00:00+02:00"
        ) from None
    left = (instant.astimezone(UTC) - datetime.fromtimestamp(session.clock.now() / 1000, UTC)).total_seconds()
    if left <= 0:
        raise UsageError(f"--end-time '{text}' is past; give a time to come")
    return left


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
