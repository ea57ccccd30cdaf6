"""What Slurm's commands have answered, as records."""

from __future__ import annotations

from torc_core.record import record
from torc_slurm.scheduler.states import Standing, standing, word
from torc_slurm.scheduler.times import endless, instant, seconds

QUEUE_FORMAT = "%i|%T|%r|%S|%e|%L|%D|%P|%a|%N|%k|%j"
"""Of squeue; the name comes last, since it may hold the sign between the fields."""


@record(frozen=True, slots=True, kw_only=True)
class Ran:
    """One command of Slurm, and how it ended.

    Parameters
    ----------
    code
        Exit code; None: it did not end in time and was killed.
    """

    code: int | None
    out: str
    err: str
    took: float = 0.0

    @property
    def said(self) -> str:
        """What it complained about, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return " ".join(lines)[:1000] or f"exit code {self.code}"


@record(frozen=True, slots=True, kw_only=True)
class Submitted:
    """sbatch has put an allocation into the queue."""

    number: str
    cluster: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Refused:
    """sbatch has said no, in these words; nothing is in the queue.

    Parameters
    ----------
    away
        It could not reach Slurm: another try may do better.
    """

    message: str
    away: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Nobody knows whether there is something in the queue: look before asking again."""

    message: str


Outcome = Submitted | Refused | Unclear


@record(frozen=True, slots=True, kw_only=True)
class Queued:
    """A line of squeue.

    Parameters
    ----------
    start, end
        Begin, or the estimate of it, and end, in milliseconds since 1970.
    left
        Seconds until the time limit; None: not known, or there is no limit.
    """

    number: str
    state: str
    reason: str = ""
    start: int | None = None
    end: int | None = None
    left: float | None = None
    unlimited: bool = False
    nodes: int = 1
    partition: str = ""
    account: str = ""
    hosts: str = ""
    comment: str = ""
    name: str = ""

    @property
    def standing(self) -> Standing:
        """What the state means."""
        return standing(self.state)

    @classmethod
    def of(cls, line: str) -> Queued | None:
        """Read a line in `QUEUE_FORMAT`; None: it is none."""
        parts = line.split("|", 11)
        if len(parts) != 12:
            return None
        number, state, reason, start, end, left, nodes, partition, account, hosts, comment, name = parts
        # NOTE: a site may put the sign between the fields into comments; ours never holds it, and the name follows.
        return cls(
            number=number.strip(), state=word(state), reason=reason, start=instant(start), end=instant(end),
            left=seconds(left), unlimited=endless(left), nodes=int(nodes) if nodes.isdigit() else 1,
            partition=partition, account=account, hosts=hosts, comment=comment, name=name,
        )  # fmt: skip


@record(frozen=True, slots=True, kw_only=True)
class Accounted:
    """A line of sacct: what the accounting knows of an allocation, under the names of the fields asked for."""

    fields: dict[str, str]

    @property
    def number(self) -> str:
        """Its number, steps with their suffix."""
        return self.fields.get("JobIDRaw") or self.fields.get("JobID", "")

    @property
    def state(self) -> str:
        """The state alone."""
        return word(self.fields.get("State", ""))

    @property
    def standing(self) -> Standing:
        """What the state means."""
        return standing(self.state)


@record(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What is known of allocations that were asked for by their numbers (`slurm.md` SY1).

    Parameters
    ----------
    states
        By number, the word of Slurm; what neither the queue nor the accounting knows is not in it.
    reasons
        By number, why it waits.
    accounted
        Whether the accounting has answered too; without it nothing is known of what the queue no longer shows.
    """

    states: dict[str, str]
    reasons: dict[str, str]
    starts: dict[str, int]
    accounted: bool
