"""JSON and JSON5 (`workflow-spec.md` §1.4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from torc_core.spec.complaint import Complaints
from torc_formats import json_reader
from torc_formats.json_parser import JSON, parse

BOTH = pytest.mark.parametrize("reader", ["json", "json5"])


@BOTH
def test_json_is_read_as_the_standard_says(formats, reader):
    text = '{"a": [1, -2.5e3, true, false, null, "x\\u00e9\\n\\ud83d\\ude00/\\/"], "b": {"c": {}}, "": []}'

    assert formats[reader].load(text).tree == json.loads(text)


@BOTH
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000])
def test_numbers_beyond_a_double_are_refused(complaints, reader, number):
    (complaint,) = complaints(reader, f'{{"name": "x",\n "a": [{number}]}}')

    assert (complaint.code, complaint.line, complaint.path) == ("syntax", 2, ("a", 0))


@BOTH
def test_a_duplicate_key_is_refused_with_both_lines_in_json(complaints, reader):
    (complaint,) = complaints(reader, '{\n"jobs": [{"name": 1,\n "name": 2}]}')

    assert complaint.message == "duplicate key 'name' (first at line 2)"
    assert (complaint.code, complaint.line, complaint.path) == ("duplicate-key", 3, ("jobs", 0, "name"))


@BOTH
@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\udc00\\ud800", "\\u0000"])
def test_half_characters_and_nul_are_refused(complaints, reader, escape):
    assert complaints(reader, f'{{"a": "{escape}"}}')[0].code == "encoding"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the document is empty"),
        ("{", "the document ends inside the map that began at line 1"),
        ('{"a": [1', "the document ends inside the list that began at line 1"),
        ('{"a": 1,}', "JSON allows no comma before '}'"),
        ('{"a": [1,]}', "JSON allows no comma before ']'"),
        ("{a: 1}", "expected a key in double quotes, not 'a'"),
        ("{'a': 1}", 'expected a key in double quotes, not "\'"'),
        ("{\"a\": 'x'}", 'expected a value, not "\'"'),
        ('{"a": 1} x', "'x' after the end of the document"),
        ('{"a": 1 "b": 2}', "expected ',' or '}', not '\"'"),
        ('{"a" 1}', "expected ':' after the key 'a', not '1'"),
        ('{"a": 01}', "expected a value, not '01'"),
        ('{"a": +1}', "expected a value, not '+'"),
        ('{"a": 0x10}', "expected a value, not '0x10'"),
        ('{"a": tru}', "expected a value, not 'tru'"),
        ('{"a": "\\q"}', "\\q is not an escape of JSON"),
        ('{"a": "\\u12"}', "\\u is not an escape of JSON"),
        ('{"a": "x\ty"}', "the character '\\t' has to be written as an escape"),
        ('{"a": "x\ny"}', "the text that begins here has no closing quote on its line"),
        ('{"a": "x', "the text that begins here has no closing quote"),
        ('{"a": 1 // c\n}', "JSON has no comments; name the file .json5 to write them"),
        ("[1]", "the document must be a map of fields, not a list"),
        ('"x"', "the document must be a map of fields, not a single value"),
    ],
)
def test_what_is_wrong_with_json_is_said(complaints, text, words):
    assert complaints("json", text)[0].message.startswith(words)


def test_json5_has_its_freedoms(formats):
    text = """// a comment
    {
        bare: 1, $d_1: 2, 'single': 'it\\'s', "double": "a\\
b", /* one
        more */ hex: 0xFF, minus: -0x10, plus: +1, half: .5, five: 5., list: [1, 2,], "\\x41": '\\u0042\\v\\'',
        null: null, über: true,
    }
    // the end"""

    assert formats["json5"].load(text).tree == {
        "bare": 1, "$d_1": 2, "single": "it's", "double": "ab", "hex": 255, "minus": -16, "plus": 1, "half": 0.5,
        "five": 5.0, "list": [1, 2], "A": "B\v'", "null": None, "über": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["{a: 1 /* }", "{a: '\\x4'}", "{a: 'x\ny'}", "{a: 01}", "{,}", "{a: [,]}", "{1: 2}", "{a: '\\1'}"]
)
def test_json5_has_its_limits(complaints, text):
    assert complaints("json5", text)[0].code == "syntax"


def test_a_bare_key_and_a_quoted_one_are_the_same(complaints):
    assert complaints("json5", "{a: 1, 'a': 2}")[0].code == "duplicate-key"


VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, some.booleans())
def test_the_careful_parser_and_the_library_agree(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assume("\\u0000" not in text)

    assert parse(text, JSON)[0] == json.loads(text)


@given(some.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u/\n', max_size=30))
def test_the_careful_parser_accepts_nothing_more_than_the_library(text):
    quick = json_reader._quickly(text)

    try:
        careful, _ = parse(text, JSON)
    except Complaints:
        assert quick is None
    else:
        assert quick == careful
