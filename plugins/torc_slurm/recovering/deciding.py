"""Which jobs run again, and with what: decided from diagnoses, without touching anything (`slurm.md` §10)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torc_core.model import Adjustment, Json, RecoveryPlan, RequirementId
from torc_core.record import record
from torc_slurm.recovering.adjusting import Caps, Factors, Growth, grown
from torc_slurm.recovering.diagnosis import Cause, Diagnosis, by_cause


@record(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done about failures.

    Parameters
    ----------
    run_id
        The run that they are of.
    growths
        Those that get more, or would if they could.
    again
        Those that run again as they are.
    left
        Those of which nobody knows why they failed, and that are left alone.
    skipped
        Those that the user wants to be left alone.
    """

    run_id: int
    found: Sequence[Diagnosis]
    growths: Sequence[Growth]
    again: Sequence[Diagnosis]
    left: Sequence[Diagnosis]
    skipped: Sequence[Diagnosis] = ()

    @property
    def adjustments(self) -> list[Adjustment]:
        """What the store is told of those that get more."""
        return [one.adjustment for one in self.growths if one.adjustment is not None]

    @property
    def stuck(self) -> list[Growth]:
        """Those that cannot get more."""
        return [one for one in self.growths if one.adjustment is None]

    @property
    def jobs(self) -> list[Diagnosis]:
        """All that run again, by id."""
        more = [one for growth in self.growths if growth.adjustment for one in growth.patients]
        return sorted((*more, *self.again), key=lambda one: one.job.id)

    @property
    def unrecovered(self) -> int:
        """Failures that stay."""
        return len(self.left) + len(self.skipped) + sum(len(growth.patients) for growth in self.stuck)

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs of which cause run again, and how many failures stay."""
        chosen = self.jobs
        return {
            "oom_fixed": len(by_cause(chosen, Cause.OOM)),
            "timeout_fixed": len(by_cause(chosen, Cause.TIMEOUT)),
            "node_lost_retried": len(by_cause(chosen, Cause.NODE_LOST)),
            "unknown_retried": len(by_cause(chosen, Cause.UNKNOWN)),
            "other_failures": self.unrecovered,
        }

    def plan(self) -> RecoveryPlan:
        """What the store is told."""
        return RecoveryPlan(
            run_id=self.run_id, jobs=[one.job.id for one in self.jobs], adjustments=self.adjustments, counts=self.counts
        )  # fmt: skip

    def lines(self, *, dry_run: bool = False) -> list[str]:
        """What is done, a line for each job that gets more and one for all others of a kind."""
        words = {Cause.OOM: "OOM", Cause.TIMEOUT: "timeout"}
        lines = []
        for growth in self.growths:
            what = words[growth.cause]
            for one in growth.patients:
                name = f"Job {one.job.id} ({one.job.name}): {what} detected"
                verb = "increasing" if not dry_run else "would increase"
                lines.append(
                    f"{name}, {verb} {growth.line}"
                    if growth.adjustment
                    else f"{name}, left: it {growth.limit}"
                )
        lines += [
            f"Job {one.job.id} ({one.job.name}): {one.evidence}, running again as it is" for one in self.again
        ]
        counts = self.counts
        if self.found:
            fixes = f"{counts['oom_fixed']} OOM, {counts['timeout_fixed']} timeout"
            lines.append(f"{'Would apply' if dry_run else 'Applied'} fixes: {fixes}")
        if self.left:
            lines.append(
                f"{len(self.left)} job(s) with unknown failure cause (skipped, use --retry-unknown to include)"
            )
        return lines


def decide(
    found: Sequence[Diagnosis],
    run: int,
    factors: Factors,
    caps: Mapping[RequirementId, Caps],
    *,
    retry_unknown: bool,
    skip: Collection[Cause] = (),
) -> Decision:
    """What is to be done.

    Parameters
    ----------
    found
        The failures of this run.
    retry_unknown
        Those of which nobody knows why they failed run again, too.
    skip
        Causes that are left alone.
    """
    wanted = [one for one in found if one.cause not in skip]
    unknown = by_cause(wanted, Cause.UNKNOWN)
    again = [*by_cause(wanted, Cause.NODE_LOST), *(unknown if retry_unknown else [])]
    return Decision(
        run_id=run,
        found=found,
        growths=grown(wanted, factors, caps, run),
        again=sorted(again, key=lambda one: one.job.id),
        left=[] if retry_unknown else unknown,
        skipped=[one for one in found if one.cause in skip],
    )


def adjustment_items(decision: Decision) -> list[Mapping[str, Json]]:
    """The adjustments as JSON; `new_resource_requirements_id` is filled in by whoever has made them."""
    items: list[Mapping[str, Json]] = []
    for growth in decision.growths:
        if growth.adjustment is None:
            continue
        old, new, oom = growth.patients[0].needs, growth.adjustment.needs, growth.cause is Cause.OOM
        items.append({
            "resource_requirements_id": old.id,
            "new_resource_requirements_id": None,
            "job_ids": [one.job.id for one in growth.patients],
            "job_names": [one.job.name for one in growth.patients],
            "memory_adjusted": oom,
            "original_memory": old.memory,
            "new_memory": new.memory if oom else None,
            "max_peak_memory_bytes": max(one.peak for one in growth.patients) or None,
            "runtime_adjusted": not oom,
            "original_runtime": old.runtime,
            "new_runtime": None if oom else new.runtime,
        })  # fmt: skip
    return items


def diagnosis_items(decision: Decision) -> list[Mapping[str, Json]]:
    """Every failure as JSON, with what tells why."""
    return [
        {
            "job_id": one.job.id,
            "job_name": one.job.name,
            "status": one.job.status.label,
            "cause": one.cause.value,
            "evidence": one.evidence,
            "return_code": None if one.result is None else one.result.return_code,
            "reason": None if one.result is None else one.result.reason,
            "configured_memory": one.needs.memory,
            "configured_runtime": one.needs.runtime,
            "peak_memory_bytes": one.peak or None,
            "exec_time_minutes": None if one.result is None else one.result.exec_minutes,
        }
        for one in decision.found
    ]  # fmt: skip
