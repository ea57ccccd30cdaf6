"""`torc plot-resources`: files of samples become pages."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from cyclopts import Parameter

from torc_core.given import Answer, Given
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.standing import amount


def plot_resources(
    *paths: Annotated[str, Parameter(name="DB_PATH")],
    output_dir: Annotated[str, Parameter(name=["--output-dir", "-o"])] = ".",
    job_ids: Annotated[str | None, Parameter(name=["--job-ids", "-j"])] = None,
    prefix: Annotated[str, Parameter(name=["--prefix", "-p"])] = "resource_plot",
    format: Annotated[Literal["html", "json"], Parameter(name=["--format", "-f"])] = "html",
    run: int | None = None,
    attempt: int | None = None,
    session: Given,
) -> Answer:
    """Draw what jobs and nodes used over time.

    torc plot-resources torc_output

    torc plot-resources torc_output/resource_utilization/*.db -o plots -j 17,20-25

    Each page is complete in itself: it can be copied anywhere, and loads nothing.

    Parameters
    ----------
    paths
        Files of samples, patterns, or folders that have some below them.
    output_dir
        Where the pages go.
    job_ids
        Only these jobs: 17,20-25.
    prefix
        How the names of the pages begin.
    format
        Pages, or the same as JSON files.
    run
        Only samples of this run.
    attempt
        Only samples of this attempt.
    """
    from torc_cli.execute.places import folder
    from torc_cli.plots.charts import left_out, sheets
    from torc_cli.plots.page import document, page
    from torc_cli.plots.samples import files_of, read
    from torc_core import __version__
    from torc_core.errors import TorcError, UsageError

    refuse_csv(session)
    if not paths:
        raise UsageError("no file given; write e.g. torc plot-resources torc_output")
    if os.sep in prefix or not prefix:
        raise UsageError(
            f"--prefix '{prefix}' cannot begin the name of a file; choose the folder with --output-dir"
        )
    chosen = numbers(job_ids) if job_ids is not None else frozenset[int]()
    found = files_of(paths)
    samples = read(found, chosen, run, attempt)
    if not samples.jobs and not (samples.nodes and not chosen):
        raise TorcError(
            "no samples found; put 'resource_monitor: {enabled: true, granularity: time_series}' into the specification",
        )
    folder(output_dir, "--output-dir")
    written = []
    for sheet in sheets(samples, chosen=bool(chosen)):
        path = os.path.join(output_dir, f"{prefix}_{sheet.name}.{format}")
        text = page(sheet, __version__) if format == "html" else document(sheet)
        try:
            write(path, text)
        except OSError as error:
            raise UsageError(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error
        written.append(path)
    if rest := left_out(samples, chosen=bool(chosen)):
        session.note(
            f"{amount(rest, 'more job has no page of its own', 'more jobs have no page of their own')}; choose with --job-ids"
        )
    return Report(
        schema="torc.plot-resources/1",
        data={"files": written, "count": len(written), "sources": found, "jobs_left_out": rest},
        text="".join(f"{path}\n" for path in written),
    )


def numbers(text: str) -> frozenset[int]:
    """Job ids: single ones and ranges, with commas between them.

    Raises
    ------
    UsageError
        If it is something else.
    """
    from torc_core.errors import UsageError

    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise UsageError(f"--job-ids '{text}' is not a list of jobs; write e.g. 17,20-25")
        found |= set(range(int(first), min(int(last or first), int(first) + 1_000_000) + 1))
    return frozenset(found)


def write(path: str, text: str) -> None:
    """Write a file that its owner alone may read; never through a link."""
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
