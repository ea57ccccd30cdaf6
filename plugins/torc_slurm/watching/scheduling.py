"""Whether a workflow needs further allocations now, and why: decided from figures (`slurm.md` WA1)."""

from __future__ import annotations

from torc_core.model.resources import duration_text
from torc_core.record import record

BREATH = 60.0
"""Seconds between two requests at least, also while nothing runs: what was asked for may end at once."""


@record(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user wants of automatic scheduling.

    Parameters
    ----------
    threshold
        So many unplanned jobs are worth an allocation beside the live ones.
    cooldown
        Seconds between two such requests.
    stranded
        Seconds after which a single unplanned job is worth one; 0: never.
    max_node_hours
        What the allocations of the workflow may use altogether; None: there is no end.
    """

    threshold: int = 5
    cooldown: float = 1_800
    stranded: float = 7_200
    max_node_hours: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a workflow stands.

    Parameters
    ----------
    ready
        Jobs that wait for a runner.
    retries, spawned
        How many of them nobody has planned for: tried again, or added by running jobs.
    oldest
        Seconds for which the first of those has been ready.
    live, queued
        Allocations that run, and that wait.
    runners
        Live runners without an allocation.
    longest
        Seconds that are left to the live allocation with the most; None: not known.
    since
        Seconds since allocations were last asked for; None: never.
    node_hours
        What the allocations have used so far.
    """

    ready: int = 0
    retries: int = 0
    spawned: int = 0
    oldest: float = 0.0
    live: int = 0
    queued: int = 0
    runners: int = 0
    longest: float | None = None
    since: float | None = None
    node_hours: float = 0.0

    @property
    def unplanned(self) -> int:
        """Jobs that wait and that nobody has planned for."""
        return self.retries + self.spawned


@record(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether to ask for allocations, and why, or why not; `reason` empty: there is nothing to say."""

    go: bool
    reason: str = ""

    def line(self, allocations: int | None = None) -> str:
        """For people: `scheduling 2 allocations: …`, `not scheduling: …`."""
        if not self.go:
            return f"not scheduling: {self.reason}"
        if allocations is None:
            return f"scheduling: {self.reason}"
        return f"scheduling {allocations} allocation{'' if allocations == 1 else 's'}: {self.reason}"


def judge(seen: Figures, rules: Rules) -> Verdict:
    """Whether a workflow needs further allocations now."""
    if not seen.ready:
        return Verdict(go=False)
    idle = not (seen.live or seen.queued or seen.runners)
    wanted = _wanted(seen, rules, idle=idle)
    if wanted is None:
        return _patient(seen, rules)
    if rules.max_node_hours is not None and seen.node_hours >= rules.max_node_hours:
        used = f"{seen.node_hours:.1f} of {rules.max_node_hours:g} node-hours are used"
        return Verdict(go=False, reason=f"{wanted}, but {used}")
    pause = min(BREATH, rules.cooldown) if idle else rules.cooldown
    cooling = None if seen.since is None else pause - seen.since
    if cooling is not None and cooling > 0:
        return Verdict(go=False, reason=f"cooldown {duration_text(_minutes(cooling))} left ({wanted})")
    return Verdict(go=True, reason=wanted)


def _wanted(seen: Figures, rules: Rules, *, idle: bool) -> str | None:
    """Why allocations are worth asking for; None: they are not."""
    if idle:
        jobs = "job is" if seen.ready == 1 else "jobs are"
        return f"{seen.ready} {jobs} ready, and there is no live or queued allocation"
    if seen.unplanned >= max(1, rules.threshold):
        return f"{_unplanned(seen)} ready, {_among(seen)}"
    if seen.unplanned and rules.stranded and seen.oldest >= rules.stranded:
        return f"{_unplanned(seen)} ready, the first for {duration_text(seen.oldest)}, {_among(seen)}"
    return None


def _patient(seen: Figures, rules: Rules) -> Verdict:
    """Why it is better to wait; nothing is said where everything goes as planned."""
    if not seen.unplanned:
        return Verdict(go=False)
    left = f", or waiting for {duration_text(rules.stranded)}" if rules.stranded else ""
    return Verdict(
        go=False,
        reason=f"{_unplanned(seen)} ready, worth an allocation from {max(1, rules.threshold)} on{left}",
    )


def _unplanned(seen: Figures) -> str:
    kinds = [(seen.retries, "retry"), (seen.spawned, "spawned")]
    told = " and ".join(f"{count} {word}" for count, word in kinds if count)
    return f"{told} job{'' if seen.unplanned == 1 else 's'}"


def _among(seen: Figures) -> str:
    """What there is already."""
    if not seen.live:
        return f"{seen.queued} allocation{'' if seen.queued == 1 else 's'} queued, none live"
    if seen.longest is None:
        return f"{seen.live} live allocation{'' if seen.live == 1 else 's'} at work"
    who = "the only live allocation has" if seen.live == 1 else f"none of {seen.live} live allocations has"
    return f"{who} {'only ' if seen.live == 1 else 'more than '}{duration_text(_minutes(seen.longest))} left"


def _minutes(seconds: float) -> float:
    """Whole minutes, where there are any: nobody reads the seconds."""
    return seconds if seconds < 60 else -(-seconds // 60) * 60
