"""Documents for the tests of the specification: read by the real readers, validated by the one validator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from torc_core.model import Plan
from torc_core.providers import SpecFormat
from torc_core.spec.document import Document, Position
from torc_core.spec.load import load
from torc_core.spec.parse import Options
from torc_core.spec.validate import Validated, validate
from torc_formats import torc_spec_formats

Validating = Callable[..., Validated]


@pytest.fixture(scope="session")
def formats() -> Mapping[str, SpecFormat]:
    """The readers that come with torc."""
    return {format.name: format for format in torc_spec_formats()}


@pytest.fixture
def validated(formats: Mapping[str, SpecFormat]) -> Validating:
    """Validates a YAML text, or a tree of plain values."""

    def validated(source: str | dict[str, Any], **options: Any) -> Validated:
        if isinstance(source, str):
            return load("spec.yaml", formats, Options(**options), text=source)
        document = Document(tree=source, locate=lambda _: Position(0, 0), format="none")
        return validate(document, file="spec", options=Options(**options))

    return validated


@pytest.fixture
def planned(validated: Validating) -> Callable[..., Plan]:
    """Validates, and insists on a plan."""

    def planned(source: str | dict[str, Any], **options: Any) -> Plan:
        result = validated(source, **options)
        assert result.plan is not None, "\n".join(map(str, result.complaints))
        return result.plan

    return planned
