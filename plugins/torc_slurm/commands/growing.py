"""Options about automatic growth, which `recover` and `watch` share."""

from __future__ import annotations

from torc_core.errors import BadValue, Conflict, UsageError
from torc_core.model.resources import memory_bytes
from torc_terminal.durations import seconds_of


def factor(option: str, value: float) -> float:
    """A multiplier.

    Raises
    ------
    UsageError
        If it would not make anything larger, or is beyond reason.
    """
    if not 1 < value <= 100:
        raise UsageError(f"{option} '{value:g}' is out of range; it is above 1 and up to 100")
    return value


def size(option: str, text: str | None) -> int | None:
    """Bytes of memory.

    Raises
    ------
    UsageError
        If the text is no size.
    """
    if text is None:
        return None
    try:
        return memory_bytes(text)
    except BadValue as error:
        raise UsageError(f"{option}: {error}") from error


def length(option: str, text: str | None) -> int | None:
    """Seconds."""
    return None if text is None else seconds_of(text, option)


def hours(option: str, value: float | None) -> float | None:
    """Node-hours.

    Raises
    ------
    UsageError
        If they are negative.
    """
    if value is not None and not value >= 0:
        raise UsageError(f"{option} '{value:g}' is negative; give hours")
    return value


def refuse_agent(ai_recovery: bool) -> None:
    """Object to recovery by an agent.

    Raises
    ------
    Conflict
        If it is wanted.
    """
    if ai_recovery:
        raise Conflict(
            "--ai-recovery is experimental and not available in this release; an agent of yours can decide about "
            "failures of unknown cause as --recovery-hook 'COMMAND'"
        )
