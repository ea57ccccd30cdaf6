"""Submits what was intended: nothing lost, nothing twice (`slurm.md` §3).

Whoever submits holds the intents for himself: by the claim of an action, or as their holder. Where the answer of
sbatch leaves a doubt, the queue is looked at before anything is submitted again, always under the same key.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from torc_core.errors import Conflict, Invalid
from torc_core.model import Allocation, AllocationStatus, SlurmScheduler, Workflow, WorkflowId
from torc_core.protocols import Clock, Store
from torc_core.record import record
from torc_slurm.scheduler.answers import Refused, Submitted
from torc_slurm.scheduler.slurm import Slurm, SlurmSilent
from torc_slurm.settings import SlurmSettings
from torc_slurm.submission.holding import end_leftover
from torc_slurm.submission.looking import Lost, look
from torc_slurm.submission.script import Script, script
from torc_slurm.submission.stagger import staggered, window
from torc_slurm.submission.terms import Terms

log = logging.getLogger(__name__)

TRIES = 4
"""So often an allocation is given to sbatch before it counts as refused."""
LONGEST_DOUBT_MS = 86_400_000
"""So far back the accounting is asked for an intent of which nobody knows since when it has been there."""


@record(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An allocation to be submitted.

    Parameters
    ----------
    doubtful
        Somebody else has had it in his hands: it may be in the queue.
    """

    allocation: Allocation
    scheduler: SlurmScheduler
    one_worker_per_node: bool = False
    max_parallel_jobs: int | None = None
    doubtful: bool = False

    @property
    def runners(self) -> int:
        """How many runners it starts."""
        return self.allocation.nodes if self.one_worker_per_node else 1


OPENINGS = ("sbatch: error: ", "Batch job submission failed: ")
"""What sbatch says before it says why it refuses."""


