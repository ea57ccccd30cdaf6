"""YAML text becomes a document, from the parser's events and without recursion, so that no input is too deep or too big.

PyYAML's own loaders recurse, build YAML 1.1 values and follow aliases blindly. Its event parsers do none of that; what
events mean is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import yaml
from yaml import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Document, Path, Plain, Position
from torc_formats.limits import (
    ALIASES,
    DEPTH,
    LISTED,
    NODES,
    SHORT,
    clean,
    complaint,
    duplicate,
    refusal,
    shown,
    too_deep,
    too_long,
    too_many,
)
from torc_formats.outline import Outline
from torc_formats.yaml_scalars import resolve

MERGE = "<<"
CORE = "tag:yaml.org,2002:"
KINDS: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
DIRECTIVE = re.compile(r"^%TAG\b", re.MULTILINE)
DIRECTIVES = 100
"""libyaml compares each %TAG line with all before it; since tags are refused anyway, nobody needs more."""

REMEMBERED = 1 << 16
"""Plain scalars whose meaning is kept, so that a value written a million times is resolved and stored once."""


def load(text: str) -> Document:
    """Read one YAML document whose root is a map.

    Raises `Complaints`.
    """
    text = clean(text)
    if len(DIRECTIVE.findall(text)) > DIRECTIVES:
        raise refusal("too-large", f"more than {DIRECTIVES} %TAG lines; leave them out", Position(1, 1))
    composer = _Composer(text)
    return Document(tree=composer.tree(), locate=composer.outline.find, format="yaml")


class _Anchored:
    """What an anchor names: the value, its size in nodes and how deep it goes. Not `ended` while it is being read."""

    __slots__ = ("ended", "height", "nodes", "value")

    def __init__(self) -> None:
        self.ended = False
        self.value: Any = None
        self.nodes = 1
        self.height = 0


class _Frame:
    """A list or map that is being read."""

    __slots__ = ("anchored", "before", "entry", "height", "key", "mapping", "merged", "value")

    def __init__(self, mapping: bool, entry: int, anchored: _Anchored | None, before: int) -> None:
        self.mapping = mapping
        self.value: Any = {} if mapping else []
        self.entry = entry
        self.anchored = anchored
        self.before = before
        self.height = 1
        self.key: str | None = None
        self.merged: list[dict[str, Any]] | None = None


class _Composer:
    def __init__(self, text: str) -> None:
        self.outline = Outline(text)
        self._text = text
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._meanings: dict[str, str | Plain] = {}
        self._complaints: list[Complaint] = []
        self._nodes = 0
        self._aliases = 0

    def tree(self) -> dict[str, Any]:
        """Read everything; raises `Complaints`."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            events = loader(self._text).get_event
            events()
            if type(events()) is not DocumentStartEvent:
                raise refusal("syntax", "the document is empty", Position(1, 1))
            root = self._root(events)
            event = events()
        except yaml.reader.ReaderError as error:
            # The C parser counts bytes and the other characters, so the place is looked for.
            bad = yaml.reader.Reader.NON_PRINTABLE.search(self._text)
            at = self.outline.position(bad.start() if bad else 0)
            name = ascii(bad[0]) if bad else "that stands here"
            raise refusal("syntax", f"the character {name} is not allowed in YAML", at) from error
        except yaml.MarkedYAMLError as error:
            raise _syntax(error) from error
        if type(event) is DocumentStartEvent:
            self._refuse("syntax", "a second document begins here; write one document per file", event)
        if self._complaints:
            raise Complaints(self._complaints)
        if isinstance(root, Plain):
            root = root.value
        if root is None:
            raise refusal("syntax", "the document is empty", Position(1, 1))
        if not isinstance(root, dict):
            kind = "a list" if isinstance(root, list) else "a single value"
            raise refusal(
                "wrong-type", f"the document must be a map of fields, not {kind}", self.outline.find(())
            )
        return root

    def _root(self, events: Callable[[], Any]) -> Any:
        """Read values until the document ends.

        PERF: one loop with most of what happens per event inlined; a document may have two million.
        """
        frames, outline, meanings = self._frames, self.outline, self._meanings
        root: Any = None
        frame: _Frame | None = None
        while True:
            event = events()
            kind = type(event)
            anchored: _Anchored | None = None
            if kind is ScalarEvent or kind is AliasEvent:
                self._nodes += 1
                keyed = frame is not None and frame.mapping and frame.key is None
                if kind is AliasEvent:
                    anchored = self._alias(event)
                    value = anchored.value
                else:
                    value = event.value
                    if len(value) > SHORT or "\0" in value:
                        self._check_text(event)
                    if event.tag is not None:
                        value = self._tagged(event)
                    elif event.implicit[0] and (not keyed or event.anchor is not None):
                        meaning = meanings.get(value)
                        if meaning is None:
                            meaning = resolve(value)
                            if len(meanings) < REMEMBERED:
                                meanings[value] = meaning
                        value = meaning
                    if event.anchor is not None:
                        anchored = self._anchors[event.anchor] = _Anchored()
                        anchored.value, anchored.ended = value, True
                if self._nodes > NODES:
                    self._refuse_size(event)
                if frame is not None and keyed:
                    self._key(frame, value, event)
                    continue
                height = 0 if anchored is None else anchored.height
                if frame is None:
                    outline.open("", event.start_mark.index)
                elif not frame.mapping:
                    outline.open(len(frame.value), event.start_mark.index)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                frame = self._open(frame, event)
                frames.append(frame)
                continue
            elif kind is DocumentEndEvent:
                return root
            else:  # the end of a list or map
                assert frame is not None
                value, height = self._close(frame, event), frame.height
                frames.pop()
                frame = frames[-1] if frames else None
            if frame is None:
                root = value
                continue
            if height >= frame.height:
                frame.height = height + 1
            if not frame.mapping:
                frame.value.append(value)
            elif frame.key == MERGE and frame.merged is not None:
                self._merge(frame, value, event)
                frame.key = None
            else:
                frame.value[frame.key] = value
                frame.key = None

    def _open(self, frame: _Frame | None, event: Any) -> _Frame:
        """Begin a list or map."""
        self._nodes += 1
        if len(self._frames) >= DEPTH:
            self._refuse("too-deep", too_deep(), event)
        if self._nodes > NODES:
            self._refuse_size(event)
        listed = type(event) is SequenceStartEvent
        kind = "a list" if listed else "a map"
        if event.tag is not None and event.tag not in ("!", CORE + ("seq" if listed else "map")):
            self._refuse_tag(event, kind)
        if frame is None:
            entry = self.outline.open("", event.start_mark.index)
        elif not frame.mapping:
            entry = self.outline.open(len(frame.value), event.start_mark.index)
        elif frame.key is None:
            self._refuse("wrong-type", f"a key must be text, not {kind}", event)
        else:
            entry = self._entry
        anchored = None
        if event.anchor is not None:
            anchored = self._anchors[event.anchor] = _Anchored()
        return _Frame(not listed, entry, anchored, self._nodes)

    def _close(self, frame: _Frame, event: Any) -> Any:
        """End a list or map: what was merged comes first, and what the map says itself wins."""
        self.outline.close(frame.entry)
        value = frame.value
        if frame.merged:
            value = {}
            for other in frame.merged:
                for key, item in other.items():
                    value.setdefault(key, item)
            value.update(frame.value)
        if frame.anchored is not None:
            frame.anchored.value, frame.anchored.ended = value, True
            frame.anchored.height = frame.height
            frame.anchored.nodes = self._nodes - frame.before + 1
        return value

    def _key(self, frame: _Frame, value: Any, event: Any) -> None:
        """A scalar or alias where a map expects a key."""
        if isinstance(value, Plain):
            value = value.text
        if not isinstance(value, str):
            kind = "a list" if isinstance(value, list) else "a map"
            self._refuse("wrong-type", f"a key must be text, not {kind}", event)
        frame.key = value
        if value in frame.value or (value == MERGE and frame.merged is not None):
            line = self.outline.line_of(frame.entry, value)
            at = self.outline.position(event.start_mark.index)
            self._complaints.append(complaint("duplicate-key", duplicate(value, line), at, self._path()))
            if len(self._complaints) >= LISTED:
                raise Complaints(self._complaints)
        elif value == MERGE and type(event) is ScalarEvent and event.implicit[0] and event.tag is None:
            frame.merged = []
        self._entry = self.outline.open(value, event.start_mark.index)

    def _merge(self, frame: _Frame, value: Any, event: Any) -> None:
        """Take over the entries of a map, or of several of which the first wins."""
        assert frame.merged is not None
        for other in value if isinstance(value, list) else [value]:
            if not isinstance(other, dict):
                self._refuse("wrong-type", "<< needs a map, or a list of maps, to merge", event)
            frame.merged.append(other)

    def _alias(self, event: Any) -> _Anchored:
        self._aliases += 1
        if self._aliases > ALIASES:
            self._refuse("too-large", f"more than {ALIASES:,} aliases", event)
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            self._refuse("syntax", f"no anchor is named {shown(event.anchor)} above this line", event)
        if not anchored.ended:
            self._refuse("syntax", f"the alias {shown(event.anchor)} stands inside what it names", event)
        if len(self._frames) + anchored.height > DEPTH:
            self._refuse("too-deep", too_deep(), event)
        self._nodes += anchored.nodes - 1
        return anchored

    def _tagged(self, event: Any) -> str | Plain:
        """A scalar with a tag of the core schema means that, if it is written so."""
        tag, text = event.tag, str(event.value)
        name = tag.removeprefix(CORE) if tag.startswith(CORE) else ""
        if tag == "!" or name == "str":
            return text
        if name in KINDS:
            value = resolve(text)
            if isinstance(value, Plain) and KINDS[name](value.value):
                if name == "float" and isinstance(value.value, int):
                    return Plain(float(value.value), text)
                return value
            self._refuse("bad-value", f"{shown(text)} is not what its tag '!!{name}' says", event)
        self._refuse_tag(event, "a single value")

    def _check_text(self, event: Any) -> None:
        text = event.value
        if message := too_long(text):
            self._refuse("too-large", message, event)
        if "\0" in text:
            self._refuse("encoding", "a NUL character cannot stand in a text", event)

    def _refuse_tag(self, event: Any, kind: str) -> NoReturn:
        tag = event.tag
        written = "!!" + tag.removeprefix(CORE) if tag.startswith(CORE) else tag
        known = written in ("!!map", "!!seq", "!!str", *(f"!!{name}" for name in KINDS))
        reason = (
            f"does not fit {kind}"
            if known
            else "is not supported; leave it out, nothing but plain values is read"
        )
        self._refuse("syntax", f"the tag {shown(written)} {reason}", event)

    def _refuse_size(self, event: Any) -> NoReturn:
        message = f"aliases expand to more than {NODES:,} nodes" if self._aliases else too_many()
        self._refuse("too-large", message, event)

    def _refuse(self, code: str, message: str, event: Any) -> NoReturn:
        at = self.outline.position(event.start_mark.index)
        path = () if code == "too-deep" else self._path()
        raise Complaints([*self._complaints, complaint(code, message, at, path)])

    def _path(self) -> Path:
        """The path of what is being read."""
        steps: list[str | int] = []
        for frame in self._frames:
            if isinstance(frame.value, list):
                steps.append(len(frame.value))
            elif frame.key is not None:
                steps.append(frame.key)
        return tuple(steps)


def _syntax(error: yaml.MarkedYAMLError) -> Complaints:
    """What the parser objects to, as one sentence."""
    mark = error.problem_mark or error.context_mark
    at = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(0, 0)
    message = error.problem or "this is not YAML"
    if error.context:
        message += f" {error.context}"
        if error.context_mark is not None and error.context_mark.line + 1 != at.line:
            message += f" that began at line {error.context_mark.line + 1}"
    return refusal("syntax", message, at)
