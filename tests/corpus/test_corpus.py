"""Every document ends in a plan or in complaints, soon, and nothing else escapes."""

from __future__ import annotations

import runpy
import time
from pathlib import Path

import pytest

from torc_core.spec.load import load
from torc_formats import torc_spec_formats

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").iterdir())
FORMATS = {format.name: format for format in torc_spec_formats()}
DOCUMENTS = list(
    runpy.run_path(str(HERE / "hostile.py"))["documents"](
        {name: FORMATS[name].dump for name in ("yaml", "json", "json5", "kdl")}
    )
)
MANY = 300


def bare(value):
    """A tree without the memory of how scalars were written."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bare(item) for item in value]
    return getattr(value, "value", value)


def test_the_corpus_is_large():
    assert len(DOCUMENTS) >= MANY


@pytest.mark.parametrize(
    "document", [pytest.param(one, id=one[0]) for one in DOCUMENTS if one[3] is not None]
)
def test_a_hostile_document_is_refused_for_its_reason_or_planned_rightly(document):
    _name, file, text, code = document
    start = time.process_time()

    result = load(file, FORMATS, text=text)

    assert time.process_time() - start <= 2
    if code == "plan":
        assert result.plan is not None, "\n".join(map(str, result.errors))
    else:
        assert result.plan is None
        assert code in {complaint.code for complaint in result.errors}
        assert all(complaint.file == file for complaint in result.complaints)


def test_documents_without_an_expected_verdict_end_in_a_plan_or_complaints():
    slow = []
    for name, file, text, _ in (one for one in DOCUMENTS if one[3] is None):
        start = time.process_time()
        result = load(file, FORMATS, text=text)
        if time.process_time() - start > 2:
            slow.append(name)
        assert (result.plan is None) == bool(result.errors), name

    assert slow == []


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_document_gives_the_same_plan_in_every_format(path):
    text = path.read_text()
    original = load(path.name, FORMATS, text=text)
    assert original.complaints == (), "\n".join(map(str, original.complaints))

    tree = bare(FORMATS[path.suffix[1:]].load(text).tree)
    for name in ("yaml", "json", "json5", "kdl"):
        twin = load(f"twin.{name}", FORMATS, text=FORMATS[name].dump(tree))
        assert twin.plan == original.plan, name
