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
from torc_sql import lifecycle, recovering, renewal, resets
from torc_sql.change import Change
from torc_sql.state import known_job, workflow_state
from torc_sql.transacting import Transacting


class _DryRun(Exception):
    """What was done is undone."""


class RunVerbs(Transacting):
    """Passes over a workflow: begun, begun again, set back (`Runs`)."""

    def initialize(self, workflow: WorkflowId, how: Initialize) -> Progress:
        """Start a new run."""
        with self._change(workflow) as change:
            lifecycle.initialize(change, how)
        return change.progress

    def inspect(self, workflow: WorkflowId, fingerprints: Sequence[Fingerprint]) -> Inputs:
        """What an initialisation would meet."""
        with self._read() as tx:
            return renewal.inspect(tx, workflow, fingerprints)

    def renew(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """Set all jobs back and begin a full run."""
        if dry_run:
            return Renewed(inputs=self.inspect(workflow, how.fingerprints))
        with self._change(workflow) as change:
            inputs = renewal.inspect(change.tx, workflow, how.fingerprints)
            renewal.renew(change, how)
        return Renewed(inputs=inputs, progress=change.progress)

    def reinitialize(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """Set back what changed since it ran, and begin a partial run."""
        with self._tried(workflow, dry_run) as change:
            changed = renewal.set_back_changed(change, how.fingerprints)
            inputs = renewal.inspect(change.tx, workflow, how.fingerprints, everything=False)
            if not dry_run:
                lifecycle.initialize(change, renewal.partial(how))
        return Renewed(inputs=inputs, progress=None if dry_run else change.progress, changed=changed)

    def changed_jobs(self, workflow: WorkflowId, *, dry_run: bool = False) -> Sequence[ChangedJob]:
        """Jobs that are made of something else than before; they become uninitialized unless `dry_run`."""
        with self._tried(workflow, dry_run) as change:
            return renewal.changed_jobs(change)

    def reset(self, workflow: WorkflowId, how: Reset) -> Progress:
        """Open ended jobs again."""
        with self._change(workflow) as change:
            resets.reset(change, how)
        return change.progress

    def recover(self, workflow: WorkflowId, plan: RecoveryPlan) -> Progress:
        """Give jobs what they lacked, and begin a run of them."""
        with self._change(workflow) as change:
            recovering.recover(change, plan)
        return change.progress

    def reset_workflow(self, workflow: WorkflowId, *, force: bool = False) -> Workflow:
        """Clear the cancel flag."""
        with self._change(workflow) as change:
            resets.reset_workflow(change, force=force)
        return self._workflow(workflow)

    def set_run(self, workflow: WorkflowId, run_id: int) -> Workflow:
        """Take the number that an old client has raised by itself."""
        with self._change(workflow) as change:
            resets.set_run(change, run_id)
        return self._workflow(workflow)

    def archive(self, workflow: WorkflowId, archived: bool) -> Workflow:
        """Set or clear the archive flag."""
        with self._change(workflow) as change:
            resets.archive(change, archived)
        return self._workflow(workflow)

    def retry(self, job: JobId, run_id: int, *, max_retries: int | None = None, force: bool = False) -> Job:
        """Make a job ready with its next attempt."""
        with self._write() as tx:
            change = self._change_of(tx, self._record(tx, Job, job))
            resets.retry(change, known_job(tx, job), run_id, max_retries, force=force)
            change.close()
            return self._job(change, job)

    def move(self, job: JobId, status: JobStatus, run_id: int) -> Job:
        """Set a status by hand."""
        with self._write() as tx:
            change = self._change_of(tx, self._record(tx, Job, job))
            resets.move(change, known_job(tx, job), status, run_id)
            change.close()
            return self._job(change, job)

    def ready_needs(self, workflow: WorkflowId, scheduler: SchedulerId | None = None) -> ReadyNeeds:
        """Sums and maxima over the jobs that can be handed out, of one scheduler if it is given."""
        with self._read() as tx:
            workflow_state(tx, workflow)
            jobs, cpus, gpus, memory, nodes, runtime = tx.row(
                "READY_NEEDS", wf_=workflow, scheduler_=scheduler
            )
        return ReadyNeeds(
            workflow=workflow, num_jobs=jobs, num_cpus=cpus, num_gpus=gpus, memory_bytes=memory,
            max_num_nodes=nodes, max_runtime_s=runtime,
        )  # fmt: skip

    @contextmanager
    def _tried(self, workflow: WorkflowId, dry_run: bool) -> Iterator[Change]:
        """One transaction on a workflow, which is undone in the end when it was only tried."""
        try:
            with self._change(workflow) as change:
                yield change
                if dry_run:
                    raise _DryRun
        except _DryRun:
            pass

    def _workflow(self, workflow: WorkflowId) -> Workflow:
        with self._read() as tx:
            found: Workflow = self._record(tx, Workflow, workflow)
        return found

    def _job(self, change: Change, job: JobId) -> Job:
        found: Job = self._record(change.tx, Job, job)
        return found
