"""Says who waits for whom: producers of files and user data, and the distinct groups of blockers (step 9)."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from torc_core.model import InputKind, PlannedInput, Source
from torc_core.spec.complaint import Report
from torc_core.spec.drafts import DEPENDS, IN_DATA, IN_FILES, LISTS, OUT_DATA, OUT_FILES, Draft
from torc_core.spec.expand import Expansion
from torc_core.spec.resolve import Matcher, Positions, Resolver
from torc_core.spec.shape import quoted

Uses = tuple[tuple[int, Source], ...]

KINDS = {InputKind.FILE: "files", InputKind.USER_DATA: "user_data"}
_SOURCES = tuple(Source(bits) for bits in range(16))


class Relations:
    """What jobs wait for, in positions; equal lists are one group or one input, whatever they came from.

    Parameters
    ----------
    groups
        Distinct blocker lists, ascending.
    inputs
        Distinct lists of what jobs read.
    producers
        By kind: the jobs that write an item.
    pairs
        Number of (waiter, blocker) pairs so far.
    references
        Number of names in all lists so far.
    """

    def __init__(self, made: Expansion, report: Report) -> None:
        self.groups: list[Positions] = []
        self.inputs: list[PlannedInput] = []
        self.producers: dict[InputKind, dict[int, Positions]] = {kind: {} for kind in KINDS}
        self.pairs = 0
        self.references = 0
        self._made = made
        self._report = report
        self._group_of: dict[Positions, int] = {}
        self._input_of: dict[tuple[InputKind, Positions], int] = {}
        self._sets: dict[int, frozenset[int]] = {}
        self._unions: dict[tuple[int, ...], int] = {}
        self._last_key: tuple[object, ...] = ()
        self._last: tuple[Uses, Positions, int] = ((), (), 0)
        self._carriers: dict[int, int] = {}
        matchers = {key: Matcher(names) for key, names in made.names.items()}
        self.job_matcher = matchers["jobs"]
        self._resolvers = {
            which: Resolver(which, made.names[key], matchers[key], report)
            for which, key in (
                (DEPENDS, "jobs"),
                (IN_FILES, "files"),
                (OUT_FILES, "files"),
                (IN_DATA, "user_data"),
                (OUT_DATA, "user_data"),
            )
        }
        self._find_producers()
        self._same_paths()

    def of(self, draft: Draft, own: int) -> tuple[Uses, Positions, int]:
        """The groups a job waits for and why, its inputs, and the number of its blockers."""
        depends, files, data = (self._resolvers[which] for which in (DEPENDS, IN_FILES, IN_DATA))
        named, matched = depends.named(draft), depends.matched(draft)
        if matched:
            matched = self._without(draft, own, matched, depends)
        read = [
            (InputKind.FILE, files.named(draft)),
            (InputKind.FILE, files.matched(draft)),
            (InputKind.USER_DATA, data.named(draft)),
            (InputKind.USER_DATA, data.matched(draft)),
        ]
        self.references += sum(map(len, draft.lists[::2]))
        key = (id(named), id(matched), *[id(items) for _, items in read])
        if key != self._last_key:
            # The lists are kept with the answer, so that an id cannot come to mean another list.
            self._kept = (named, matched, read)
            self._last_key, self._last = key, self._related(named, matched, read)
        uses, inputs, blockers = self._last
        for group, why in uses:
            if _holds(self.groups[group], own):
                self._self_cycle(draft, own, why, inputs)
        self.pairs += blockers
        return self._last

    def _related(
        self, named: Positions, matched: Positions, read: list[tuple[InputKind, Positions]]
    ) -> tuple[Uses, Positions, int]:
        bits: dict[int, int] = {}
        for members in (named, matched):
            if members:
                group = self._group(members)
                bits[group] = bits.get(group, 0) | 1
        inputs: list[int] = []
        for kind, items in read:
            if items:
                position = self._input(kind, items)
                if position not in inputs:
                    inputs.append(position)
                produced = self.inputs[position].group
                if produced is not None:
                    bits[produced] = bits.get(produced, 0) | (2 if kind is InputKind.FILE else 4)
        uses = tuple([(group, _SOURCES[bits[group]]) for group in sorted(bits)])
        return uses, tuple(inputs), self._size(tuple([group for group, _ in uses]))

    def _group(self, members: Iterable[int]) -> int:
        members = tuple(sorted(members))
        position = self._group_of.setdefault(members, len(self.groups))
        if position == len(self.groups):
            self.groups.append(members)
        return position

    def _input(self, kind: InputKind, items: Positions) -> int:
        items = tuple(sorted(items))
        position = self._input_of.setdefault((kind, items), len(self.inputs))
        if position == len(self.inputs):
            producers = self.producers[kind]
            jobs = {job for item in items for job in producers.get(item, ())}
            self.inputs.append(
                PlannedInput(kind=kind, items=items, group=self._group(jobs) if jobs else None)
            )
        return position

    def _size(self, groups: tuple[int, ...]) -> int:
        """Distinct members of several groups."""
        if len(groups) < 2:
            return len(self.groups[groups[0]]) if groups else 0
        size = self._unions.get(groups)
        if size is None:
            largest, *rest = sorted(groups, key=lambda group: -len(self.groups[group]))
            members = self._sets.get(largest) or frozenset(self.groups[largest])
            if len(members) > 64:
                self._sets[largest] = members
            size = len(members) + len({job for group in rest for job in self.groups[group]} - members)
            if size > 64:
                self._unions[groups] = size
        return size

    def _without(self, draft: Draft, own: int, matched: Positions, depends: Resolver) -> Positions:
        if not _holds(matched, own):
            return matched
        self._carriers[id(matched)] = self._carriers.get(id(matched), 0) + 1
        # Two jobs whose regex matches them both wait for each other, and that is refused; what a thousand
        # others would wait for need not be written down a thousand times.
        return depends.others(draft, own, matched) if self._carriers[id(matched)] <= 2 else ()

    def _find_producers(self) -> None:
        for kind, which in ((InputKind.FILE, OUT_FILES), (InputKind.USER_DATA, OUT_DATA)):
            resolver, producers = self._resolvers[which], self.producers[kind]
            for own, draft in enumerate(self._made.drafts):
                items = resolver.named(draft)
                if draft.lists[which + 1]:
                    items = tuple(dict.fromkeys((*items, *resolver.matched(draft))))
                if items:
                    one, other = draft.outputs
                    draft.outputs = (items, other) if kind is InputKind.FILE else (one, items)
                for item in items:
                    before = producers.get(item)
                    producers[item] = (own,) if before is None else (*before[:9], own)
                    if before is not None and len(before) == 1:
                        self._two_producers(kind, item, before[0], own, LISTS[which])

    def _two_producers(self, kind: InputKind, item: int, first: int, second: int, key: str) -> None:
        one, other = self._made.drafts[first], self._made.drafts[second]
        path = (*other.template.path, key)
        if kind is InputKind.FILE:
            told = (
                f"file {quoted(self._made.files[item].name)} is written by '{one.name}' and by '{other.name}'"
            )
            self._report.error("two-producers", path, f"{told}; only one job may write it", about=other.about)
        else:
            name = quoted(self._made.user_data[item].name)
            told = f"user data record {name} is written by '{one.name}' and by '{other.name}'"
            self._report.warning("two-producers", path, f"{told}; the last one wins", about=other.about)

    def _same_paths(self) -> None:
        first, written = dict[str, int](), dict[str, int]()
        producers = self.producers[InputKind.FILE]
        for position, file in enumerate(self._made.files):
            path = posixpath.normpath(file.path) if "/" in file.path or "." in file.path else file.path
            other = first.setdefault(path, position)
            rival = written.setdefault(path, position) if position in producers else position
            if other == position:
                continue
            place = (*self._made.places["files"][position], "path")
            if rival != position and producers[rival] != producers[position]:
                names = [f"'{self._made.drafts[producers[one][0]].name}'" for one in (rival, position)]
                told = f"{self._one_path(rival, position, path)}, but are written by {' and '.join(names)}"
                self._report.error("two-producers", place, told)
            else:
                told = f"{self._one_path(other, position, path)}; one file is enough"
                self._report.warning("same-path", place, told)

    def _one_path(self, one: int, other: int, path: str) -> str:
        names = [quoted(self._made.files[position].name) for position in (one, other)]
        return f"files {' and '.join(names)} have one path {quoted(path)}"

    def _self_cycle(self, draft: Draft, own: int, why: Source, inputs: Sequence[int]) -> None:
        path, name = draft.template.path, draft.name
        if why & Source.EXPLICIT:
            names = draft.lists[DEPENDS]
            at = draft.template.item(DEPENDS, names.index(name) if name in names else len(names))
            self._report.error("self-cycle", at, f"job '{name}' depends on itself", about=draft.about)
        for position in inputs:
            planned = self.inputs[position]
            of_files = planned.kind is InputKind.FILE
            for item in set(draft.outputs[0 if of_files else 1]).intersection(planned.items):
                read = self._made.files[item].name if of_files else self._made.user_data[item].name
                noun = "file" if of_files else "user data record"
                message = f"job '{name}' reads {noun} {quoted(read)}, which it writes"
                self._report.error("self-cycle", path, message)


def _holds(members: Positions, own: int) -> bool:
    at = bisect_left(members, own)
    return at < len(members) and members[at] == own
