"""Finds things by name, and says what may have been meant when there is none."""

from __future__ import annotations

from bisect import bisect_left
from difflib import SequenceMatcher
from functools import cached_property

from torc_core.spec.shape import quoted
from torc_core.spec.tokens import TOKEN, distance

MOST_COMPARED = 400
"""So many names are compared with an unknown one: all of them, or its neighbours in the alphabet."""

MOST_EXCUSED = 1_000

MOST_SUGGESTED = 100
"""So many unknown names get a suggestion; more complaints than that are never printed."""


class Names:
    """The names of one kind of thing, with their positions."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.positions: dict[str, int] = {}
        self._excused: list[tuple[str, str]] = []
        self._suggested = 0
        self.whole = True
        """Whether nothing of this kind has been complained about."""

    def excuse_all(self) -> None:
        """Take every name for known: all of them have been complained about."""
        self.whole = False
        self._excused.append(("", ""))

    def excuse(self, template: str | None) -> None:
        """Take names of this form for known: their object has been complained about."""
        if template is None or len(self._excused) > MOST_EXCUSED:
            self.whole = False
        elif template not in self.positions:
            self.whole = False
            tokens = [found.span() for found in TOKEN.finditer(template)] or [(len(template), len(template))]
            self._excused.append((template[: tokens[0][0]], template[tokens[-1][1] :]))

    def unknown(self, name: str) -> str | None:
        """The sentence about a name that nothing has; None when it may belong to a broken object."""
        if len(self._excused) > MOST_EXCUSED or any(
            name.startswith(head) and name.endswith(tail) for head, tail in self._excused
        ):
            return None
        number = len(self.positions)
        defined = f" ({number} {self.noun}s defined)"
        if number <= 10:
            known = ", ".join(name if len(name) <= 60 else name[:57] + "…" for name in self.positions)
            defined = f" (defined: {known})" if known else f" (no {self.noun} is defined)"
        return f"no {self.noun} named {quoted(name)}{self._meant(name)}{defined}"

    def _meant(self, name: str) -> str:
        if self._suggested >= MOST_SUGGESTED or not 0 < len(name) <= 255:
            return ""
        self._suggested += 1
        scored = []
        for other in self._neighbours(name):
            edits = distance(name, other, 2)
            match = SequenceMatcher(None, name, other, autojunk=False)
            if edits <= 2:
                scored.append((edits, 0.0, other))
            elif match.real_quick_ratio() >= 0.75 and match.quick_ratio() >= 0.75 and match.ratio() >= 0.75:
                scored.append((3, -match.ratio(), other))
        best = [repr(other) for _, _, other in sorted(scored)[:3]]
        return f"; did you mean {', '.join(best[:-1])}{' or ' * (len(best) > 1)}{best[-1]}?" if best else ""

    def _neighbours(self, name: str) -> list[str]:
        if len(self.positions) <= MOST_COMPARED:
            return list(self.positions)
        ordered, reach = self._ordered, MOST_COMPARED // 2
        at = bisect_left(ordered, name)
        return ordered[max(at - reach, 0) : at + reach]

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(self.positions)
