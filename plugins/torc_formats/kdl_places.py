"""Where the values of a KDL document stand: a path is followed through the nodes, by the same words as they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from torc_core.record import record
from torc_core.spec.document import Path, Position
from torc_formats.kdl_parser import KdlText, Node
from torc_formats.kdl_words import WORKFLOW, Shape

ITEM = "-"
"""The name of a child that is an item of a list."""

ANYTHING = Shape()
"""The shape of a block in which every name means itself."""


def entries_of(node: Node) -> list[Node]:
    """What a node says about itself: its properties, as if they were children, and its children."""
    if not node.properties:
        return node.children or []
    entries: list[Node] = []
    for key, value, offset in node.properties:
        entry = Node(key, offset)
        entry.arguments, entry.places = (value,), (offset,)
        entries.append(entry)
    return entries + (node.children or [])


@record(frozen=True, slots=True)
class _Here:
    """A value that has been reached: the nodes that make it up, and what a step from here means.

    One node is an object or a scalar; `rows` is the shape of list items that are a node each; `items` says that arguments
    and `-` children are the items of a list.
    """

    nodes: Sequence[Node]
    shape: Shape = ANYTHING
    rows: Shape | None = None
    items: bool = False
    fields: dict[str, list[Node]] = field(default_factory=dict)


class Places:
    """Reads the text again when the first place in it is asked for; most documents are never asked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._kdl: KdlText | None = None
        self._known: dict[Path, tuple[int, _Here]] = {}

    def find(self, path: Path) -> Position:
        """Where the entry at this path stands, or its nearest ancestor."""
        if self._kdl is None:
            self._kdl = KdlText(self._text, places=True)
            root = Node("", self._kdl.nodes[0].offset)
            root.children = self._kdl.nodes
            self._known[()] = (root.offset, _Here([root], WORKFLOW))
        length = len(path)
        while path[:length] not in self._known:
            length -= 1
        offset, here = self._known[path[:length]]
        for step in path[length:]:
            length += 1
            found = _step(here, step)
            if found is None:
                break
            offset, here = found
            if here.rows is not None or here.items:
                # Complaints come in crowds from one list, so lists are remembered and their items are not.
                self._known[path[:length]] = found
        return self._kdl.position(offset)


def _step(here: _Here, step: str | int) -> tuple[int, _Here] | None:
    """From a value to the entry with this key or index, and its offset."""
    if isinstance(step, int):
        if here.rows is not None:
            nodes = here.nodes[step : step + 1]
            return (nodes[0].offset, _Here(nodes, here.rows)) if nodes else None
        return _item(here, step)
    if not here.nodes:
        return None
    node = here.nodes[0]
    if here.shape.named and step == "name" and node.arguments:
        return node.places[0], _Here([])
    if not here.fields:
        for entry in entries_of(node):
            here.fields.setdefault(_field(here.shape, entry.name), []).append(entry)
    nodes = here.fields.get(step, [])
    if not nodes:
        return None
    row = here.shape.rows.get(nodes[0].name)
    inner = here.shape.objects.get(step, ANYTHING)
    listed = nodes[0].name in here.shape.lists
    return nodes[0].offset, _Here(nodes, inner, rows=row[1] if row else None, items=listed)


def _item(here: _Here, index: int) -> tuple[int, _Here] | None:
    for node in here.nodes if here.items else here.nodes[:1]:
        if index < len(node.places):
            return node.places[index], _Here([])
        index -= len(node.places)
        items = [entry for entry in entries_of(node) if entry.name == ITEM]
        if index < len(items):
            return items[index].offset, _Here(items[index : index + 1])
        index -= len(items)
    return None


def _field(shape: Shape, name: str) -> str:
    if name in shape.rows:
        return shape.rows[name][0]
    return shape.lists.get(name, name)
