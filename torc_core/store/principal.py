"""Who asks, and what he may do at most (`security.md` §3.2, §5)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from torc_core.model import JobId, WorkflowId
from torc_core.record import record


class Right(StrEnum):
    """A class of calls; those from `read` to `own` are about one workflow."""

    PUBLIC = "public"
    READ = "read"
    EDIT = "edit"
    RUN = "run"
    OPERATE = "operate"
    OWN = "own"
    USER = "user"
    ADMIN = "admin"


ORDER = (Right.READ, Right.EDIT, Right.RUN, Right.OPERATE, Right.OWN)
"""The rights on a workflow, the least first."""

EVERYTHING = frozenset(Right)

LEVELS = {
    "own": frozenset(ORDER),
    "full": frozenset(ORDER) - {Right.OWN},
    "read": frozenset({Right.READ}),
    "none": frozenset[Right](),
}
"""What the word of `Permissions.access` allows."""


def up_to(right: str) -> frozenset[Right]:
    """A right on workflows and all that are less; none for a word that is no such right."""
    names = [str(one) for one in ORDER]
    return frozenset(ORDER[: names.index(right) + 1]) if right in names else frozenset()


@record(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody, or something, that asks.

    Parameters
    ----------
    name
        The user in whose name it acts; workflows it creates are his.
    established
        How that is known: `kernel`, `key`, `password`, `token`, `capability`, `cookie`, `open`.
    rights
        The most it may do; users and tokens may do it where their name may.
    workflows
        The only ones it may touch; None: those that its name may use.
    everywhere
        It acts for an admin: its rights hold in every workflow, whoever has it.
    job, run_id, attempt_id
        The attempt that a job's capability belongs to.
    mark
        What tells it from others of its name: the public part of a token.
    """

    kind: Literal["owner", "user", "token", "job", "workflow", "runner", "nobody"]
    name: str
    established: str = ""
    rights: frozenset[Right] = frozenset({Right.PUBLIC})
    workflows: frozenset[WorkflowId] | None = None
    everywhere: bool = False
    job: JobId | None = None
    run_id: int = 0
    attempt_id: int = 0
    mark: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything."""
        return Right.ADMIN in self.rights

    @property
    def by_name(self) -> bool:
        """Whether its name decides what it may do with a workflow, besides its own rights."""
        return self.kind in {"user", "token"} and not self.everywhere

    @property
    def identity(self) -> str:
        """What tells it from all others, for what is kept of its calls and for the audit."""
        return ":".join(filter(None, (self.kind, self.name, self.mark)))


NOBODY = Principal(kind="nobody", name="")
