"""Makes commands from a template and input sources, with the separators and replacement strings of GNU parallel."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product
from math import prod
from posixpath import basename, dirname, splitext

from torc_cli.execute.commands import lines_of, read_list
from torc_core.errors import UsageError
from torc_core.record import record

SEPARATORS = (":::", "::::", ":::+", "::::+")
"""Values; files with one value a line; with `+`: paired with the source before instead of combined with it."""

MOST_COMMANDS = 1_000_000
"""More are refused before any is made (`cli.md` §4.1, `--max-expanded`)."""

_TOKEN = re.compile(r"(?<!\{)\{(-?[0-9]*)(|\.|/|//|/\.|#|%)\}(?!\})")
_LITERAL = re.compile(r"\{(\{-?[0-9]*(?:\.|/|//|/\.|#|%)?\})\}")

_PARTS: dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    ".": lambda value: splitext(value)[0],
    "/": basename,
    "//": lambda value: dirname(value) or ".",
    "/.": lambda value: splitext(basename(value))[0],
}


@record(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Input sources: those of one block are paired, blocks are combined, the last block varying fastest."""

    blocks: Sequence[Sequence[Sequence[str]]]

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return prod(min(map(len, block)) for block in self.blocks)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        for combination in product(*(zip(*block, strict=False) for block in self.blocks)):
            yield tuple(chain.from_iterable(combination))


@record(frozen=True, slots=True, kw_only=True)
class Made:
    """A command, and the values that were put into it."""

    command: str
    values: tuple[str, ...] = ()


def split(words: Sequence[str]) -> tuple[list[str], Inputs | None]:
    """The words before the first separator, and the sources after it; None: there is no separator.

    Raises
    ------
    UsageError
        If a file of values cannot be read, or `:::+` comes first.
    """
    first = next((at for at, word in enumerate(words) if word in SEPARATORS), len(words))
    if first == len(words):
        return list(words), None
    blocks: list[list[list[str]]] = []
    at = first
    while at < len(words):
        separator = words[at]
        end = next((n for n in range(at + 1, len(words)) if words[n] in SEPARATORS), len(words))
        values = list(words[at + 1 : end])
        paired = separator.endswith("+")
        if paired and not blocks:
            raise UsageError(f"'{separator}' pairs with the source before it, but there is none; write ':::'")
        if separator.startswith("::::"):
            if not values:
                raise UsageError(f"'{separator}' needs the name of a file with one value a line, or '-'")
            sources = [lines_of(read_list(path)[0]) for path in values]
        else:
            sources = [values]
        for source in sources:
            if paired:
                blocks[-1].append(source)
            else:
                blocks.append([source])
        at = end
    return list(words[:first]), Inputs(blocks=blocks)


def make(words: Sequence[str], inputs: Inputs, colsep: str | None = None) -> Iterator[Made]:
    """One command for each combination of inputs.

    One word is shell text, several are a program and its arguments, which the shell must not look into. Values
    are quoted where they are put in. A template without a replacement string gets ` {}` at its end.

    Parameters
    ----------
    colsep
        Regular expression that cuts each value into columns, which `{1}`, `{2}` then name.

    Raises
    ------
    UsageError
        If there is no command, too many combinations, or a source is named that does not exist.
    """
    if not words:
        raise UsageError("no command before ':::'; write e.g. torc exec 'gzip {}' ::: a b")
    if inputs.count > MOST_COMMANDS:
        raise UsageError(f"the inputs make {inputs.count} commands; at most {MOST_COMMANDS} are allowed")
    cut = separator(colsep) if colsep is not None else None
    template = compiled(words)
    for number, combination in enumerate(inputs, start=1):
        values = combination if cut is None else tuple(chain.from_iterable(map(cut.split, combination)))
        yield Made(command=filled(template, values, number), values=values)


def separator(text: str) -> re.Pattern[str]:
    """Compile the column separator.

    Raises
    ------
    UsageError
        If it is not a regular expression.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--colsep '{text}' is not a regular expression: {error}") from error


Piece = str | tuple[int | None, str]
"""Text, or a replacement: which source (None: all of them) and which part of its value."""


def compiled(words: Sequence[str]) -> Sequence[Piece]:
    """Cut a template into text and replacements."""
    pieces: list[Piece] = []
    several = len(words) > 1
    found = False
    for position, word in enumerate(words):
        if position:
            pieces.append(" ")
        at = 0
        for token in _TOKEN.finditer(word):
            pieces.append(literal(word[at : token.start()], quoted=several))
            pieces.append(replacement(token))
            found = True
            at = token.end()
        if word[at:] or not at:
            pieces.append(literal(word[at:], quoted=several, whole=not at))
    if not found:
        pieces += [" ", (None, "")]
    return [piece for piece in pieces if piece != ""]


def replacement(token: re.Match[str]) -> tuple[int | None, str]:
    """What one replacement string asks for."""
    number, part = token[1], token[2]
    if part == "%":
        raise UsageError("'{%}' is not known before a job starts; use {#}, the number of the command")
    if part == "#" and number:
        raise UsageError(f"'{token[0]}' is no replacement string; write {{#}} or {{{number}}}")
    if number in ("0", "-", "-0"):
        raise UsageError(f"'{token[0]}' names no source; they are counted from 1")
    return (int(number) if number else None), part


def literal(text: str, *, quoted: bool, whole: bool = False) -> str:
    """Text of the template as it goes into the command; doubled braces mean the replacement string itself."""
    text = _LITERAL.sub(r"\1", text)
    if not quoted:
        return text
    return shlex.quote(text) if text or whole else ""


def filled(template: Sequence[Piece], values: tuple[str, ...], number: int) -> str:
    """Put the values of one combination into a template."""
    out: list[str] = []
    for piece in template:
        if isinstance(piece, str):
            out.append(piece)
            continue
        which, part = piece
        if part == "#":
            out.append(str(number))
            continue
        chosen = values if which is None else (picked(values, which),)
        out.append(" ".join(shlex.quote(_PARTS[part](value)) for value in chosen))
    return "".join(out)


def picked(values: tuple[str, ...], which: int) -> str:
    """The value of one source, counted from 1, or from the end when negative."""
    if not 1 <= abs(which) <= len(values):
        have = f"{len(values)} source{'' if len(values) == 1 else 's'}"
        raise UsageError(
            f"'{{{which}}}' names no source, there is only {have}; to mean the text write {{{{{which}}}}}"
        )
    return values[which - 1 if which > 0 else which]
