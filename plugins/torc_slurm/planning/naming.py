"""What schedulers are called, how jobs are named in actions, and how they are named to people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from torc_core.engine.outline import folded

NAMED = 8
"""Names, or ranges of names, in a sentence."""

MOST_EXPRESSIONS = 10

_NUMBER = re.compile(r"([0-9]+)")

_Texts = tuple[str, ...]
_Numbers = tuple[str, ...]


def scheduler_name(key: str, taken: Collection[str], suffix: str = "") -> str:
    """A name for the scheduler of a group that no other has (PL4)."""
    plain = f"{key}_scheduler{suffix}"
    number, name = 1, plain
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    return name


def sentence_of(names: Sequence[str]) -> str:
    """Some names for people, numbers folded into ranges: `work_{1..5}, last`."""
    told = folded(names)
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return ", ".join(told[:NAMED]) + more


class Numbered:
    """The names of all jobs of a workflow, by what stands between their numbers.

    Parameters
    ----------
    names
        Of all jobs of the workflow.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._counts: dict[tuple[_Texts, Sequence[int]], Counter[_Numbers]] = {}

    def chosen(self, jobs: Sequence[int]) -> Mapping[str, Sequence[str]]:
        """How an action names these jobs: by expressions where they mean exactly them, else by their names (PL21).

        Parameters
        ----------
        jobs
            Positions of those that are meant.
        """
        if len(jobs) > 1 and (expressions := self._expressions(jobs)):
            return {"job_name_regexes": expressions}
        return {"jobs": [self._names[job] for job in jobs]}

    def _expressions(self, jobs: Sequence[int]) -> Sequence[str]:
        """Anchored expressions that match these names and no others; empty: there are none, or too many."""
        meant: dict[_Texts, list[_Numbers]] = {}
        for job in jobs:
            texts, numbers = _parts(self._names[job])
            meant.setdefault(texts, []).append(numbers)
        if len(meant) > MOST_EXPRESSIONS or (len(meant) == len(jobs) and len(jobs) > 1):
            return ()
        expressions = []
        for texts, those in meant.items():
            fixed = [column[0] if len(set(column)) == 1 else None for column in zip(*those, strict=True)]
            if self._count(texts, fixed) != len(those):
                return ()
            middle = [r"\d+" if one is None else one for one in fixed]
            parts = [re.escape(text) + number for text, number in zip(texts, [*middle, ""], strict=True)]
            expressions.append("^" + "".join(parts) + "$")
        return expressions

    def _count(self, texts: _Texts, fixed: Sequence[str | None]) -> int:
        """How many names there are with these texts, and with those of the numbers that are given."""
        places = tuple(place for place, one in enumerate(fixed) if one is not None)
        # PERF: a plan may have a wave for every few jobs; the names are counted once for all of them.
        counts = self._counts.get((texts, places))
        if counts is None:
            counts = self._counts[texts, places] = Counter(
                tuple(numbers[place] for place in places) for numbers in self._alike[texts]
            )
        return counts[tuple(one for one in fixed if one is not None)]

    @cached_property
    def _alike(self) -> Mapping[_Texts, Sequence[_Numbers]]:
        """By texts the numbers of each name."""
        found: dict[_Texts, list[_Numbers]] = {}
        for name in self._names:
            texts, numbers = _parts(name)
            found.setdefault(texts, []).append(numbers)
        return found


def _parts(name: str) -> tuple[_Texts, _Numbers]:
    pieces = _NUMBER.split(name)
    return tuple(pieces[::2]), tuple(pieces[1::2])
