"""What is said of a workflow beside its specification, as options of commands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.record import record
from torc_terminal.options import Flag


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Creating:
    """What is said of a workflow beside its specification.

    Parameters
    ----------
    name
        Name of the workflow, instead of that in the specification.
    description
        Description of the workflow, instead of that in the specification.
    project
        Project of the workflow, instead of that in the specification.
    metadata
        A JSON object, or `@FILE` with one in it, instead of that in the specification.
    access_group
        Group that may see the workflow, instead of those in the specification; may be repeated.
    spec_format
        Format of the specification: yaml, json, json5, kdl; normally told by the suffix or found out.
    no_resource_monitoring
        Do not watch what jobs use, where the specification does not say.
    skip_checks
        Only warn where a scheduler of several nodes does not fit its jobs.
    max_expanded
        Refuse specifications that make more jobs.
    """

    name: str | None = None
    description: str | None = None
    project: str | None = None
    metadata: str | None = None
    access_group: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    spec_format: str | None = None
    no_resource_monitoring: Flag = False
    skip_checks: Flag = False
    max_expanded: int = 1_000_000

    def refuse_for(self, workflow: str) -> None:
        """Object if something is said of a workflow that is there already (`workflow`: its id, or `last`).

        Raises
        ------
        UsageError
            If so.
        """
        if self != Creating(skip_checks=self.skip_checks):
            raise UsageError(
                f"'{workflow}' is a workflow that is there already, to which options about specifications do not apply; "
                f"change it with 'torc workflows update {workflow}'"
            )
