"""KDL nodes become the tree that the other formats give (`workflow-spec.md` §16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torc_core.errors import did_you_mean
from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Document, Path, Position
from torc_formats.json_reader import json_value
from torc_formats.kdl_parser import KdlText, Node
from torc_formats.kdl_places import ITEM, Places, entries_of
from torc_formats.kdl_words import WORKFLOW, Shape
from torc_formats.limits import (
    DEPTH,
    LISTED,
    NODES,
    clean,
    complaint,
    duplicate,
    refusal,
    shown,
    too_deep,
    too_many,
)


def load(text: str) -> Document:
    """Read KDL.

    Raises `Complaints`. A document without any `job` has an empty list of jobs, which KDL cannot write otherwise.
    """
    text = clean(text)
    return Document(tree=_Mapper(text).tree(), locate=Places(text).find, format="kdl")


class _Mapper:
    """Builds the tree and collects complaints."""

    def __init__(self, text: str) -> None:
        self._kdl = KdlText(text)
        self._complaints: list[Complaint] = []
        self._values = self._kdl.count
        if not self._kdl.nodes:
            raise refusal("syntax", "the document is empty", Position(1, 1))

    def tree(self) -> dict[str, Any]:
        """Read everything; raises `Complaints`."""
        tree: dict[str, Any] = {}
        self._fields(tree, WORKFLOW, self._kdl.nodes, ())
        tree.setdefault("jobs", [])
        if self._complaints:
            raise Complaints(self._complaints)
        if _deeper_than(DEPTH, tree):
            raise refusal("too-deep", too_deep(), Position(1, 1))
        return tree

    def _fields(
        self,
        target: dict[str, Any],
        shape: Shape,
        nodes: Sequence[Node],
        path: Path,
        owner: Node | None = None,
    ) -> None:
        """Put each node where the shape wants it; `owner` may have given the name already."""
        plural = {
            field: node
            for node, (field, _) in shape.rows.items()
            if field != node and field not in shape.rows
        }
        for node in nodes:
            name = node.name
            if name in shape.rows:
                field, inner = shape.rows[name]
                rows = target.setdefault(field, [])
                rows.append(self._object(node, inner, (*path, field, len(rows))))
            elif name in shape.lists:
                field = shape.lists[name]
                self._items(target.setdefault(field, []), node, (*path, field))
            elif name in plural:
                self._complain(
                    "unknown-key",
                    f"unknown node {shown(name)}; write one {plural[name]!r} for each",
                    node.offset,
                    path,
                )
            elif self._misspelled(node, shape, path, repeated=name in target):
                pass
            elif name in target:
                self._duplicate(node, nodes, path, owner)
            elif name in shape.objects:
                target[name] = self._object(node, shape.objects[name], (*path, name))
            elif name in shape.text:
                target[name] = self._text(node, (*path, name))
            else:
                target[name] = self._value(node, (*path, name), bare=name in shape.free)
            # PERF: frees the nodes inside, or a big document would be in memory twice.
            node.children = None

    def _misspelled(self, node: Node, shape: Shape, path: Path, *, repeated: bool) -> bool:
        """Whether a node that is written like an object or a list has nearly the name of one.

        All other unknown names go into the tree, where the validator knows more names to suggest.
        """
        written = node.arguments and (node.properties or node.children is not None)
        if not (written or repeated) or node.name in _known(shape):
            return False
        close = did_you_mean(node.name, _known(shape))
        if close:
            self._complain(
                "unknown-key", f"unknown node {shown(node.name)}{close}", node.offset, (*path, node.name)
            )
        return bool(close)

    def _object(self, node: Node, shape: Shape, path: Path) -> Any:
        """One object: its name, then its properties and children."""
        target: dict[str, Any] = {}
        arguments = node.arguments
        if shape.named:
            if arguments:
                target["name"] = arguments[0]
            if len(arguments) > 1:
                message = (
                    f"{node.name} takes one argument, its name; {shown(str(arguments[1]))} is one too many"
                )
                self._complain("bad-value", message, node.offset, path)
        elif arguments:
            # For instance the JSON text of an execution_config.
            return self._value(node, path, bare=False)
        self._fields(target, shape, entries_of(node), path, node)
        return target

    def _items(self, target: list[Any], node: Node, path: Path) -> None:
        """Add the arguments, or the `-` children, of a node to a list."""
        target.extend(node.arguments)
        for entry in entries_of(node):
            if entry.name != ITEM:
                message = f"unknown node {shown(entry.name)} in the list {node.name}; its items are arguments"
                self._complain("unknown-key", message, entry.offset, path)
                continue
            target.append(self._value(entry, (*path, len(target)), bare=True))
            entry.children = None

    def _value(self, node: Node, path: Path, *, bare: bool) -> Any:
        """A scalar, a list of several arguments, or whatever the block says.

        `bare`: inside free JSON, where a node with nothing is the empty list.
        """
        arguments, entries = node.arguments, entries_of(node)
        if arguments and (entries or node.children is not None):
            if node.properties:
                message = f"unknown property {shown(node.properties[0][0])} of {node.name}"
                self._complain("unknown-key", message, node.properties[0][2], path)
            else:
                self._complain("wrong-type", f"{node.name} has both a value and a block", node.offset, path)
            return arguments[0]
        if len(arguments) == 1:
            return arguments[0]
        if arguments or (not entries and node.children is None):
            if not arguments and not bare:
                self._complain("missing", f"{shown(node.name)} has no value", node.offset, path)
            items: list[Any] = []
            self._items(items, node, path)
            return items
        if entries and not node.properties and _all_items(entries):
            items = []
            self._items(items, node, path)
            return items
        target: dict[str, Any] = {}
        for entry in entries:
            if entry.name in target:
                self._duplicate(entry, entries, path)
                continue
            target[entry.name] = self._value(entry, (*path, entry.name), bare=bare)
            entry.children = None
        return target

    def _text(self, node: Node, path: Path) -> Any:
        """A value that may be written as JSON text."""
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], str):
            return self._value(node, path, bare=True)
        try:
            value, values = json_value(node.arguments[0])
        except Complaints as error:
            said = error.complaints[0]
            code = "bad-value" if said.code == "syntax" else said.code
            message = f"this text is not JSON: {said.message}"
            hint = 'write a text as JSON too, as in #""hello""#' if said.code == "syntax" else None
            self._complain(code, message, node.offset, path, hint)
            return None
        self._values += values
        if self._values > NODES:
            raise refusal("too-large", too_many(), self._kdl.position(node.offset))
        if entries_of(node):
            self._value(node, path, bare=True)
        return value

    def _duplicate(self, node: Node, siblings: Sequence[Node], path: Path, owner: Node | None = None) -> None:
        first = next(other for other in siblings if other.name == node.name)
        if first is node and owner is not None:
            # The name stands as the argument of the object's own node.
            first = owner
        line = self._kdl.position(first.offset).line
        self._complain("duplicate-key", duplicate(node.name, line), node.offset, (*path, node.name))

    def _complain(self, code: str, message: str, offset: int, path: Path, hint: str | None = None) -> None:
        self._complaints.append(complaint(code, message, self._kdl.position(offset), path, hint))
        if len(self._complaints) >= LISTED:
            raise Complaints(self._complaints)


def _all_items(entries: Sequence[Node]) -> bool:
    return all(entry.name == ITEM for entry in entries)


def _known(shape: Shape) -> set[str]:
    return {*shape.lists, *shape.rows, *shape.objects, *shape.blocks, *shape.free, *shape.text}


def _deeper_than(limit: int, tree: Any) -> bool:
    """Whether lists and maps stand inside each other more often than that; level by level, without recursion."""
    level = [tree]
    for _ in range(limit):
        level = [
            value
            for container in level
            for value in (container.values() if isinstance(container, dict) else container)
            if isinstance(value, (dict, list))
        ]
        if not level:
            return False
    return True
