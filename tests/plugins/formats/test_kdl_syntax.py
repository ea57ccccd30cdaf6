"""KDL 2.0 and what of 1.0 is accepted with it; `ckdl` is the judge where both have an opinion."""

from __future__ import annotations

from typing import Any

import ckdl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from torc_core.spec.complaint import Complaints
from torc_formats.kdl_parser import KdlText, Node

SAMPLES = [
    "a", 'a 1 2 "x" b=1', "a {b;c;}", "a { b 1; c }", "/- a 1\nb", "a /- 1 2 /- x=3 { c; }", "a /-{ b; } { c; }",
    "a \\\n 1 \\ // x\n 2", "a /* x /* y */ */ 1", "a #true #false #null", 'a #"x\\y"#', 'a ##"x"#y"##',
    'a """\n  foo\n    bar\n\n  """', 'a #"""\n  foo "" \\n\n  """#', 'a "x\\n\\u{1F600}\\s\\t\\\n   y"',
    "a 0x1F 0b101 0o17 1_000 1.5e3 -1 +2 -1.5 -0x1f", "a b = 1", '"a b" 1', "a -x +y .z", "a;b;c", ";", 'a ""', 'a #""#',
    'a """\n"""', "// c\n", "a 1 // c\nb", "a 1//c", "a 1/**/2", "a\u2003b", "- 1 2", "a {- 1; - 2;}",
    'n #"""\n"x\n"""#', "/-a {b;}\nc", "a\\\nb", 'a """\n  x\\\n   y\n  """', "a\r\nb\rc", "\ufeffa 1",
    "a x=1 x=2", 'a "\\""', "/* c */ a", "/- a { b {c;}; }\n/- d",
    "a true null", 'a r"x\\y" r#"x"y"#', 'a "x\ny"', 'a "\\/"', 'a r"x\ny"', 'a "b" {\n c "d"\n}\n',
    'a "x""y"', "a }", "a {", "a { b; } c", "a {} {}", "a 1x", "a .5", 'a """"""', 'a "\\q"', "a true=1", 'a """\n x\n  """',
    "true 1", "a=1", "a (", "a #x", 'a #"x', 'a "x', "a [1]", "a \\ b", "a /* x", '"', "1 2",
]  # fmt: skip


def ours(nodes: list[Node]) -> list[Any]:
    return [
        (
            node.name,
            list(node.arguments),
            {key: value for key, value, _ in node.properties},
            ours(node.children or []),
        )
        for node in nodes
    ]


def theirs(nodes: list[Any]) -> list[Any]:
    return [(node.name, list(node.args), dict(node.properties), theirs(node.children)) for node in nodes]


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("places", [False, True])
def test_our_parser_and_another_one_agree(text, places):
    try:
        expected = theirs(ckdl.parse(text, version="any").nodes)
    except ckdl.ParseError:
        with pytest.raises(Complaints):
            KdlText(text)
    else:
        assert ours(KdlText(text.removeprefix("\ufeff"), places=places).nodes) == expected


@given(some.text(alphabet='ab1-.#"\\/*{};= \n\t', max_size=14))
def test_whatever_another_parser_accepts_we_read_alike_or_refuse(text):
    try:
        expected = theirs(ckdl.parse(text, version=2).nodes)
    except (ckdl.ParseError, UnicodeDecodeError):
        return
    try:
        found = ours(KdlText(text).nodes)
    except Complaints:
        return

    assert found == expected


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("a 1e400", "syntax", "the number '1e400' is too big"),
        ("a " + "9" * 5000, "syntax", "the number '999"),
        ("a #nan", "syntax", "#nan is not a number that can be kept"),
        ("a -inf", "syntax", "-inf is not a number that can be kept"),
        ("a (u8)1", "syntax", "type annotations are not supported"),
        ("a 0xZ", "syntax", "'0xZ' is not a number"),
        ('a "\\u{0}"', "encoding", "a NUL character"),
        ('a "\\u{d800}"', "encoding", "\\u{d800} is not a character"),
        ('a "\\u{110000}"', "encoding", "\\u{110000} is not a character"),
        ("a {\nb {\n", "syntax", "the block of the node at line 2 is not closed"),
        ("/* a\n/* b */", "syntax", "the comment that begins here has no end"),
        ("", "syntax", "the document is empty"),
        ("// only\n/* comments */ /- a 1", "syntax", "the document is empty"),
    ],
)
def test_what_is_wrong_with_kdl_is_said(complaints, text, code, words):
    complaint = complaints("kdl", text)[0]

    assert complaint.code == code
    assert complaint.message.startswith(words)


def test_a_raw_string_over_several_lines_says_how_it_is_written(complaints):
    assert complaints("kdl", 'a #"x\ny"#')[0].message.startswith(
        'a string over several lines is written as #"""'
    )
