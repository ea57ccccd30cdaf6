"""No text makes a reader crash, hang, or raise anything but `Complaints` (`promises.md` §8)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from torc_core.spec.complaint import Complaints

READERS = pytest.mark.parametrize("reader", ["yaml", "json", "json5", "kdl"])
MIB = 1024 * 1024
FLIPS = int(os.environ.get("TORC_TEST_FLIPS", "500"))
"""Damaged documents per format."""
GOOD = {
    "name": "good",
    "variables": {"root": "/scratch", "ünicode": "日本語"},
    "jobs": [
        {
            "name": f"job_{index}",
            "command": f'echo "{index}" \\\n  done\n',
            "depends_on": ["a", "b"],
            "priority": index,
        }
        for index in range(4)
    ],
    "user_data": [{"name": "u", "data": {"a": [1, 2.5, None, True, {"b": "\t"}]}}],
}
DEEP = {
    "yaml": [
        ("a: ", "[", "]"),
        ("a: ", "{b: ", "}"),
        ("", "- ", ""),
        ("", "? ", ""),
        ("a:\n", " - ", ""),
        ("", "[{", "}]"),
    ],
    "json": [("", "[", "]"), ("", '{"a":', "}"), ("", '[{"a":', "}]")],
    "json5": [("", "[", "]"), ("", "{a:", "}"), ("", "[{'a':", "}]")],
    "kdl": [
        ("", "a {", "}"),
        ("", "a {\n", "}\n"),
        ("", "a /-{", "}"),
        ("", "/* ", "*/ "),
        ("", "/- a {", "}"),
    ],
}


def outcome(load, text):
    """A document, or complaints, within the time that any document gets."""
    began = time.process_time()
    try:
        return load(text)
    except Complaints as error:
        for complaint in error.complaints:
            assert complaint.message
            assert complaint.line >= 1
        return error
    finally:
        assert time.process_time() - began < 10


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
@pytest.mark.parametrize(
    ("reader", "head", "opening", "closing"), [(reader, *parts) for reader in DEEP for parts in DEEP[reader]]
)
def test_deep_nesting_is_refused(formats, reader, head, opening, closing, depth):
    text = head + opening * depth + closing * depth

    error = outcome(formats[reader].load, text)

    assert isinstance(error, Complaints)
    assert error.complaints[0].code in ("too-deep", "syntax", "wrong-type")


@READERS
def test_sixty_four_levels_are_read_and_no_more(formats, reader):
    def nested(levels):
        value = "x"
        for _ in range(levels):
            value = {"a": value}
        return value

    formats[reader].load(formats[reader].dump(nested(64)))
    with pytest.raises(Complaints) as caught:
        formats[reader].load(formats[reader].dump(nested(65)))

    assert caught.value.complaints[0].code == "too-deep"
    assert caught.value.complaints[0].message == "nested deeper than 64 levels"


@READERS
def test_texts_over_a_mebibyte_are_refused(formats, reader):
    load, dump = formats[reader].load, formats[reader].dump

    load(dump({"name": "x" * MIB}))
    for text in ("x" * (MIB + 1), "é" * (MIB // 2 + 1), "x\n" * MIB):
        with pytest.raises(Complaints) as caught:
            load(dump({"name": text}))
        assert caught.value.complaints[0].code == "too-large"
        assert "MiB long; the limit is 1 MiB" in caught.value.complaints[0].message


@READERS
@pytest.mark.parametrize("text", ["a\0b", "a: \ud800", "\udfff"])
def test_text_that_is_not_unicode_is_refused(formats, reader, text):
    with pytest.raises(Complaints) as caught:
        formats[reader].load(text)

    assert caught.value.complaints[0].code == "encoding"
    assert caught.value.complaints[0].message.startswith("not valid UTF-8 at byte ")


@READERS
def test_a_byte_order_mark_is_skipped(formats, plain, reader):
    text = formats[reader].dump(GOOD)

    assert plain(formats[reader].load("\ufeff" + text).tree) == GOOD


@READERS
@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t", "\ufeff"])
def test_nothing_is_no_document(formats, reader, text):
    with pytest.raises(Complaints):
        formats[reader].load(text)


@READERS
def test_a_document_that_ends_anywhere_is_read_or_refused(formats, reader):
    text = formats[reader].dump(GOOD)

    for percent in range(100):
        outcome(formats[reader].load, text[: len(text) * percent // 100])


@READERS
def test_a_document_with_a_flipped_byte_is_read_or_refused(formats, reader):
    data = formats[reader].dump(GOOD).encode()
    chance = random.Random(20)

    for _ in range(FLIPS):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        outcome(formats[reader].load, flipped.decode("utf-8", "replace"))


@READERS
def test_a_document_with_shuffled_pieces_is_read_or_refused(formats, reader):
    text = formats[reader].dump(GOOD)
    chance = random.Random(21)

    for _ in range(300):
        starts = [chance.randrange(len(text)) for _ in range(8)]
        pieces = [text[start : start + chance.randrange(40)] for start in starts]
        outcome(formats[reader].load, "".join(pieces))


MANY = int(os.environ.get("TORC_TEST_FLOOD", "40000"))
"""How often a thing is repeated in a flood."""
FLOODS = {
    "yaml": ["%TAG !a! x\n" * MANY, "&a " * MANY, "? " * MANY, "a: &a\n" * MANY, "!" * MANY, "'" * MANY, "a: |\n" + "\n" * MANY, "#\n" * MANY,
             "[" + "a: b, " * MANY, "- [" + "*a, " * MANY, "a: '" + "\n" * MANY, "{" + "? " * MANY, "|" * MANY, "a: 1\n" * MANY],
    "json": ["[" * MANY, '{"a":[' + '"",' * MANY, '{"' + "\\" * MANY, '{"a":' + "9" * MANY, '{"a":"' + "\\n" * MANY, '{"a":1,' * MANY,
             '{"a":[' + "[]," * 2 * MANY, '{"a":1' + ',"a":1' * MANY, " " * MANY],
    "json5": ["/*" * MANY, "//\n" * MANY, "{a:" + "/**/" * MANY, "{a:'" + "\\\n" * MANY, "{a:" + "+" * MANY, "{" + "a:1," * MANY],
    "kdl": ["/*" * MANY, "/-" * MANY, "/*/**/" * MANY, "#" * MANY, "a " + '"' * MANY, "a \\\n" * MANY, 'a """\n' + "\\\n" * MANY + '"""',
            "a;" * MANY, "a b=1" * MANY, "a" + " b=1" * MANY, "r" + "#" * MANY + '"', "a " + "9" * MANY, "a 1_" * MANY, ";" * MANY, "a{};" * MANY],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "number"), [(reader, number) for reader in FLOODS for number in range(len(FLOODS[reader]))]
)
def test_a_flood_of_one_thing_ends(formats, reader, number):
    outcome(formats[reader].load, FLOODS[reader][number])


@READERS
def test_a_crowd_of_duplicate_keys_is_cut_short(complaints, reader):
    crowd = {
        "yaml": "a: 1\n" * 5000,
        "json": '{"a": 1' + ', "a": 1' * 5000 + "}",
        "json5": "{a: 1" + ", a: 1" * 5000 + "}",
        "kdl": "a 1\n" * 5000,
    }

    assert len(complaints(reader, crowd[reader])) == 100


BIG = {
    "yaml": "'a:\\n' + '- {a: {b: {c: {d: {}}}}}\\n' * 300_000",
    "json": "'{\"a\":[' + '{\"a\":{\"b\":{}}},' * 1_900_000 + '0]}'",
    "kdl": "'metadata {\\n' + '- {a {b {c}}}\\n' * 1_000_000 + '}'",
}


VALUES = int(os.environ.get("TORC_TEST_VALUES", "200000"))
"""Keys and values that a document may hold: two millions, but to read as many takes seconds."""


@pytest.mark.parametrize("reader", BIG)
def test_thirty_mebibytes_of_values_are_refused_in_little_memory(reader):
    program = f"""
import resource
from torc_formats import limits
limits.NODES = {VALUES}
from torc_core.spec.complaint import Complaints
from torc_formats import load_{reader}
text = {BIG[reader]}
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    load_{reader}(text)
except Complaints as error:
    # NOTE: not `ru_maxrss`, which is never less than what the parent had when it started the child.
    (peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(error.complaints[0].code, int(peak) // 1024)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    code, mebibytes = ended.stdout.split()
    assert code == "too-large"
    assert int(mebibytes) < 110 + 195 * VALUES / 1_000_000
