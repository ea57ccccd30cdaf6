"""Which fields of `execution_config` belong to one mode of execution (`workflow-spec.md` §8)."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model.plan import Json

ONLY_IN: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "limit_resources", "limit_runtime", "termination_signal", "sigterm_lead_seconds", "allow_daemons",
            "oom_exit_code", "srun_mpi",
        ),
        "direct",
    ),
    **dict.fromkeys(("srun_termination_signal", "enable_cpu_bind"), "slurm"),
}  # fmt: skip
"""Fields that mean something in one mode only."""


def misplaced(config: Mapping[str, Json], mode: str) -> list[tuple[str, str]]:
    """The fields that are given and belong to the other mode, each with a sentence; none for a mode that is not known."""
    if mode not in ("direct", "slurm"):
        return []
    return [
        (name, f"execution_config.{name} only applies in {only} mode, but the mode is {mode}")
        for name, only in ONLY_IN.items()
        if only != mode and config.get(name) is not None
    ]
