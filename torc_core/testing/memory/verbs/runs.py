"""Passes over a workflow: begun, begun again, set back (`Runs`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torc_core.model import (
    ChangedJob,
    Fingerprint,
    Initialize,
    Inputs,
    Job,
    JobId,
    JobStatus,
    Progress,
    ReadyNeeds,
    RecoveryPlan,
    Renewed,
    Reset,
    SchedulerId,
    Workflow,
    WorkflowId,
)
from torc_core.testing.memory import lifecycle, recovering, renewal, resets
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.holding import Holding


class _DryRun(Exception):
    """What was done is undone."""


class RunVerbs(Holding):
    """Passes over a workflow: begun, begun again, set back (`Runs`)."""

    def initialize(self, workflow: WorkflowId, how: Initialize) -> Progress:
        """Start a new run."""
        with self._change(workflow) as change:
            lifecycle.initialize(change, how)
        return self._progress(change)

    def inspect(self, workflow: WorkflowId, fingerprints: Sequence[Fingerprint]) -> Inputs:
        """What an initialisation would meet."""
        with self._locked():
            return renewal.inspect(self._flow(workflow), fingerprints)

    def renew(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """Set all jobs back and begin a full run."""
        if dry_run:
            return Renewed(inputs=self.inspect(workflow, how.fingerprints))
        with self._tried(workflow, False) as change:
            inputs = renewal.inspect(change.flow, how.fingerprints)
            renewal.renew(change, how)
        return Renewed(inputs=inputs, progress=self._progress(change))

    def reinitialize(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """Set back what changed since it ran, and begin a partial run."""
        with self._tried(workflow, dry_run) as change:
            changed = renewal.set_back_changed(change, how.fingerprints)
            inputs = renewal.inspect(change.flow, how.fingerprints, everything=False)
            if not dry_run:
                lifecycle.initialize(change, renewal.partial(how))
        return Renewed(inputs=inputs, progress=None if dry_run else self._progress(change), changed=changed)

    def changed_jobs(self, workflow: WorkflowId, *, dry_run: bool = False) -> Sequence[ChangedJob]:
        """Jobs that are made of something else than before; they become uninitialized unless `dry_run`."""
        with self._tried(workflow, dry_run) as change:
            return renewal.changed_jobs(change)

    def reset(self, workflow: WorkflowId, how: Reset) -> Progress:
        """Open ended jobs again."""
        with self._change(workflow) as change:
            resets.reset(change, how)
        return self._progress(change)

    def recover(self, workflow: WorkflowId, plan: RecoveryPlan) -> Progress:
        """Give jobs what they lacked, and begin a run of them."""
        with self._tried(workflow, False) as change:
            recovering.recover(change, plan)
        return self._progress(change)

    def reset_workflow(self, workflow: WorkflowId, *, force: bool = False) -> Workflow:
        """Clear the cancel flag."""
        with self._change(workflow) as change:
            resets.reset_workflow(change, force=force)
        return change.flow.workflow

    def set_run(self, workflow: WorkflowId, run_id: int) -> Workflow:
        """Take the number that an old client has raised by itself."""
        with self._change(workflow) as change:
            resets.set_run(change, run_id)
        return change.flow.workflow

    def archive(self, workflow: WorkflowId, archived: bool) -> Workflow:
        """Set or clear the archive flag."""
        with self._change(workflow) as change:
            resets.archive(change, archived)
        return change.flow.workflow

    def retry(self, job: JobId, run_id: int, *, max_retries: int | None = None, force: bool = False) -> Job:
        """Make a job ready with its next attempt."""
        with self._locked():
            flow = self._flow_of(Job, job)
            with self._change(flow.workflow.id) as change:
                resets.retry(change, flow.jobs[job], run_id, max_retries, force=force)
            return flow.jobs[job]

    def move(self, job: JobId, status: JobStatus, run_id: int) -> Job:
        """Set a status by hand."""
        with self._locked():
            flow = self._flow_of(Job, job)
            with self._change(flow.workflow.id) as change:
                resets.move(change, flow.jobs[job], status, run_id)
            return flow.jobs[job]

    def ready_needs(self, workflow: WorkflowId, scheduler: SchedulerId | None = None) -> ReadyNeeds:
        """Sums and maxima over the jobs that can be handed out, of one scheduler if it is given."""
        with self._locked():
            lines = [line for line in self._flow(workflow).lines.values() if line.count]
            wanted = [line for line in lines if scheduler is None or line.shape.scheduler == scheduler]
        return ReadyNeeds(
            workflow=workflow,
            num_jobs=sum(line.count for line in wanted),
            num_cpus=sum(line.count * line.shape.cpus for line in wanted),
            num_gpus=sum(line.count * line.shape.gpus for line in wanted),
            memory_bytes=sum(line.count * line.shape.memory for line in wanted),
            max_num_nodes=max((line.shape.nodes for line in wanted), default=0),
            max_runtime_s=max((line.shape.runtime for line in wanted), default=0),
        )

    @contextmanager
    def _tried(self, workflow: WorkflowId, dry_run: bool) -> Iterator[Change]:
        """One transaction on a workflow, which is undone in the end when it was only tried, or refused half-way."""
        try:
            with self.together(), self._change(workflow) as change:
                yield change
                if dry_run:
                    raise _DryRun
        except _DryRun:
            pass
