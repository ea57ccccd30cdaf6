"""Capabilities: read back as they were written, by whoever holds the secret, and in no other way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torc_http.auth.capability import JobCapability, WorkflowCapability, parsed, read, written

SECRET, OTHER = bytes(range(32)), bytes(32)
numbers = st.integers(min_value=0, max_value=10**12)
jobs = st.builds(
    JobCapability, workflow=numbers, job=numbers, run=numbers, attempt=numbers, generation=numbers
)
workflows = st.builds(
    WorkflowCapability,
    workflow=numbers,
    access_class=st.sampled_from(("read", "edit", "run", "operate", "own")),
    expires=numbers,
    generation=numbers,
)
capabilities = st.one_of(jobs, workflows)


@given(capabilities)
def test_a_capability_is_read_as_it_was_written(one: JobCapability | WorkflowCapability) -> None:
    assert read((SECRET,), written(SECRET, one)) == one
    assert read((OTHER, SECRET), written(SECRET, one)) == one


@given(capabilities)
def test_another_secret_made_none_of_it(one: JobCapability | WorkflowCapability) -> None:
    assert read((OTHER,), written(SECRET, one)) is None
    assert read((), written(SECRET, one)) is None


@given(capabilities, capabilities)
def test_the_mac_of_one_is_none_for_another(
    one: JobCapability | WorkflowCapability, other: JobCapability | WorkflowCapability
) -> None:
    crossed = ".".join((*written(SECRET, other).split(".")[:-1], written(SECRET, one).split(".")[-1]))

    assert read((SECRET,), crossed) == (one if one == other else None)


@given(capabilities, st.data())
def test_no_changed_character_is_accepted(
    one: JobCapability | WorkflowCapability, data: st.DataObject
) -> None:
    text = written(SECRET, one)
    at = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    sign = data.draw(st.characters(blacklist_characters=text[at]))

    assert read((SECRET,), text[:at] + sign + text[at + 1 :]) is None


@given(st.text(max_size=300))
def test_no_text_is_an_exception(text: str) -> None:
    assert read((SECRET,), text) is None


def test_texts_that_are_nearly_capabilities_are_none() -> None:
    text = written(SECRET, JobCapability(workflow=1, job=2, run=3, attempt=4, generation=0))

    for wrong in (
        f"{text}.",
        f".{text}",
        text.upper(),
        text + "=",
        text.replace("j.1", "j.01"),
        text * 5,
        text[:-1],
    ):
        assert parsed(wrong) is None or read((SECRET,), wrong) is None
