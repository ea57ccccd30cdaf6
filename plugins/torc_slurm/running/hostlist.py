"""Lists of hosts as Slurm writes them: `n[1-2,05-07],login`. Pure."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[^,\[]*(?:\[[^\]]*\][^,\[]*)*")
_BRACKET = re.compile(r"\[([^\]]*)\]")


def hosts(text: str) -> list[str]:
    """The names, in Slurm's order; what is no list of hosts is taken as it stands."""
    found: list[str] = []
    for part in _PARTS.findall(text.strip()):
        if part:
            found += _expanded(part)
    return found


def counts(text: str) -> list[int]:
    """One number for each node from `4(x2),8`; empty if it cannot be read."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        number, _, times = part.partition("(x")
        repeated = times.removesuffix(")") or "1"
        if not (number.isdigit() and repeated.isdigit()):
            return []
        found += [int(number)] * int(repeated)
    return found


def _expanded(name: str) -> list[str]:
    bracket = _BRACKET.search(name)
    if bracket is None:
        return [name]
    head, tails = name[: bracket.start()], _expanded(name[bracket.end() :])
    return [
        head + number + tail for one in bracket[1].split(",") for number in _numbers(one) for tail in tails
    ]


def _numbers(text: str) -> list[str]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        return [text]
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
