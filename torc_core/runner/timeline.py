"""When a runner stops taking work, signals and kills its jobs, and leaves, as its end comes near. Pure."""

from __future__ import annotations

from torc_core.model import Workflow
from torc_core.record import record
from torc_core.runner.options import Execution, Options

RESULTS_WITHIN = 10.0
"""Seconds from the last kill until all results have to be told (`runner.md` §7.2)."""


@record(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The moments of `runner.md` §7.2, monotonic seconds.

    Parameters
    ----------
    stop
        From now on nothing is claimed or started.
    margin
        Seconds before the end within which no job may still run by its stated runtime.
    """

    end: float
    margin: float
    stop: float
    signal: float
    kill: float

    @classmethod
    def of(cls, options: Options, execution: Execution, workflow: Workflow) -> Timeline | None:
        """The moments of a runner; None: it has no end."""
        if options.end is None:
            return None
        end, notice = options.end, execution.lead + execution.headroom
        margin = max(float(workflow.compute_node_expiration_buffer_seconds or 0), notice)
        least = (
            float(workflow.compute_node_min_time_for_new_jobs_seconds) if options.max_parallel_jobs else 0.0
        )
        return cls(
            end=end, margin=margin, stop=end - max(margin, least), signal=end - notice, kill=end - execution.headroom
        )  # fmt: skip

    @property
    def leave(self) -> float:
        """When the runner gives up on what it could not end or tell."""
        return max(min(self.end, self.kill + RESULTS_WITHIN), self.kill + 1.0)

    def left(self, now: float) -> int:
        """Whole seconds that a job may be given (`runner.md` §2.4)."""
        return max(0, int(self.end - now - self.margin))

    def next_time(self, now: float) -> float | None:
        """The next of the moments that are still to come."""
        return min((one for one in (self.stop, self.signal, self.leave) if one > now), default=None)
