"""Which status may follow which: the one table that stores, tests and the documentation share (`engine.md` §4.1)."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model import JobStatus

_S = JobStatus
_RESET = frozenset({_S.UNINITIALIZED})
_REPORTED = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED, _S.TERMINATED, _S.PENDING_FAILED})

BY_HAND = frozenset({_S.UNINITIALIZED, _S.READY, _S.PENDING, _S.RUNNING, _S.PENDING_FAILED})
"""What a person may set an open job to (`manage_status_change`); from all others only uninitialized."""

NEXT: Mapping[JobStatus, frozenset[JobStatus]] = {
    # initialize makes it blocked, ready or, below a bad blocker, canceled; a person completes, cancels, disables it
    _S.UNINITIALIZED: (_REPORTED | BY_HAND | {_S.BLOCKED, _S.DISABLED}) - _RESET,
    # release makes it ready, the cascade cancels it
    _S.BLOCKED: _REPORTED | BY_HAND | {_S.DISABLED},
    # a claim takes it: pending, or running when claimed with `start`
    _S.READY: (_REPORTED | BY_HAND | {_S.DISABLED}) - {_S.READY},
    # start; give-back or a lost answer makes it ready again; reset only with force
    _S.PENDING: (_REPORTED | BY_HAND) - {_S.PENDING},
    # complete; ready by retry, resume, or when its node vouches that it never forked it; reset only with force
    _S.RUNNING: (_REPORTED | BY_HAND) - {_S.RUNNING},
    # only a reset opens it again
    _S.COMPLETED: _RESET,
    # retry and resume; a real result in place of a provisional one; disabling
    _S.FAILED: _RESET | {_S.READY, _S.COMPLETED, _S.TERMINATED, _S.DISABLED},
    # restored (blocked, ready) or completed by hand, if the cascade canceled it before it was ever claimed
    _S.CANCELED: _RESET | {_S.BLOCKED, _S.READY, _S.COMPLETED, _S.FAILED, _S.TERMINATED, _S.DISABLED},
    # retry and resume; disabling
    _S.TERMINATED: _RESET | {_S.READY, _S.DISABLED},
    # enabling is a reset
    _S.DISABLED: _RESET,
    # classified, completed by hand, retried, canceled, disabled
    _S.PENDING_FAILED: (_REPORTED | BY_HAND | {_S.DISABLED}) - {_S.PENDING_FAILED},
}
"""For each status those that may follow it, by whatever operation. The same status again is no move."""


def legal(before: JobStatus, after: JobStatus) -> bool:
    """Whether a job may ever go from one status to the other."""
    return after in NEXT[before]
