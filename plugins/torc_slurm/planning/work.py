"""What a planner is given: jobs, what they need, and what they wait for; equal ones are put together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torc_core.engine.dag import Dag, of_plan
from torc_core.model import Plan, Shape
from torc_core.record import record

_DIGITS = re.compile(r"[0-9]+")


@record(frozen=True, slots=True, kw_only=True)
class Work:
    """A workflow as the planner sees it; jobs are positions in `dag.steps`.

    Parameters
    ----------
    requirements
        Of each job the name of its resource requirement.
    elsewhere
        Jobs that need no allocation of ours: runners outside of Slurm have them, or they run already. They are
        taken to start as soon as they are ready.
    done
        Jobs that have ended.
    """

    dag: Dag
    requirements: Sequence[str]
    elsewhere: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()


@record(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is the same however the work is planned.

    Parameters
    ----------
    needs
        Distinct needs, whichever scheduler a job is bound to, and the name of the requirement that first has each.
    kind_of
        Of each job the position of its need; None: it has ended.
    jobs
        Of each need the jobs that are to be planned.
    alike
        The jobs that nothing tells apart, by priority descending, then by the first of them: those of the cohorts.
    stages, waits
        Of each of these the level of the jobs and their name without its numbers, and the dependency groups that they
        wait for.
    members
        As those of the dag.
    missing
        Of each dependency group the number of jobs that have not ended.
    """

    work: Work
    needs: Sequence[tuple[Shape, str]]
    kind_of: Sequence[int | None]
    jobs: Sequence[Sequence[int]]
    alike: Sequence[Sequence[int]]
    stages: Sequence[tuple[int, str]]
    waits: Sequence[Sequence[int]]
    members: Sequence[Sequence[int]]
    missing: Sequence[int]


@record(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Jobs that nothing tells apart: they need the same, wait for the same, and the same waits for them.

    Parameters
    ----------
    kind
        Position of their need.
    group
        Which group of the plan they belong to; None: they run elsewhere.
    waits, members
        Positions of the dependency groups that they wait for, and that they belong to.
    """

    need: Shape
    kind: int
    priority: int
    group: int | None
    jobs: Sequence[int]
    waits: Sequence[int] = ()
    members: Sequence[int] = ()


@record(frozen=True, slots=True, kw_only=True)
class Course:
    """The cohorts of a workflow, and how many jobs each dependency group lacks in the beginning.

    Parameters
    ----------
    cohorts
        By priority descending, then by their first job.
    missing
        Of each dependency group the number of jobs that have not ended.
    """

    outline: Outline
    cohorts: Sequence[Cohort]
    missing: Sequence[int]


def work_of(plan: Plan) -> Work:
    """A planned workflow; labelled jobs are for runners outside of Slurm (`slurm.md` PL1)."""
    return Work(
        dag=of_plan(plan),
        requirements=[plan.requirements[job.requirement].name for job in plan.jobs],
        elsewhere=frozenset(place for place, job in enumerate(plan.jobs) if job.label is not None),
    )


def outline(work: Work, *, by_requirement: bool = False) -> Outline:
    """Look at the work; `by_requirement`: requirements of different names are told apart though they say the same."""
    found: dict[tuple[object, ...], int] = {}
    needs: list[tuple[Shape, str]] = []
    kind_of: list[int | None] = []
    jobs: list[list[int]] = []
    for job, step in enumerate(work.dag.steps):
        if job in work.done:
            kind_of.append(None)
            continue
        name = work.requirements[job]
        key = (step.cpus, step.memory, step.gpus, step.nodes, step.seconds, by_requirement and name)
        kind = found.get(key)
        if kind is None:
            kind = found[key] = len(needs)
            seconds = max(1, int(-(-step.seconds // 1)))
            shape = Shape(
                cpus=step.cpus, memory=step.memory, gpus=step.gpus, nodes=step.nodes, runtime=seconds
            )
            needs.append((shape, name))
            jobs.append([])
        kind_of.append(kind)
        if job not in work.elsewhere:
            jobs[kind].append(job)
    members, levels = work.dag.members(), work.dag.levels()
    alike = _alike(work, kind_of, members)
    missing = [sum(1 for job in group if job not in work.done) for group in work.dag.groups]
    return Outline(
        work=work, needs=needs, kind_of=kind_of, jobs=jobs, alike=alike, members=members,
        stages=[(levels[one[0]], _DIGITS.sub("#", work.dag.steps[one[0]].name)) for one in alike],
        waits=[[group for group in work.dag.waits[one[0]] if missing[group]] for one in alike], missing=missing,
    )  # fmt: skip


def _alike(
    work: Work, kind_of: Sequence[int | None], members: Sequence[Sequence[int]]
) -> Sequence[Sequence[int]]:
    dag = work.dag
    found: dict[tuple[object, ...], list[int]] = {}
    for job, kind in enumerate(kind_of):
        if kind is not None:
            key = (
                kind,
                dag.steps[job].priority,
                job in work.elsewhere,
                tuple(dag.waits[job]),
                tuple(members[job]),
            )
            found.setdefault(key, []).append(job)
    return sorted(found.values(), key=lambda jobs: (-dag.steps[jobs[0]].priority, jobs[0]))


def course(seen: Outline, group_of_kind: Sequence[int | None]) -> Course:
    """Put equal jobs together, given the group of the plan that each kind of job belongs to."""
    work, dag = seen.work, seen.work.dag
    cohorts = []
    for place, jobs in enumerate(seen.alike):
        first = jobs[0]
        kind = seen.kind_of[first]
        assert kind is not None
        cohorts.append(
            Cohort(
                need=seen.needs[kind][0],
                kind=kind,
                priority=dag.steps[first].priority,
                group=None if first in work.elsewhere else group_of_kind[kind],
                jobs=jobs,
                waits=seen.waits[place],
                members=seen.members[first],
            )
        )
    return Course(outline=seen, cohorts=cohorts, missing=seen.missing)
