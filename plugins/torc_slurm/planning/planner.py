"""From a workflow and a cluster to schedulers and waves of allocations (`slurm.md` §7.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torc_core.errors import BadValue, UsageError, did_you_mean
from torc_core.model import Resources, Shape
from torc_core.record import record
from torc_slurm.planning.caps import capped
from torc_slurm.planning.choice import Choice, choose
from torc_slurm.planning.naming import scheduler_name, sentence_of
from torc_slurm.planning.packing import Kind as PackedKind
from torc_slurm.planning.packing import Packings
from torc_slurm.planning.plan import Circumstances, Group, Kind, Proof, SlurmPlan, Wave, Wishes
from torc_slurm.planning.queue import Block
from torc_slurm.planning.replay import Firing
from torc_slurm.planning.shares import share
from torc_slurm.planning.times import Overhead, walltime
from torc_slurm.planning.waves import Flow, flow
from torc_slurm.planning.work import Course, Outline, Work, course, outline
from torc_slurm.profiles.model import Partition, Profile
from torc_slurm.scheduler.times import written
from torc_slurm.submission.stagger import window as window_of
from torc_terminal.standing import amount

MOST_ALLOCATIONS = 100
"""More than so many are worth a hint."""

LOW_UTILISATION = 0.3

ROUNDS_OF_STAGGER = 4

Fired = tuple[Firing, Mapping[PackedKind, int]]
"""A firing, and the jobs it was sized for."""


@record(frozen=True, slots=True, kw_only=True)
class Draft:
    """A group before its allocations are counted; the fields are those of `plan.Group`."""

    key: str
    partition: Partition
    jobs: Sequence[int]
    longest: int
    nodes: int
    per_node: bool
    kinds: Sequence[int]
    rounds: int | None = None

    def walltime(self, overhead: int, wishes: Wishes) -> int:
        """Of each allocation, in seconds."""
        return walltime(
            self.longest,
            overhead,
            self.partition.max_walltime_secs,
            strategy=wishes.strategy,
            multiplier=wishes.multiplier,
            fixed=wishes.walltime,
            rounds=self.rounds,
        )

    def block(self, overhead: int, wishes: Wishes, node: Resources | None = None) -> Block:
        """An allocation as claims see it."""
        return Block(
            node=node or self.partition.node,
            nodes=1 if self.per_node else self.nodes,
            usable=self.walltime(overhead, wishes) - overhead,
        )


def planned(
    work: Work, profile: Profile, wishes: Wishes, circumstances: Circumstances | None = None
) -> SlurmPlan:
    """Plan the allocations of a workflow.

    Raises
    ------
    BadValue
        If jobs fit into no partition; every kind of them is named, with the partition that comes nearest.
    UsageError
        If the partition does not exist, or the walltime that was asked for is too short.
    Conflict
        If there have to be more allocations, nodes or node-hours than allowed.
    """
    circumstances = circumstances or Circumstances()
    if wishes.partition is not None and profile.partition(wishes.partition) is None:
        names = [one.name for one in profile.partitions]
        hint = did_you_mean(wishes.partition, names) or f"; there are {', '.join(names)}"
        raise UsageError(f"'{profile.name}' has no partition '{wishes.partition}'{hint}")
    by_requirement = wishes.group_by == "resource-requirements" or bool(circumstances.apart)
    seen = outline(work, by_requirement=by_requirement)
    window = 0
    for _ in range(ROUNDS_OF_STAGGER):
        planner = Planner(seen, profile, wishes, circumstances, window)
        # PERF: what starts at the beginning is known without a replay, and decides in most cases.
        at_start = window_of(planner.at_start()) if circumstances.staggered else 0
        if at_start > window and wishes.max_allocations is None and wishes.max_nodes is None:
            window = at_start
            continue
        plan = capped(planner)
        wider = window_of(runners(plan.groups)) if circumstances.staggered else 0
        if wider <= window:
            break
        window = wider
    else:
        plan = capped(Planner(seen, profile, wishes, circumstances, window))
    return replace(plan, warnings=[*plan.warnings, *planner.hints(plan)])


def runners(groups: Sequence[Group]) -> int:
    """The most runners that start together."""
    at_start = sum(_runners(one, wave) for one in groups for wave in one.waves if not wave.trigger)
    later = [_runners(one, wave) for one in groups for wave in one.waves if wave.trigger]
    return max([at_start, *later])


def _runners(group: Group, wave: Wave) -> int:
    return wave.allocations * (group.nodes if group.per_node else 1)


class Planner:
    """The steps that do not change while a plan is made to fit into caps."""

    def __init__(
        self, seen: Outline, profile: Profile, wishes: Wishes, circumstances: Circumstances, window: int
    ) -> None:
        self.seen, self.work = seen, seen.work
        self.profile, self.wishes, self.circumstances = profile, wishes, circumstances
        self.overhead = Overhead(window=window, before_end=circumstances.before_end).seconds
        self.warnings: list[str] = []
        self.packings = Packings()
        self.kinds = self._kinds()
        self._refuse_misfits()
        self.drafts = self._drafts()
        of_kind = {kind: place for place, one in enumerate(self.drafts) for kind in one.kinds}
        self.course: Course = course(seen, [of_kind.get(kind) for kind in range(len(seen.needs))])

    def _kinds(self) -> Sequence[Kind]:
        """Distinct needs (PL2), and the partition for each (PL3)."""
        return [
            Kind(
                need=need,
                jobs=jobs,
                requirement=name,
                choice=choose(
                    self.profile, need, self.overhead, count=len(jobs), fixed=self.wishes.partition
                ),
            )
            for (need, name), jobs in zip(self.seen.needs, self.seen.jobs, strict=True)
        ]

    def _refuse_misfits(self) -> None:
        lines = [
            f"{sentence_of([self.work.dag.steps[job].name for job in kind.jobs])} "
            f"({kind.requirement}): {_nearest(kind.choice)}"
            for kind in self.kinds
            if kind.jobs and kind.choice.partition is None
        ]
        if lines:
            raise BadValue(
                f"no partition of '{self.profile.name}' fits these jobs; change their requirements or name a "
                "profile with --profile:\n" + "\n".join(f"  {line}" for line in lines)
            )

    def _drafts(self) -> Sequence[Draft]:
        kinds: dict[str, list[int]] = {}
        for place, kind in enumerate(self.kinds):
            if not kind.jobs:
                continue
            assert kind.choice.partition is not None
            apart = self.wishes.group_by != "partition" or kind.requirement in self.circumstances.apart
            key = kind.requirement if apart else kind.choice.partition.name
            kinds.setdefault(key, []).append(place)
        drafts = []
        for key, places in kinds.items():
            those = [self.kinds[place] for place in places]
            partition = those[0].choice.partition
            assert partition is not None
            most = max(kind.need.nodes for kind in those)
            nodes = max(most, partition.min_nodes)
            if most > 1 and nodes > most:
                raise BadValue(
                    f"'{partition.name}' gives at least {nodes} nodes, but the jobs there need {most}; "
                    "choose another partition or let them need as many"
                )
            per_node = most == 1 and (nodes > 1 or self.wishes.single_allocation)
            if per_node and self.circumstances.steps:
                if nodes > 1:
                    raise BadValue(
                        f"'{partition.name}' gives at least {nodes} nodes, which jobs of one node can share in "
                        "direct mode only; choose another partition or execution_config.mode: direct"
                    )
                self._warn(
                    "--single-allocation needs direct mode; there is one allocation for each node instead"
                )
                per_node = False
            if self.wishes.single_allocation and most > 1:
                self._warn(
                    f"--single-allocation is for jobs of one node; '{key}' gets one allocation of {most} nodes for each place"
                )
            drafts.append(
                Draft(
                    key=key, partition=partition, jobs=sorted(job for kind in those for job in kind.jobs),
                    longest=max(kind.need.runtime for kind in those), nodes=nodes, per_node=per_node, kinds=places,
                )
            )  # fmt: skip
        return drafts

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def plan(self, rounds: Mapping[int, int]) -> SlurmPlan:
        """Count the allocations.

        Parameters
        ----------
        rounds
            By group, how often at least the longest job has to fit into an allocation.
        """
        drafts = [replace(one, rounds=rounds.get(place)) for place, one in enumerate(self.drafts)]
        blocks = [one.block(self.overhead, self.wishes) for one in drafts]
        found = self._flow(blocks)
        fired = _by_group(found, len(drafts))
        shares = [
            share(
                one.partition, blocks[place], [d for _, d in fired[place]], self._shapes(one), self.packings
            )
            if one.partition.shared and not one.per_node
            else None
            for place, one in enumerate(drafts)
        ]
        if any(shares):
            blocks = [
                one.block(self.overhead, self.wishes, part.usable if part else None)
                for one, part in zip(drafts, shares, strict=True)
            ]
            found = self._flow(blocks)
            fired = _by_group(found, len(drafts))
        names = list(self.circumstances.taken)
        groups = []
        for place, one in enumerate(drafts):
            part = shares[place]
            name = scheduler_name(one.key, names, self.circumstances.suffix)
            names.append(name)
            waves = self._waves(fired[place], found.outcome.ready)
            nodes = one.nodes
            if one.per_node and self.wishes.single_allocation:
                nodes, waves = self._single(one, waves)
            elif one.per_node:
                waves = [replace(wave, allocations=-(-wave.allocations // nodes)) for wave in waves]
            packing = max(
                (self.packings.needed(demand, blocks[place]) for _, demand in fired[place]),
                key=lambda one: one.at_once,
                default=None,
            )
            gpus = any(self.work.dag.steps[job].gpus for job in one.jobs)
            groups.append(
                Group(
                    name=name, partition=one.partition,
                    named_partition=self.wishes.partition is not None
                    or one.partition.requires_explicit_request
                    or not self.profile.auto_route,
                    jobs=one.jobs, nodes=nodes, per_node=one.per_node,
                    walltime=one.walltime(self.overhead, self.wishes),
                    memory=part.memory if part else one.partition.node.memory,
                    gpus=(part.usable.gpus if part else one.partition.gpus_per_node) if gpus else 0,
                    cpus=part.usable.cpus if part else None,
                    concurrent=packing.at_once if packing else 1,
                    rounds=max(1, blocks[place].usable // one.longest), waves=waves,
                )
            )  # fmt: skip
        return self._whole(groups, found)

    def _shapes(self, draft: Draft) -> frozenset[Shape]:
        return frozenset(self.kinds[kind].need for kind in draft.kinds)

    def _flow(self, blocks: Sequence[Block]) -> Flow:
        return flow(self.course, blocks, self.packings, patience=self.circumstances.patience)

    def _waves(self, fired: Sequence[Fired], ready: Mapping[int, float]) -> list[Wave]:
        first = {
            one.cohorts: min((ready.get(cohort, 0.0) for cohort in one.cohorts), default=-1.0)
            for one, _ in fired
        }
        waves = []
        for firing, demand in sorted(fired, key=lambda pair: first[pair[0].cohorts]):
            trigger = sorted(job for one in firing.cohorts for job in self.course.cohorts[one].jobs)
            waves.append(Wave(allocations=firing.allocations, jobs=sum(demand.values()), trigger=trigger))
        return waves

    def _single(self, draft: Draft, waves: Sequence[Wave]) -> tuple[int, list[Wave]]:
        """One allocation of many nodes for each wave, more only where a limit says so (PL13)."""
        limits = [draft.partition.max_nodes, draft.partition.max_nodes_per_user]
        most = max((wave.allocations for wave in waves), default=1)
        limit = min([one for one in limits if one is not None], default=most)
        pieces = -(-most // limit)
        nodes = max(draft.nodes, -(-most // pieces))
        return nodes, [replace(wave, allocations=-(-wave.allocations // nodes)) for wave in waves]

    def _whole(self, groups: Sequence[Group], found: Flow) -> SlurmPlan:
        outcome = found.outcome
        share_of_time = outcome.busy / outcome.allocated if outcome.allocated else 1.0
        warnings = list(self.warnings)
        if self.work.elsewhere:
            warnings.append(
                "1 job is left out: it has a label, so it runs on a runner outside of Slurm"
                if len(self.work.elsewhere) == 1
                else f"{len(self.work.elsewhere)} jobs are left out: they have labels, so they run on runners outside of Slurm"
            )
        if outcome.left:
            warnings.append(
                f"{amount(outcome.left, 'job')} found no allocation on paper; what is missing then is submitted while the workflow runs"
            )
        if share_of_time < LOW_UTILISATION and groups:
            together = (
                ""
                if self.wishes.group_by == "partition"
                else ", or put jobs together with --group-by partition"
            )
            warnings.append(
                f"only {share_of_time:.0%} of the time of the nodes is used; ask for less of a node with --partition"
                f"{together}"
            )
        return SlurmPlan(
            profile=self.profile, groups=groups, kinds=self.kinds, overhead=self.overhead, warnings=warnings,
            proof=Proof(
                simulated=outcome.left == 0, makespan_seconds=outcome.seconds, utilisation=share_of_time,
                most_nodes=outcome.most_nodes,
            ),
        )  # fmt: skip

    def hints(self, plan: SlurmPlan) -> Sequence[str]:
        """What could be done with fewer allocations."""
        demands = self._demands()
        return [
            self._fewer(draft, group, demand)
            for draft, group, demand in zip(self.drafts, plan.groups, demands, strict=True)
            if group.allocations > MOST_ALLOCATIONS
        ]

    def _fewer(self, draft: Draft, group: Group, demand: Mapping[PackedKind, int]) -> str:
        told = f"{group.allocations} \u00d7 {written(group.walltime)}"
        longest = group.partition.max_walltime_secs
        if group.walltime < longest and self.wishes.walltime is None:
            block = Block(
                node=draft.partition.node,
                nodes=1 if draft.per_node else draft.nodes,
                usable=longest - self.overhead,
            )
            count = self.packings.needed(demand, block).allocations
            if count < group.allocations:
                told += f", or {count} \u00d7 {written(longest)}: add --walltime-strategy max-partition-time"
        return f"many allocations: {told}"

    def _demands(self, *, at_start: bool = False) -> Sequence[Mapping[PackedKind, int]]:
        """Of each group all jobs, or those that are ready at the start."""
        counts: Counter[tuple[int, int, int]] = Counter()
        for one in self.course.cohorts:
            if one.group is not None and not (at_start and one.waits):
                counts[one.group, one.kind, one.priority] += len(one.jobs)
        found: list[Counter[PackedKind]] = [Counter() for _ in self.drafts]
        for (group, kind, priority), count in counts.items():
            found[group][self.kinds[kind].need, priority] += count
        return found

    def at_start(self) -> int:
        """How many runners start at the beginning, at least."""
        demands = self._demands(at_start=True)
        return sum(
            self.packings.needed(demand, one.block(self.overhead, self.wishes)).allocations
            for one, demand in zip(self.drafts, demands, strict=True)
        )

    def most_rounds(self, group: int) -> int:
        """How often the longest job of a group fits into the longest allocation that may be asked for."""
        if self.wishes.walltime is not None or self.wishes.strategy == "max-partition-time":
            return 1
        draft = self.drafts[group]
        return max(1, (draft.partition.max_walltime_secs - self.overhead) // draft.longest)


def _by_group(found: Flow, groups: int) -> Sequence[Sequence[Fired]]:
    """Of each group the firings, and the jobs each was sized for."""
    fired: list[list[Fired]] = [[] for _ in range(groups)]
    for firing, demand in zip(found.firings, found.demands, strict=True):
        fired[firing.group].append((firing, demand))
    return fired


def _nearest(choice: Choice) -> str:
    nearest = choice.nearest
    return f"nearest is {nearest}" if nearest else "the profile has no partition"
