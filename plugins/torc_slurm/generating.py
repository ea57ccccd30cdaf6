"""Plans the allocations of a specification, and writes the plan into it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torc_core.errors import BadValue, Conflict, UsageError
from torc_core.record import record
from torc_core.spec.complaint import Complaints
from torc_core.spec.document import Document
from torc_core.spec.load import opened
from torc_core.spec.read import decode, read_bytes
from torc_core.spec.validate import Validated, validate
from torc_slurm.planning.inserting import inserted, without_header
from torc_slurm.planning.plan import Circumstances, SlurmPlan, Wishes
from torc_slurm.planning.planner import planned
from torc_slurm.planning.telling import header
from torc_slurm.planning.times import before_end
from torc_slurm.planning.work import work_of
from torc_slurm.planning.writing import bare, rewritten, scheduled
from torc_slurm.profiles.reading import profile_for
from torc_terminal.specs import accepted, options_of

if TYPE_CHECKING:
    from torc_core.model import Json, Plan
    from torc_core.providers import SpecFormat
    from torc_core.session import Session
    from torc_slurm.commands.planner_options import PlannerOptions
    from torc_slurm.profiles.model import Profile
    from torc_terminal.creating import Creating

MARKS = {"yaml": "#", "json5": "//", "kdl": "//"}
"""How comments begin; formats that have none are not in it."""

TEMPLATE = "{"
"""Text with it differs between the copies of a job."""


@record(frozen=True, slots=True, kw_only=True)
class Generated:
    """A specification with its plan.

    Parameters
    ----------
    found
        The specification with the plan in it, as `torc create` would take it.
    tree
        Its document.
    names
        Of all its jobs.
    text, document
        As it was read.
    """

    plan: SlurmPlan
    account: str
    found: Validated
    tree: Mapping[str, Any]
    names: Sequence[str]
    text: str
    document: Document

    def written(self, format: SpecFormat) -> str:
        """The specification as text, with the plan as comments on top where the format has them."""
        mark = MARKS.get(format.name)
        above = header(self.plan, self.account, self.names, mark) if mark else ""
        if format.name == "yaml" == self.document.format:
            kept = inserted(self.text, self.document, self.tree, format.load, format.dump)
            return above + (kept or format.dump(self.tree))
        return above + format.dump(bare(self.tree))


def generated(
    session: Session,
    file: str,
    creating: Creating,
    options: PlannerOptions,
    *,
    overwrite: bool = False,
    with_actions: bool = True,
) -> Generated:
    """Read a specification and plan its allocations; nothing is written.

    Parameters
    ----------
    file
        A path, or `-` for standard input.
    overwrite
        Whether schedulers and allocations that it has make way.
    with_actions
        Whether it is to ask for its allocations itself.

    Raises
    ------
    Complaints
        If the specification is not valid.
    Conflict
        If it has schedulers already, or a cap cannot be kept.
    BadValue
        If a job fits nowhere.
    UsageError
        If there is no profile or no account.
    """
    wishes = options.wishes(session)
    text = without_header(decode(read_bytes(file), file))
    document, how = opened(
        file, session.host.formats, options_of(creating), text=text, format=creating.spec_format
    )
    if file != "-":
        how = replace(how, source_path=os.path.realpath(file))
    before = validate(document, file=file, options=how)
    plan = accepted(session, replace(before, complaints=before.errors))
    if scheduled(document.tree, ()) and not overwrite:
        raise Conflict(
            f"'{file}' has Slurm schedulers or asks for allocations already; replace them with --overwrite"
        )
    profile = profile_for(session, options.profile)
    account = account_for(session, options.account, plan.workflow.slurm_defaults, profile)
    names = [job.name for job in plan.jobs]
    answer = _planned(plan, before.origins, document.tree, profile, wishes)
    schedulers = _schedulers(answer, before.origins, document.tree)
    tree = rewritten(document.tree, answer, account, names, schedulers, with_actions=with_actions)
    after = validate(
        Document(tree=tree, locate=document.locate, format=document.format), file=file, options=how
    )
    if after.errors:
        raise Complaints(after.errors)
    return Generated(
        plan=answer, account=account, found=after, tree=tree, names=names, text=text, document=document
    )


def circumstances(
    config: Mapping[str, Json] | None, expiration_buffer: int | None, wait_for_jobs: int, **more: Any
) -> Circumstances:
    """What a workflow says about its runners."""
    execution = config or {}
    return Circumstances(
        before_end=before_end(execution, expiration_buffer),
        patience=wait_for_jobs or None,
        staggered=execution.get("staggered_start", True) is not False,
        steps=execution.get("mode") in ("slurm", "auto"),
        **more,
    )


def account_for(
    session: Session, asked: str | None, defaults: Mapping[str, Json] | None, profile: Profile
) -> str:
    """Whom to charge.

    Raises
    ------
    UsageError
        If nobody says so.
    """
    account = (
        asked
        or (defaults or {}).get("account")
        or profile.default_account
        or session.config.client.hpc.default_account
    )
    if not account:
        raise UsageError(
            "no account to charge; name one with --account, in slurm_defaults, or for good with "
            "'torc config set client.hpc.default_account NAME'"
        )
    return str(account)


def _planned(
    plan: Plan, origins: Sequence[int], tree: Mapping[str, Any], profile: Profile, wishes: Wishes
) -> SlurmPlan:
    """The plan; jobs of the document whose copies need different schedulers are grouped by requirement."""
    about = plan.workflow
    around = circumstances(
        about.execution_config,
        about.compute_node_expiration_buffer_seconds,
        about.compute_node_wait_for_new_jobs_seconds,
    )
    work = work_of(plan)
    answer = planned(work, profile, wishes, around)
    mixed = _mixed(answer, origins)
    if not mixed or wishes.group_by != "partition":
        return answer
    apart = frozenset(work.requirements[job] for job, origin in enumerate(origins) if origin in mixed)
    return planned(work, profile, wishes, replace(around, apart=apart))


def _mixed(answer: SlurmPlan, origins: Sequence[int]) -> frozenset[int]:
    """Jobs of the document whose copies belong to several groups."""
    first: dict[int, str] = {}
    mixed = set()
    for group in answer.groups:
        for job in group.jobs:
            if first.setdefault(origins[job], group.name) != group.name:
                mixed.add(origins[job])
    return frozenset(mixed)


def _schedulers(answer: SlurmPlan, origins: Sequence[int], tree: Mapping[str, Any]) -> dict[int, str]:
    """By place in the document the scheduler of a job: its name, or a template that makes it."""
    mixed = _mixed(answer, origins)
    found = {origins[job]: group.name for group in answer.groups for job in group.jobs}
    for place in mixed:
        job = tree["jobs"][place]
        requirement = str(bare(job.get("resource_requirements")) or "")
        if TEMPLATE not in requirement:
            raise BadValue(
                f"jobs[{place}] '{bare(job.get('name'))}': its copies need different schedulers; write them as separate jobs"
            )
        found[place] = f"{requirement}_scheduler"
    return found
