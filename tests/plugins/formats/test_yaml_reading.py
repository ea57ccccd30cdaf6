"""YAML 1.2, core schema (`workflow-spec.md` §1.3)."""

from __future__ import annotations

import pytest

from torc_core.spec.document import Plain


@pytest.mark.parametrize(
    "written",
    [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "007",
        "010",
        "10:00:00",
        "2020-01-01",
        "1_000",
        "0X1F",
        "0b1",
        "1.2.3",
        "--",
        "+",
        ".",
        ".inf",
        "-.Inf",
        ".NAN",
        "1e400",
        "1" * 400,
        "0x" + "f" * 300,
        "tRUE",
        "nULL",
        "None",
        "<",
        "=",
        "1e",
        "e1",
        "0o8",
    ],
)
def test_what_the_core_schema_calls_text_is_text(formats, written):
    assert formats["yaml"].load(f"a: {written}").tree == {"a": written}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1), ("-3", -3), ("+3", 3), ("0", 0), ("0x1F", 31), ("0o17", 15), ("1.10", 1.1), ("1e3", 1000.0), (".5", 0.5),
        ("5.", 5.0), ("-1.5E-2", -0.015), ("00.5", 0.5), ("true", True), ("True", True), ("TRUE", True), ("false", False),
        ("False", False), ("FALSE", False), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("", None),
    ],
)  # fmt: skip
def test_other_plain_scalars_keep_their_text_beside_their_value(formats, written, value):
    found = formats["yaml"].load(f"a: {written}").tree["a"]

    assert found == Plain(value, written)
    assert type(found.value) is type(value)


@pytest.mark.parametrize("written", ["'1'", '"true"', "'~'", '"1.10"', "! 1", "!!str 1"])
def test_quoted_scalars_are_text(formats, written):
    assert isinstance(formats["yaml"].load(f"a: {written}").tree["a"], str)


def test_keys_are_text_as_written(formats):
    assert list(formats["yaml"].load("1.10: a\nno: b\ntrue: c\n'x y': d").tree) == [
        "1.10",
        "no",
        "true",
        "x y",
    ]


def test_keys_keep_the_order_of_the_document(formats):
    assert list(formats["yaml"].load("z: 1\na: 2\nm: 3").tree) == ["z", "a", "m"]


def test_a_duplicate_key_is_refused_with_both_lines(complaints):
    (complaint,) = complaints(
        "yaml", "name: x\njobs:\n- name: a\n  command: b\n  priority: 1\n  command: c\n"
    )

    assert (complaint.code, complaint.line, complaint.column) == ("duplicate-key", 6, 3)
    assert complaint.message == "duplicate key 'command' (first at line 4)"
    assert complaint.path == ("jobs", 0, "command")


def test_all_duplicate_keys_are_told_at_once(complaints):
    found = complaints("yaml", "a: 1\na: 2\nb: {c: 1, c: 2}\na: 3")

    assert [complaint.line for complaint in found] == [2, 3, 4]


def test_a_key_is_a_duplicate_however_it_is_quoted(complaints):
    assert complaints("yaml", "1: a\n'1': b")[0].code == "duplicate-key"


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "---\na: 1\n...\n---\nb: 2\n", "a: 1\n---\n"])
def test_a_second_document_is_refused(complaints, text):
    assert complaints("yaml", text)[0].message == "a second document begins here; write one document per file"


def test_one_document_may_be_marked(formats, plain):
    assert plain(formats["yaml"].load("%YAML 1.2\n---\na: 1\n...\n").tree) == {"a": 1}


def test_aliases_are_followed(formats, plain):
    tree = formats["yaml"].load("a: &x [1, 2]\nb: *x\nc: &y k\n*y : d").tree

    assert plain(tree) == {"a": [1, 2], "b": [1, 2], "c": "k", "k": "d"}


def test_what_a_map_says_itself_wins_over_what_it_merges(formats, plain):
    tree = (
        formats["yaml"]
        .load("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\nd: {<<: {q: 1}}")
        .tree
    )

    assert plain(tree["c"]) == {"x": 1, "y": 1, "z": 3}
    assert plain(tree["d"]) == {"q": 1}


