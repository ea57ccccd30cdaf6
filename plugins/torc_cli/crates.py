"""A workflow as an RO-Crate 1.1: its entities as JSON-LD, checked and packed (`observability.md` §13)."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote

from torc_core.errors import UsageError
from torc_core.model import File, FileId, Json, RoCrateEntity, Workflow
from torc_core.record import record
from torc_terminal.output.cells import instant

CRATE = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PREFIX = {"prov": "http://www.w3.org/ns/prov#"}
TERMS = {
    "sha256": "http://schema.org/sha256",
    "fileCount": "urn:torc:fileCount",
    "hashMode": "urn:torc:hashMode",
}
"""Properties that we use and the context of RO-Crate 1.1, made from schema.org 10, does not know."""
PROV = {
    "File": "prov:Entity", "Dataset": "prov:Entity", "CreateAction": "prov:Activity",
    "SoftwareApplication": "prov:SoftwareAgent", "Person": "prov:Person", "Organization": "prov:Organization",
}  # fmt: skip
"""What the types of RO-Crate are in the ontology of provenance."""

_NO_TEXT = re.compile("[\udc80-\udcff]")

Node = dict[str, Any]


@record(frozen=True, slots=True, kw_only=True)
class Crate:
    """What a crate tells of: entities of the store, and nodes that are in no store."""

    entities: Sequence[RoCrateEntity]
    nodes: Sequence[Node] = ()


def crate(workflow: Workflow, told: Crate) -> Node:
    """The metadata document."""
    nodes = [_node(one) for one in told.entities]
    nodes += [{**node, "@type": _types(node["@type"])} for node in told.nodes]
    root: Node = {
        "@id": "./",
        "@type": ["Dataset"],
        "name": workflow.name,
        "description": workflow.description or workflow.name,
        "datePublished": instant(workflow.created_at),
    }
    if license_ := (workflow.metadata or {}).get("license"):
        root["license"] = license_
    own = next((node for node in nodes if node["@id"] == "./"), {})
    others = [node for node in nodes if node["@id"] not in ("./", CRATE)]
    root |= own
    for key, types in (("hasPart", {"File", "Dataset"}), ("mentions", {"CreateAction"})):
        named = [{"@id": node["@id"]} for node in others if types & set(node["@type"])]
        if named and key not in own:
            root[key] = named
    descriptor: Node = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    graph = [descriptor, root, *others]
    terms = {term: meaning for term, meaning in TERMS.items() if any(term in node for node in graph)}
    return {"@context": [CONTEXT, PREFIX | terms], "@graph": graph}


def problems(document: Mapping[str, Any]) -> list[str]:
    """What keeps a document from being an RO-Crate 1.1: sentences, none if it is one."""
    graph: list[Node] = document["@graph"]
    found: list[str] = []
    ids: dict[str, int] = {}
    for node in graph:
        id = node.get("@id")
        if not isinstance(id, str) or not id:
            found.append(f"an entity of type {node.get('@type')} has no @id")
            continue
        ids[id] = ids.get(id, 0) + 1
        if not node.get("@type"):
            found.append(f"entity '{id}' has no @type")
    found += [f"@id '{id}' comes {count} times" for id, count in ids.items() if count > 1]
    root = next((node for node in graph if node.get("@id") == "./"), {})
    found += [
        f"the root has no {key}"
        for key in ("name", "description", "datePublished", "license")
        if not root.get(key)
    ]
    for node in graph:
        for key, id in _references(node):
            local = "://" not in id and not id.startswith(("mailto:", "urn:", "doi:"))
            if local and id not in ids:
                found.append(f"entity '{node.get('@id')}' names '{id}' as {key}, which is not there")
    return found


def pack(archive: BinaryIO, document: Mapping[str, Any], files: Mapping[str, Path]) -> list[str]:
    """Write a crate with these files in it, by their place; the places of those that are not there.

    Raises
    ------
    UsageError
        If a file cannot be read.
    """
    missing = []
    itself = os.fstat(archive.fileno())
    # NOTE: the times of a ZIP file go from 1980 to 2107; what is older or newer gets the nearest one.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        packed.writestr(CRATE, text(document))
        for place, source in files.items():
            if source.is_file():
                _add(packed, source, place)
            elif source.is_dir():
                _add(packed, source, place)
                for inner in sorted(source.rglob("*")):
                    if (
                        inner.is_file()
                        and not inner.is_symlink()
                        and not os.path.samestat(inner.stat(), itself)
                    ):
                        _add(packed, inner, place.rstrip("/") + "/" + inner.relative_to(source).as_posix())
            else:
                missing.append(place)
    return missing


def _add(packed: zipfile.ZipFile, source: Path, place: str) -> None:
    # Names in a ZIP file are text: bytes that are none are written as in a URI.
    name = _NO_TEXT.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", place)
    try:
        packed.write(source, name)
    except OSError as error:
        if error.filename is None:  # it is the archive that cannot be written
            raise
        raise UsageError(f"cannot read '{source}': {(error.strerror or 'error').lower()}") from error


def inside(
    workflow: Workflow, entities: Sequence[RoCrateEntity], files: Mapping[FileId, File]
) -> dict[str, Path]:
    """Where the files of entities lie, by their place in the crate: only places below its root."""
    home = Path(workflow.submission_directory or ".")
    found: dict[str, Path] = {}
    for one in entities:
        text = unquote(one.entity_id, errors="surrogateescape")
        place = PurePosixPath(text)
        if one.file_id is None or one.file_id not in files:
            continue
        if not place.is_absolute() and ".." not in place.parts and ":" not in one.entity_id:
            found[text] = home / files[one.file_id].path
    return found


def text(document: Mapping[str, Any]) -> str:
    """A document as it is written."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _node(entity: RoCrateEntity) -> Node:
    given: Node = dict(entity.metadata)
    # Documents and other programs may say anything here; what is no name says nothing.
    types = _types(_names(given.pop("@type", None)) or entity.entity_type)
    names = _names(given.pop("@id", None))
    if isinstance(given.get("contentSize"), int):
        given["contentSize"] = str(given["contentSize"])  # text by the vocabulary
    return {"@id": names[0] if len(names) == 1 else entity.entity_id, "@type": types, **given}


def _names(value: Json) -> list[str]:
    """One name or several; none if it is anything else."""
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str) and one]


def _types(types: str | Sequence[str]) -> list[str]:
    """Types with what they are in the ontology of provenance."""
    listed = [types] if isinstance(types, str) else list(types)
    for one in list(listed):
        prov = PROV.get(one)
        if prov is not None and prov not in listed:
            listed.append(prov)
    return listed


def _references(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if set(value) == {"@id"} and key:
            yield key, str(value["@id"])
            return
        for name, inner in value.items():
            if name not in ("@id", "@type"):
                yield from _references(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner, key)
