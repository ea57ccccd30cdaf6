"""The environment that jobs get (`runner.md` §5.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torc_core.model import Assignment, Workflow

SECRET = ("TORC_PASSWORD", "TORC_TOKEN*", "TORC_COOKIE*", "TORC_*KEY*", "TORC_*SECRET*")
OUTER_JOB = (
    "TORC_API_URL", "TORC_ATTEMPT_ID", "TORC_JOB_ID", "TORC_JOB_NAME", "TORC_MARK", "TORC_RUNNER", "TORC_RUN_ID",
    "TORC_WORKFLOW_ID", "TORC_WORKFLOW_SUBMISSION_DIR", "TORC_ORCHESTRATOR_LINEAGE_ID",
)  # fmt: skip
"""What a runner that is itself a job of torc was told about that job."""
OUTER_STEP = (
    "PMI*", "OMPI_COMM_WORLD_*", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP*", "SLURM_TASK_PID",
)  # fmt: skip
"""What an outer `srun` told the runner; a job that starts MPI itself would take it for its own."""


def base(environ: Mapping[str, str], workflow: Workflow, *, output_dir: str, runner: str) -> dict[str, str]:
    """What all jobs of a runner have in common; `runner` is `pid.start` of this process."""
    drop = (*SECRET, *OUTER_JOB, *(OUTER_STEP if "SLURM_STEP_ID" in environ else ()))
    kept = {name: value for name, value in environ.items() if not any(fnmatchcase(name, one) for one in drop)}
    kept |= {"TORC_WORKFLOW_ID": str(workflow.id), "TORC_OUTPUT_DIR": output_dir, "TORC_RUNNER": runner}
    if workflow.submission_directory:
        kept["TORC_WORKFLOW_SUBMISSION_DIR"] = workflow.submission_directory
    return kept


def own(
    given: Assignment,
    mark: str,
    devices: Mapping[str, str],
    base: Mapping[str, str],
    api_url: str | None = None,
) -> dict[str, str]:
    """What only this job has: its own `env`, then what torc says, which wins."""
    job = given.job
    told = {
        "TORC_JOB_ID": str(job.id),
        "TORC_JOB_NAME": job.name,
        "TORC_RUN_ID": str(job.run_id),
        "TORC_ATTEMPT_ID": str(job.attempt_id),
        "TORC_MARK": mark,
        **devices,
    }
    if api_url is not None:
        told["TORC_API_URL"] = api_url
    if not job.env:
        return told
    fixed = {name: base[name] for name in TOLD_TO_ALL if name in base}
    return (
        {name: value for name, value in job.env.items() if name not in UNSET or name in base} | fixed | told
    )


TOLD_TO_ALL = (
    "TORC_WORKFLOW_ID", "TORC_OUTPUT_DIR", "TORC_RUNNER", "TORC_WORKFLOW_SUBMISSION_DIR",
)  # fmt: skip
UNSET = frozenset({"TORC_API_URL", "TORC_WORKFLOW_SUBMISSION_DIR"})
"""Names that only torc may set: where it does not, a job's own `env` cannot invent them."""


def devices(gpus: Sequence[str], *, counted: bool, hidden: bool, amd: bool) -> dict[str, str]:
    """The variables that show a job its devices, and no others (`runner.md` §4).

    Parameters
    ----------
    gpus
        The ids of its devices.
    counted
        Devices are counted for this job: it runs on one node, and not in queue-depth mode.
    hidden
        A job that asks for none shall see none.
    """
    if not counted or not (gpus or hidden):
        return {}
    ids = ",".join(gpus)
    return (
        {"CUDA_VISIBLE_DEVICES": ids, "ROCR_VISIBLE_DEVICES": ids} if amd else {"CUDA_VISIBLE_DEVICES": ids}
    )
