"""What can be configured of the executor of this machine."""

from __future__ import annotations

from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class SubprocessSettings:
    """`[executors.subprocess]`: how jobs are kept within their limits."""

    control_groups: bool = field(
        default=True,
        metadata={
            "help": "Let the kernel keep jobs within their memory, where control groups can be made; else sample them."
        },
    )
