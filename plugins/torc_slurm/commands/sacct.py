"""`torc slurm sacct`: what Slurm's accounting says of a workflow's allocations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import Conflict, TorcError, UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.model.resources import duration_text, memory_text
from torc_slurm.accounting.steps import Step, accounted, documents, numbers_of
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import amount


def _length(key: str) -> Column:
    titles = {"elapsed_seconds": "Elapsed", "cpu_time_seconds": "CPU Time"}

    def show(item: object) -> str:
        value = item[key]  # type: ignore[index]  # an item of ours
        return "" if value is None else duration_text(value)

    return Column(title=titles[key], key=key, right=True, show=show)


COLUMNS = (
    Column(title="Slurm Job", key="slurm_job_id", right=True),
    Column(title="Job Step", key="job_step"),
    Column(title="State", key="state"),
    Column(title="Exit Code", key="exit_code", right=True),
    _length("elapsed_seconds"),
    Column(
        title="Max RSS", key="max_rss_bytes", right=True,
        show=lambda item: "" if item["max_rss_bytes"] is None else memory_text(item["max_rss_bytes"]),  # type: ignore[arg-type]  # an int
    ),
    _length("cpu_time_seconds"),
    Column(title="Nodes", key="nodes"),
)  # fmt: skip


def sacct(
    workflow: str | None = None,
    /,
    *,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    save_json: Flag = False,
    allocations_only: Flag = False,
    session: Given,
) -> Report:
    """Show what Slurm's accounting says of a workflow's allocations and their steps; Slurm is asked once.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output_dir
        Where --save-json writes; normally torc_output.
    save_json
        Write sacct_<number>.json for each allocation, as Slurm has it where its release can write JSON.
    allocations_only
        No steps.
    """
    wf = selected(session, workflow)
    numbers = numbers_of(session.store(), wf)
    slurm = Slurm.of(session.config, session.clock)
    if numbers and not slurm.here("sacct"):
        raise Conflict(
            "Slurm is not on this host: no 'sacct' in PATH; ask on a login node, or see what torc has measured: "
            f"torc slurm stats {wf}"
        )
    errors: list[Json] = []
    steps: list[Step] = []
    try:
        lines = accounted(slurm, numbers) if numbers else []
        if lines is None:
            errors.append("this cluster keeps no accounts: accounting storage is disabled")
        else:
            steps = [Step.of(line) for line in lines]
    except TorcError as error:
        errors.append(str(error))
    known = {one.slurm_job for one in steps}
    if not errors:
        errors += [
            f"the accounting knows nothing of allocation {one} yet" for one in numbers if one not in known
        ]
    for text in errors:
        session.warn(str(text))
    if save_json and steps:
        _save(session.config.client.run.output_dir if output_dir is None else output_dir, slurm, steps)
    shown = [one for one in steps if not (allocations_only and one.step)]
    whole = [one for one in steps if not one.step]
    rows = [one.item() for one in shown]
    cpu, elapsed = sum(one.cpu or 0 for one in whole), sum(one.elapsed or 0 for one in whole)
    peak = max((one.max_rss or 0 for one in steps), default=0)
    return Report(
        schema="torc.slurm.sacct/1",
        data={"workflow_id": wf, "total_slurm_jobs": len(known), "summary": rows, "errors": errors},
        text=(
            f"{len(known)} of {amount(len(numbers), 'allocation')}: elapsed {duration_text(elapsed)}, CPU time "
            f"{duration_text(cpu)}, largest step {memory_text(peak) if peak else 'not measured'}"
        ),
        rows=rows,
        columns=COLUMNS,
        noun="allocations",
        exit_code=1 if errors and not steps and numbers else 0,
    )


def _save(folder: str, slurm: Slurm, steps: list[Step]) -> None:
    """Write a file for each allocation.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    numbers = sorted({one.slurm_job for one in steps})
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for number, told in documents(slurm, numbers, steps).items():
            (path / f"sacct_{number}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write into '{folder}': {(error.strerror or 'error').lower()}") from error