@record(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of an allocation.

    Parameters
    ----------
    unclear
        Nobody knows whether it is in the queue, or nobody has tried yet.
    """

    allocation: Allocation
    message: str | None = None
    unclear: bool = False

    @property
    def submitted(self) -> bool:
        """Whether it is in the queue, or has been there."""
        return self.allocation.scheduler_id is not None

    @property
    def refused(self) -> bool:
        """Whether Slurm does not want it."""
        return not (self.submitted or self.unclear) and self.allocation.status is AllocationStatus.FAILED

    @property
    def cause(self) -> str:
        """The message, without what sbatch begins each with."""
        said = self.message or ""
        for opening in OPENINGS:
            said = said.removeprefix(opening)
        return said


class _Settled(Exception):
    """Nothing is left to do about an allocation."""

    def __init__(self, allocation: Allocation) -> None:
        super().__init__()
        self.allocation = allocation


class Submitter:
    """Submits the allocations of one workflow.

    Parameters
    ----------
    hold
        Called just before each sbatch: says that we go on, and raises `Conflict` if others have taken over.
    told
        Called with each result as soon as it is known.
    """

    def __init__(
        self,
        store: Store,
        slurm: Slurm,
        clock: Clock,
        settings: SlurmSettings,
        *,
        told: Callable[[Result], object] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._store = store
        self._slurm = slurm
        self._clock = clock
        self._settings = settings
        self._told = told
        self._wait = wait or threading.Event().wait

    def submit(
        self, workflow: Workflow, wanted: Sequence[Wanted], terms: Terms, hold: Callable[[Wanted], object]
    ) -> list[Result]:
        """Submit allocations; a result for each, in their order, as far as we came.

        Raises
        ------
        Conflict
            If somebody else has taken over meanwhile; what is left is his.
        Unavailable
            If the store does not answer; what was submitted is found by its key later.
        """
        if not wanted:
            return []
        delay = window(sum(one.runners for one in wanted)) if staggered(workflow) else 0
        scripts = self._scripts(workflow, wanted, terms, delay)
        results: dict[int, Result] = {}
        known = self._numbers(workflow)
        doubtful = [one for one in wanted if one.doubtful and one.allocation.id in scripts]
        try:
            found = self._sought(doubtful, scripts, known)
        except SlurmSilent as error:
            # Nothing is known of them; the rest would not fare better.
            return [self._unclear(one, str(error)) for one in wanted]
        no: dict[int, str] = {}
        for one in wanted:
            made, scheduler = scripts[one.allocation.id], one.scheduler.id
            if isinstance(made, str):
                result = self._refuse(one, made)
            elif (number := found.get(one.allocation.id)) is not None:
                result = self._adopt(one, number)
            elif scheduler in no:
                # Slurm would say the same again, and each question costs it as much as a submission.
                try:
                    self._open(one, hold)
                    result = self._refuse(one, no[scheduler])
                except _Settled as settled:
                    result = Result(allocation=settled.allocation)
            else:
                result = self._one(one, made, terms, known, hold)
                if result.refused:
                    no[scheduler] = result.message or ""
            results[one.allocation.id] = result
            if result.allocation.scheduler_id is not None:
                known.add(result.allocation.scheduler_id)
            if self._told is not None:
                self._told(result)
            if result.unclear:
                break
        return [results.get(one.allocation.id) or self._unclear(one, "not tried yet") for one in wanted]

    def _scripts(
        self, workflow: Workflow, wanted: Sequence[Wanted], terms: Terms, delay: int
    ) -> dict[int, Script | str]:
        """The script of each, or why there can be none."""
        made: dict[int, Script | str] = {}
        for one in wanted:
            try:
                made[one.allocation.id] = script(
                    workflow, one.scheduler, one.allocation, terms, self._store.server_id, delay=delay,
                    one_worker_per_node=one.one_worker_per_node, max_parallel_jobs=one.max_parallel_jobs,
                )  # fmt: skip
            except Invalid as error:
                made[one.allocation.id] = str(error)
        return made

    def _one(
        self, one: Wanted, made: Script, terms: Terms, known: set[str], hold: Callable[[Wanted], object]
    ) -> Result:
        """Submit one, and find out what came of it."""
        path = self._written(made, terms, one.allocation.workflow_id)
        message = ""
        try:
            for attempt in range(TRIES):
                if attempt:
                    self._wait(self._settings.retry_seconds * 3 ** (attempt - 1))
                told = self._slurm.sbatch(str(path), ready=lambda: self._open(one, hold))
                if isinstance(told, Submitted):
                    return self._adopt(one, told.number, path, terms)
                message = told.message
                log.warning(
                    "slurm_submission allocation_id=%d try=%d said=%s",
                    one.allocation.id,
                    attempt + 1,
                    message,
                )
                if isinstance(told, Refused):
                    if told.away:
                        continue
                    return self._refuse(one, message)
                found = self._sought([one], {int(one.allocation.id): made}, known)
                if number := found.get(one.allocation.id):
                    return self._adopt(one, number, path, terms)
            self._open(one, hold)
        except SlurmSilent as error:
            return self._unclear(one, f"{message}; {error}")
        except _Settled as settled:
            _tidy(path, terms)
            return Result(allocation=settled.allocation)
        return self._refuse(one, message)

    def _open(self, one: Wanted, hold: Callable[[Wanted], object]) -> None:
        """Say that we go on with it.

        Raises
        ------
        _Settled
            If it was called off meanwhile, or is known to be in the queue.
        Conflict
            If others have taken over.
        """
        now = self._store.get(Allocation, one.allocation.id)
        if now.scheduler_id is not None or now.status is AllocationStatus.CANCELED:
            raise _Settled(now)
        hold(one)

    def _sought(
        self, wanted: Sequence[Wanted], scripts: Mapping[int, Script | str], known: set[str]
    ) -> dict[int, str]:
        """Look for allocations that may be in the queue, twice if need be; the numbers of those that are.

        Raises
        ------
        SlurmSilent
            If Slurm does not answer, though asked several times.
        """
        lost = [
            Lost(allocation=one.allocation, job_name=made.job_name, shared=bool(one.scheduler.fields.get("serialize_allocations")))
            for one in wanted
            if isinstance(made := scripts[one.allocation.id], Script)
        ]  # fmt: skip
        if not lost:
            return {}
        for one in wanted:
            if one.doubtful and isinstance(made := scripts[one.allocation.id], Script):
                end_leftover(made.file)
        since = min(one.allocation.submitted_at or self._clock.now() - LONGEST_DOUBT_MS for one in wanted)
        found = self._looked(lost, known, since)
        if len(found) < len(lost):
            self._wait(self._settings.look_up_seconds)
            missing = [one for one in lost if one.allocation.id not in found]
            found |= self._looked(missing, {*known, *found.values()}, since)
        return found

    def _looked(self, lost: Sequence[Lost], known: set[str], since: int) -> dict[int, str]:
        for attempt in range(TRIES):
            try:
                return look(self._slurm, lost, self._store.server_id, known, since)
            except SlurmSilent:
                if attempt == TRIES - 1:
                    raise
                self._wait(self._settings.retry_seconds * 3**attempt)
        raise AssertionError  # the last try returns or raises

    def _adopt(
        self, one: Wanted, number: str, path: Path | None = None, terms: Terms | None = None
    ) -> Result:
        """It is in the queue under this number."""
        after = self._store.submitted(one.allocation.id, one.allocation.submission_key, number)
        log.info("slurm_submitted allocation_id=%d slurm_job_id=%s", one.allocation.id, number)
        if path is not None and terms is not None:
            _tidy(path, terms)
        if after.status is AllocationStatus.CANCELED:
            # It was called off while it was submitted.
            self._call_off(number)
        return Result(allocation=after)

    def _call_off(self, number: str) -> None:
        for attempt in range(TRIES):
            if attempt:
                self._wait(self._settings.retry_seconds * 3 ** (attempt - 1))
            errors = self._slurm.cancel([number])
            if not errors:
                return
            log.warning("slurm_not_called_off slurm_job_id=%s why=%s", number, errors[0])

    def _refuse(self, one: Wanted, message: str) -> Result:
        """Slurm does not want it."""
        try:
            after = self._store.refused(one.allocation.id, message)
        except Conflict:
            # A runner of it has joined: it was taken after all.
            after = self._store.get(Allocation, one.allocation.id)
        return Result(allocation=after, message=message)

    def _unclear(self, one: Wanted, message: str) -> Result:
        return Result(allocation=one.allocation, message=message, unclear=True)

    def _numbers(self, workflow: Workflow) -> set[str]:
        from torc_core.model import Query

        rows = self._store.find(Allocation, Query(workflow=workflow.id, limit=2**31)).items
        return {one.scheduler_id for one in rows if one.scheduler_id is not None}

    def _written(self, made: Script, terms: Terms, workflow: WorkflowId) -> Path:
        """The script as a file that only its owner can read.

        Raises
        ------
        Conflict
            If the output directory does not take it.
        """
        path = Path(terms.output_dir, made.file)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                path.unlink()
            with os.fdopen(os.open(path, flags, 0o700), "w", encoding="utf-8") as file:
                file.write(made.text)
        except OSError as error:
            raise Conflict(
                f"no script can be written to '{path.parent}': {(error.strerror or 'error').lower()}; name another folder: "
                f"torc submit {workflow} --output-dir DIR"
            ) from error
        return path


def _tidy(path: Path, terms: Terms) -> None:
    """Remove a script that nobody needs any more, unless it is to be kept."""
    if not terms.keep_scripts:
        with suppress(OSError):
            path.unlink()
