"""Reads a specification and validates it: the way from a path, or a text, to a plan."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from torc_core.spec.complaint import Complaints
from torc_core.spec.document import Document
from torc_core.spec.parse import Options
from torc_core.spec.read import decode, read_bytes, read_text
from torc_core.spec.validate import Validated, validate

if TYPE_CHECKING:
    from torc_core.providers import SpecFormat


def load(
    source: str,
    formats: Mapping[str, SpecFormat],
    options: Options | None = None,
    *,
    text: str | None = None,
    format: str | None = None,
) -> Validated:
    """Read and validate; what cannot be read is told as complaints too.

    Parameters
    ----------
    source
        A path, or `-` for standard input.
    formats
        All readers by their names.
    options
        `source_path` and `source_digest` are filled in for a document that is read from a path.
    text
        The document itself; `source` then only names it.
    format
        Name of a reader; default: by the suffix of `source`, else the first that can.

    Raises
    ------
    UnknownProvider
        If nobody offers the format.
    """
    try:
        document, options = opened(source, formats, options, text=text, format=format)
    except Complaints as error:
        return Validated(plan=None, complaints=error.complaints, summary={})
    return validate(document, file=source, options=options)


def opened(
    source: str,
    formats: Mapping[str, SpecFormat],
    options: Options | None = None,
    *,
    text: str | None = None,
    format: str | None = None,
) -> tuple[Document, Options]:
    """Read a document, and say where it is from; parameters as those of `load`.

    Raises
    ------
    Complaints
        If it cannot be read.
    UnknownProvider
        If nobody offers the format.
    """
    options = options or Options()
    if text is None:
        data = read_bytes(source)
        text = decode(data, source)
        if source != "-":
            digest = hashlib.sha256(data).hexdigest()
            options = replace(options, source_path=os.path.realpath(source), source_digest=digest)
    return read_text(text, formats, name=source, format=format), options