def test_a_quoted_merge_key_is_an_ordinary_key(formats, plain):
    assert plain(formats["yaml"].load("'<<': 1").tree) == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("a: *x", "syntax", "no anchor is named 'x'"),
        ("a: &x [1, *x]", "syntax", "the alias 'x' stands inside what it names"),
        ("<<: 1", "wrong-type", "<< needs a map"),
        ("<<: [{a: 1}, 2]", "wrong-type", "<< needs a map"),
        ("a: &a {}\n<<: *a\n<<: *a", "duplicate-key", "duplicate key '<<' (first at line 2)"),
        ("? [1]\n: 2", "wrong-type", "a key must be text, not a list"),
        ("? {a: 1}\n: 2", "wrong-type", "a key must be text, not a map"),
        ("a: &x [1]\n*x : 2", "wrong-type", "a key must be text, not a list"),
        ("- a", "wrong-type", "the document must be a map of fields, not a list"),
        ("just text", "wrong-type", "the document must be a map of fields, not a single value"),
        ("", "syntax", "the document is empty"),
        ("# only\n# comments\n", "syntax", "the document is empty"),
        ("---\n", "syntax", "the document is empty"),
        ("a: \x01", "syntax", "the character '\\x01' is not allowed"),
        ('a: "\\0"', "encoding", "a NUL character"),
        ("a: [1", "syntax", "did not find expected"),
    ],
)
def test_what_is_wrong_is_said(complaints, text, code, words):
    complaint = complaints("yaml", text)[-1]

    assert complaint.code == code
    assert complaint.message.startswith(words)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object:os.system",
        "!!python/object/apply:os.system",
        "!foo",
        "!!binary",
        "!!timestamp",
        "!!set",
        "!!omap",
    ],
)
@pytest.mark.parametrize("value", ["x", "[x]", "{x: y}"])
def test_tags_beyond_the_core_schema_are_refused(complaints, tag, value):
    complaint = complaints("yaml", f"a: {tag} {value}")[0]

    assert complaint.code == "syntax"
    assert complaint.message.startswith(f"the tag {tag!r} is not supported")


@pytest.mark.parametrize("value", ["!!int x", "!!bool 1", "!!null x", "!!float true", "!!int 1.5"])
def test_a_core_tag_on_something_else_is_refused(complaints, value):
    assert complaints("yaml", f"a: {value}")[0].code == "bad-value"


def test_core_tags_mean_what_they_say(formats, plain):
    tree = (
        formats["yaml"]
        .load("a: !!int '4'\nb: !!float 1\nc: !!str 1\nd: !!seq [1]\ne: !!map {}\nf: !!null ~")
        .tree
    )

    assert plain(tree) == {"a": 4, "b": 1.0, "c": "1", "d": [1], "e": {}, "f": None}
    assert isinstance(tree["b"].value, float)


def test_a_syntax_error_names_where_it_began(complaints):
    (complaint,) = complaints("yaml", "a: 'x\nb: 1\nc: 2\n")

    assert complaint.message.endswith("that began at line 1")
    assert complaint.line == 4


def test_a_thousand_aliases_are_allowed_and_no_more(formats, complaints):
    assert len(formats["yaml"].load("a: &a 1\nb: [" + "*a, " * 1000 + "]").tree["b"]) == 1000
    assert complaints("yaml", "a: &a 1\nb: [" + "*a, " * 1001 + "]")[0].message == "more than 1,000 aliases"


def test_aliases_are_counted_before_they_are_followed(complaints):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"

    (complaint,) = complaints("yaml", bomb)

    assert (complaint.code, complaint.message) == ("too-large", "aliases expand to more than 2,000,000 nodes")


def test_aliases_count_for_depth(complaints, formats):
    text = "a: &a " + "[" * 40 + "]" * 40 + "\nb: {levels}*a{end}\n"

    formats["yaml"].load(text.format(levels="[" * 23, end="]" * 23))
    assert complaints("yaml", text.format(levels="[" * 24, end="]" * 24))[0].code == "too-deep"
