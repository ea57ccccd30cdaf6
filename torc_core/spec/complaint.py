"""What is wrong with a document, in sentences that say where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice

from torc_core.errors import InvalidSpec, did_you_mean
from torc_core.record import record
from torc_core.spec.document import Path, Position

MOST_COMPLAINTS = 100_000
MOST_GUESSES, MOST_COMPARED = 500, 400

SHOWN = 100
"""At most so many complaints are printed; JSON has all."""


@record(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong (`error`) or suspicious (`warning`) (`workflow-spec.md` §17.2).

    Parameters
    ----------
    code
        One of `workflow-spec.md` §17.3.
    path
        Place in the document as written, before expansion.
    about
        The expanded name, such as `job 'eval_7'`, when a template is meant.
    line, column
        From 1; 0 when not known.
    """

    severity: str
    code: str
    message: str
    path: Path = ()
    about: str | None = None
    hint: str | None = None
    file: str = "-"
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        place = path_text(self.path) + (f" ({self.about})" if self.about else "")
        return where + (f"{place}: " if place else "") + self.message


def path_text(path: Path) -> str:
    """Write a path as `jobs[3].depends_on[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Complaints(InvalidSpec):
    """the document is not valid"""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        lines = [str(complaint) for complaint in self.complaints[:SHOWN]]
        if len(self.complaints) > SHOWN:
            lines.append(f"… and {len(self.complaints) - SHOWN} more")
        super().__init__("\n".join(lines))


class Report:
    """Complaints as they are found; one sentence about one place is kept once, however many copies share it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Path, str], Complaint] = {}
        self._guesses = MOST_GUESSES
        self.failed = False

    def error(
        self, code: str, path: Path, message: str, *, about: str | None = None, hint: str | None = None
    ) -> None:
        """Note something that forbids the workflow."""
        self.failed = True
        self._note("error", code, path, message, about, hint)

    def warning(self, code: str, path: Path, message: str, *, about: str | None = None) -> None:
        """Note something that the user should look at."""
        self._note("warning", code, path, message, about, None)

    def guess(self) -> bool:
        """Whether it is still worth while to look for what was meant: nobody reads more than some hundreds."""
        self._guesses -= 1
        return self._guesses >= 0

    def meant(self, name: str, known: Iterable[str]) -> str:
        """The end of a sentence about an unknown name: `; did you mean 'x'?`, or nothing."""
        return did_you_mean(name, islice(known, MOST_COMPARED)) if len(name) < 256 and self.guess() else ""

    def sorted(self, file: str, locate: Callable[[Path], Position]) -> tuple[Complaint, ...]:
        """All of them with file, line and column, in the order of the document."""
        places: dict[Path, Position] = {}
        placed = []
        for complaint in self._found.values():
            at = places.get(complaint.path) or places.setdefault(complaint.path, locate(complaint.path))
            placed.append(replace(complaint, file=file, line=at.line, column=at.column))
        return tuple(sorted(placed, key=lambda complaint: (complaint.line, complaint.column)))

    def _note(
        self, severity: str, code: str, path: Path, message: str, about: str | None, hint: str | None
    ) -> None:
        key = (code, path, message)
        if len(self._found) >= MOST_COMPLAINTS:
            # NOTE: a document of 32 MiB can be wrong in millions of places, and has to fit into the memory
            key, path = ("too-many", (), ""), ()
            code, message, about = (
                "too-many",
                f"only the first {MOST_COMPLAINTS:,} complaints are listed",
                None,
            )
        if key not in self._found:
            self._found[key] = Complaint(
                severity=severity, code=code, message=message, path=path, about=about, hint=hint
            )
