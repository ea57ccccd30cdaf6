"""The course of a workflow: which jobs become ready when others have completed (`observability.md` §6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torc_core.engine.dag import Dag, Scheduling

_NUMBER = re.compile(r"[0-9]+")


@dataclass(slots=True)
class Moment:
    """Jobs that become ready together, when exactly the same others have completed; all by position.

    Parameters
    ----------
    after, before
        Positions of the moments that it follows on, and of those that follow on it.
    """

    trigger: Sequence[int]
    level: int
    jobs: list[int] = field(default_factory=list)
    schedulings: list[Scheduling] = field(default_factory=list)
    after: Sequence[int] = ()
    before: list[int] = field(default_factory=list)


def moments(dag: Dag) -> Sequence[Moment]:
    """The moments of a workflow in the order in which they can come."""
    levels = dag.levels()
    found, same = dict[tuple[int, ...], Moment](), dict[tuple[int, ...], Moment]()
    for job in sorted(range(len(dag.steps)), key=lambda job: (levels[job], job)):
        key = tuple(sorted(dag.waits[job]))
        if key not in found:
            trigger = tuple(dag.blockers(job))
            found[key] = same.setdefault(trigger, Moment(trigger=trigger, level=levels[job]))
        found[key].jobs.append(job)
    listed = sorted(same.values(), key=lambda one: (one.level, one.jobs[0]))
    moment_of = {job: place for place, one in enumerate(listed) for job in one.jobs}
    for place, one in enumerate(listed):
        one.after = sorted({moment_of[job] for job in one.trigger})
        for earlier in one.after:
            listed[earlier].before.append(place)
    for scheduling in dag.schedulings:
        places = [moment_of[job] for job in scheduling.jobs]
        if listed and (scheduling.at_start or places):
            listed[0 if scheduling.at_start else max(places)].schedulings.append(scheduling)
    return listed


def folded(names: Iterable[str]) -> Sequence[str]:
    """Names that differ in one number only, as ranges: `work_{1..5}`; in the order of their first."""
    groups: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
    for name in names:
        groups.setdefault(tuple(_NUMBER.split(name)), []).append((tuple(_NUMBER.findall(name)), name))
    told: list[str] = []
    for texts, members in groups.items():
        varying = [at for at in range(len(texts) - 1) if len({numbers[at] for numbers, _ in members}) > 1]
        if len(varying) != 1:
            told += [name for _, name in members]
            continue
        at, fixed = varying[0], members[0][0]
        for first, last in _runs([numbers[at] for numbers, _ in members]):
            middle = first if first == last else f"{{{first}..{last}}}"
            parts = [
                text + (middle if place == at else number)
                for place, (text, number) in enumerate(zip(texts[:-1], fixed, strict=True))
            ]
            told.append("".join(parts) + texts[-1])
    return told


def _runs(numbers: Sequence[str]) -> Sequence[tuple[str, str]]:
    """First and last of each stretch of numbers without a gap, written with equally many digits or without zeros."""
    runs: list[tuple[str, str]] = []
    for text in sorted(numbers, key=lambda text: (int(text), len(text))):
        if runs and int(text) == int(runs[-1][1]) + 1 and _alike(runs[-1][1], text):
            runs[-1] = (runs[-1][0], text)
        else:
            runs.append((text, text))
    return runs


def _alike(one: str, other: str) -> bool:
    return len(one) == len(other) or not (one.startswith("0") or other.startswith("0"))
