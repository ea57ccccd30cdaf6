"""What schedulers are called, how jobs are named in actions, and how they are named to people."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from torc_core.engine.outline import folded

NAMED = 8
"""Names, or ranges of names, in a sentence."""

MOST_EXPRESSIONS = 10

_NUMBER = re.compile(r"[0-9]+")


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


def chosen(names: Sequence[str], jobs: Sequence[int]) -> Mapping[str, Sequence[str]]:
    """How an action names these jobs: by expressions where they mean exactly them, else by their names (PL21).

    Parameters
    ----------
    names
        Of all jobs of the workflow.
    jobs
        Positions of those that are meant.
    """
    if len(jobs) > 1 and (expressions := _expressions(names, jobs)):
        return {"job_name_regexes": expressions}
    return {"jobs": [names[job] for job in jobs]}


def _expressions(names: Sequence[str], jobs: Sequence[int]) -> Sequence[str]:
    """Anchored expressions that match these names and no others; empty: there are none, or too many."""
    meant: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        meant.setdefault(tuple(_NUMBER.split(names[job])), []).append(names[job])
    if len(meant) > MOST_EXPRESSIONS or (len(meant) == len(jobs) and len(jobs) > 1):
        return ()
    expressions = []
    everyone: dict[tuple[str, ...], list[str]] = {texts: [] for texts in meant}
    for name in names:
        texts = tuple(_NUMBER.split(name))
        if texts in everyone:
            everyone[texts].append(name)
    for texts, those in meant.items():
        numbers = [_NUMBER.findall(name) for name in those]
        fixed = [column[0] if len(set(column)) == 1 else None for column in zip(*numbers, strict=True)]
        matched = [
            name
            for name in everyone[texts]
            if all(one in (None, number) for one, number in zip(fixed, _NUMBER.findall(name), strict=True))
        ]
        if len(matched) != len(those):
            return ()
        middle = [r"\d+" if one is None else one for one in fixed]
        parts = [re.escape(text) + number for text, number in zip(texts, [*middle, ""], strict=True)]
        expressions.append("^" + "".join(parts) + "$")
    return expressions
