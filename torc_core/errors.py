"""Everything torc raises on purpose. Anything else that escapes is a bug."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class TorcError(Exception):
    """something went wrong"""

    exit_code = 1
    code = "internal"

    def __init__(
        self, message: str = "", *, hint: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message or (type(self).__doc__ or ""))
        self.hint = hint
        self.details = dict(details or {})
        """For programs: `field` and `value` of what was wrong, or what else they may act on."""


class UsageError(TorcError):
    """wrong usage"""

    exit_code = 2
    code = "usage"


class BadValue(UsageError):
    """a value is not what it has to be"""

    code = "invalid"


class InvalidConfig(UsageError):
    """the configuration is not valid"""

    code = "invalid_config"


class InvalidSpec(UsageError):
    """the workflow specification is not valid"""

    code = "invalid_spec"


class PluginError(TorcError):
    """a plugin could not be loaded, or two plugins offer the same name"""

    exit_code = 2
    code = "plugin"


class UnknownProvider(UsageError):
    """no installed plugin offers what was asked for"""

    code = "unknown_provider"


class NotFound(TorcError):
    """no such record"""

    exit_code = 5
    code = "not_found"


class Conflict(TorcError):
    """the present state does not allow this"""

    exit_code = 3
    code = "conflict"


class Invalid(TorcError):
    """a store refused what it was asked to do"""

    exit_code = 2
    code = "invalid"


class WrongState(Invalid):
    """the status of a record does not allow this"""

    exit_code = 3
    code = "conflict"


class Forbidden(TorcError):
    """not allowed"""

    exit_code = 6
    code = "forbidden"


class Unavailable(TorcError):
    """the store or the server cannot be reached"""

    exit_code = 4
    code = "unavailable"


class Unreached(Unavailable):
    """nobody answered, so nothing was done: the call may be made again elsewhere"""


class Unauthorized(TorcError):
    """no credential, or one that does not hold"""

    exit_code = 6
    code = "unauthorized"


class TimedOut(TorcError):
    """the time that was given is over"""

    exit_code = 124
    code = "timeout"


class Full(Unavailable):
    """the disk under the database is full"""


class Fenced(TorcError):
    """another runner has taken the place of this one"""

    exit_code = 4
    code = "fenced"


class Owned(Unavailable):
    """another process owns this database; `address` tells how to reach it, empty when it says nothing"""

    def __init__(self, message: str, address: dict[str, str]) -> None:
        super().__init__(message)
        self.address = address


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `; did you mean 'x'?`, or nothing."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""


ERRORS: dict[str, type[TorcError]] = {
    kind.__name__: kind
    for kind in (
        TorcError, UsageError, BadValue, InvalidConfig, InvalidSpec, PluginError, UnknownProvider,
        NotFound, Conflict, Invalid, WrongState, Forbidden, Unavailable, Full, Fenced,
        Unauthorized, TimedOut,
    )
}  # fmt: skip
"""Every error by its name, for those who carry errors over a wire."""
