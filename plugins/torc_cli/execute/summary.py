"""What `torc run` and `torc exec` say: each failed job at once, and the whole at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from torc_core.model import JobId, JobStatus, Json, Query, Result, Totals, WorkflowId
from torc_core.model.resources import duration_text
from torc_core.protocols import Store
from torc_core.runner.report import MOST_FAILURES, End, Leaving
from torc_core.runner.report import Report as RunnerReport
from torc_core.session import Session
from torc_terminal.output.answer import Report as Answer
from torc_terminal.output.cells import plain
from torc_terminal.standing import amount, by_status, counted, failures, heading

SHOWN = 20
"""So many failed jobs have a line of their own (`cli.md` R6); the others are counted."""

BAD = (JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.CANCELED)


def failed_line(end: End) -> str:
    """`job 'train_7' (id 107) failed: exit code 3; log: torc_output/job_stdio/job_wf42_j107_r1_a1.e`."""
    job, ending = end.given.job, end.ending
    log = end.stderr or end.stdout
    where = f"; log: {shortest(log)}" if log else ""
    return f"job '{plain(job.name)}' (id {job.id}) {ending.status.label}: {why(ending.return_code, ending.reason)}{where}"


def why(return_code: int, reason: str | None) -> str:
    """An end in words."""
    if reason is None or reason == "exit_code":
        return f"exit {return_code}"
    kind, _, rest = reason.partition(":")
    if kind == "signal":
        return f"killed by signal {rest.strip()}"
    if kind == "oom":
        return f"exit {return_code} (out of memory, {plain(rest.strip())})"
    return f"exit {return_code} ({plain(reason)})"


def shortest(path: str) -> str:
    """A path as seen from here, if that is shorter."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return relative if len(relative) < len(path) else path


class FailureLines:
    """Prints the first failed jobs as they fail, then counts; jobs that were interrupted are not told one by one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen = 0

    def __call__(self, end: End) -> None:
        """A job ended badly."""
        if end.ending.reason in ("interrupted", "canceled"):
            return
        self._seen += 1
        if self._seen <= SHOWN:
            self._say(failed_line(end))
        elif self._seen == SHOWN + 1:
            self._say(f"more than {SHOWN} jobs failed; from here on they are only counted")

    @property
    def unsaid(self) -> int:
        """How many had no line of their own."""
        return max(0, self._seen - SHOWN)


def leaving_line(report: RunnerReport, totals: Totals) -> str | None:
    """Why this runner left an unfinished workflow; None: it is complete, or what happened was said."""
    if report.leaving in (Leaving.COMPLETE, Leaving.CANCELED, Leaving.SIGNAL) or totals.complete:
        return None
    reasons: Mapping[Leaving, str] = {
        Leaving.IDLE: "no work came for a while",
        Leaving.NOTHING_FITS: "nothing that is left can run here",
        Leaving.END_TIME: "the time of this run is over",
        Leaving.AWAY: "the store could not be reached",
        Leaving.FENCED: "another runner has taken the place of this one",
    }
    reason = report.detail or reasons.get(report.leaving, report.leaving.value)
    return f"left with {amount(totals.total - totals.done, 'job')} unfinished: {reason}"


def exit_code(report: RunnerReport | None, totals: Totals) -> int:
    """The exit code of `torc run` (`runner.md` §10.4): the first of 130/143, 4, 7, 1 that applies."""
    if report is not None and report.exit_code not in (0, 1):
        return report.exit_code
    if totals.workflow.is_canceled:
        return 7
    return 0 if totals.complete and totals.good else 1


def failed_jobs(
    store: Store, workflow: WorkflowId, ends: Sequence[End], paths: Callable[[Result], str | None]
) -> list[Json]:
    """The first hundred jobs whose current result is bad, each with where its errors are.

    Parameters
    ----------
    ends
        Of this runner; they know the paths of their files.
    paths
        Where the errors of a result of another runner should be.
    """
    where: dict[str, tuple[int, ...] | bool] = {
        "status": tuple(int(status) for status in BAD),
        "current": True,
    }
    results = store.find(Result, Query(workflow=workflow, where=where, limit=MOST_FAILURES)).items
    known: dict[tuple[JobId, int, int], str | None] = {
        (end.ending.job, end.ending.run_id, end.ending.attempt_id): end.stderr or end.stdout for end in ends
    }
    return [
        {
            "job_id": result.job_id,
            "name": result.job_name,
            "return_code": result.return_code,
            "reason": result.reason,
            "stderr": known.get((result.job_id, result.run_id, result.attempt_id)) or paths(result),
        }
        for result in results
    ]


def run_answer(
    totals: Totals,
    *,
    wall_seconds: float,
    output_dir: str,
    failed: list[Json],
    code: int,
    utilisation: float | None = None,
    hint: str | None = None,
    to_stderr: bool = False,
) -> Answer | QuietAnswer:
    """The final summary (`cli.md` R7): a table for people, `torc.run/1` for programs.

    Parameters
    ----------
    utilisation
        Part of what was offered that jobs used, from 0 to 1.
    to_stderr
        Print the table on stderr, because the output of jobs went to stdout.
    """
    workflow = totals.workflow
    data: dict[str, Json] = {
        "workflow_id": workflow.id,
        "workflow_name": workflow.name,
        "run_id": workflow.run_id,
        "jobs_by_status": dict(by_status(totals)),
        "is_complete": totals.complete,
        "wall_seconds": round(wall_seconds, 3),
        "output_dir": output_dir,
        "failed_jobs": failed,
    }
    used = f"   utilisation {utilisation:.0%}" if utilisation is not None else ""
    lines = [
        heading(totals),
        counted(totals),
        f"Time:      {duration_text(wall_seconds)}{used}   job time {duration_text(totals.exec_minutes * 60)}",
        failures(totals),
        f"Output:    {shortest(output_dir)}",
    ]
    text = "\n".join(line for line in lines if line)
    answer = Answer(schema="torc.run/1", data=data, text=text, hint=hint, exit_code=code)
    return QuietAnswer(answer, code) if to_stderr else answer


def next_command(totals: Totals) -> str | None:
    """What to do next (`cli.md` R4, R7)."""
    number = totals.workflow.id
    if totals.workflow.is_canceled:
        return None
    if not totals.complete:
        return f"go on with: torc run {number}"
    if totals.good:
        return f"results: torc results list {number}"
    return f"what failed: torc results list {number} --failed"


class QuietAnswer:
    """A summary whose table belongs on stderr; JSON stays on stdout."""

    def __init__(self, answer: Answer, exit_code: int) -> None:
        self._answer = answer
        self.exit_code = exit_code

    def render(self, session: Session) -> None:
        """Print it."""
        if session.format == "json":
            self._answer.render(session)
        elif isinstance(self._answer.text, str):
            session.note(self._answer.text)
