"""What parameters may be, how many values they have, and how values are written into texts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torc_core.spec.complaint import Report
from torc_core.spec.document import Plain
from torc_core.spec.parameters import count, parameters
from torc_core.spec.shape import Reading
from torc_core.spec.tokens import Scope, Template, plain


def read(value, variables=None):
    report = Report()
    values = parameters(Reading(report, variables), {"p": value}, ("parameters",))["p"]
    complaints = report.sorted("-", lambda _: type("At", (), {"line": 0, "column": 0}))
    return (
        values,
        [complaint.message for complaint in complaints],
        [complaint.code for complaint in complaints],
    )


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ([1, 0.5, "adam"], [1, 0.5, "adam"]),
        (["1:5"], ["1:5"]),
        (7, [7]),
        (0.5, [0.5]),
        (Plain(1000.0, "1e3"), [1000.0]),
        ("1:5", [1, 2, 3, 4, 5]),
        ("0:100:10", [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        ("0:9:5", [0, 5]),
        ("5:1:-1", [5, 4, 3, 2, 1]),
        ("3:3", [3]),
        (" 1 : 3 ", [1, 2, 3]),
        ("+1:2", [1, 2]),
        ("0.0:1.0:0.1", [k / 10 for k in range(11)]),
        ("1:2:0.5", [1.0, 1.5, 2.0]),
        ("1e0:3", [1.0, 2.0, 3.0]),
        ("1.:2", [1.0, 2.0]),
        ("[1, 2.5, 'a,b', x]", [1, 2.5, "a,b", "x"]),
        ("[\"7\", 'it\\'s', a\\b]", ["7", "it's", "a\\b"]),
        (r"['a\\b']", ["a\\b"]),
        ("['noon:30']", ["noon:30"]),
        ("[ a b , c ]", ["a b", "c"]),
        ("{1:3}", [1, 2, 3]),
        ("{[5]}", [5]),
        ("abc", ["abc"]),
        ("7", [7]),
        ("0.5", [0.5]),
        ("nan", ["nan"]),
        ("inf", ["inf"]),
        ("1e999", ["1e999"]),
        ("-.5", [-0.5]),
    ],
)
def test_a_parameter_has_the_values_that_are_written(written, values):
    got, messages, _ = read(written)

    assert messages == []
    assert list(got) == values
    assert [type(value) for value in got] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("written", "code", "words"),
    [
        ("1:5:0", "bad-value", 'the step of "1:5:0" is zero'),
        ("5:1", "empty-parameter", '"5:1" has no values; write "5:1:-1" to count down'),
        ("1:5:-1", "empty-parameter", '"1:5:-1" has no values'),
        ([], "empty-parameter", "the list has no values"),
        ("[]", "empty-parameter", '"[]" has no values'),
        ("noon:30", "bad-value", '"noon:30" is not a range of numbers; to mean the text itself put it in a list'),
        ("http://x", "bad-value", ('"http://x" is not a range of numbers; to mean the text itself put it in a list: '
         "['http://x']")),
        ("C:\\x", "bad-value", '"C:\\\\x" is not a range of numbers'),
        ("1:2:3:4", "bad-value", '"1:2:3:4" is not a range (start:end or start:end:step)'),
        ("[1, 2", "bad-value", '"[1, 2": the list is not closed'),
        ("['a", "bad-value", "\"['a\": a quote is not closed"),
        ("[1,,2]", "bad-value", '"[1,,2]": an item is empty'),
        ("[1] x", "bad-value", '"[1] x": "] x" follows an item'),
        ("1:nan", "bad-value", '"1:nan" is not a range of numbers'),
        ("0:1e999", "out-of-range", '"0:1e999" goes beyond'),
        (True, "wrong-type", "expected a number or text, got true"),
        ([1, None], "wrong-type", "expected a number or text, got null"),
        ([[1]], "wrong-type", "expected a number or text, got a list"),
        (float("nan"), "bad-value", "nan is not finite"),
        (10**50, "out-of-range", "a number of more than 40 digits"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_complained_about(written, code, words):
    values, messages, codes = read(written)

    assert values is None
    assert codes == [code]
    assert messages[0].startswith(words)


def test_a_range_of_a_million_million_is_counted_without_being_built():
    values, _, _ = read("1:1000000000000")

    assert count(values) == 10**12


def test_variables_are_replaced_inside_ranges():
    values, _, _ = read("1:{n_max}", {"n_max": "4"})

    assert list(values) == [1, 2, 3, 4]


@settings(deadline=None)
@given(st.integers(-1000, 1000), st.integers(-300, 300).filter(bool), st.integers(0, 50), st.integers(0, 6))
def test_ranges_are_start_plus_step_in_exact_decimals(start, step, more, digits):
    scale = Decimal(10) ** -digits
    end = start + step * more
    written = ":".join(f"{part * scale:.{digits}f}" for part in (start, end, step))

    values, messages, _ = read(written)

    assert messages == []
    assert list(values) == [float((start + k * step) * scale) for k in range(more + 1)]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_plain_floats_read_back_and_have_no_exponent(value):
    text = plain(value)

    assert float(text) == value
    assert "e" not in text
    assert not text.endswith(".0")


def filled(text, values, *, together=False, regex=False):
    report = Report()
    scope = Scope(
        {name: tuple(one) for name, one in values.items()}, together=together, known=("v",), pool=()
    )
    template = scope.template(text, ("x",), report, regex=regex)
    assert not report.failed
    return [template.fill(row) if isinstance(template, Template) else template for row in scope.rows()]


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("{i:03d}-{i}-{i:2d}", 7, "007-7- 7"),
        ("{i:.2f}", 7, "7.00"),
        ("{i:.1e}", 1234, "1.2e+03"),
        ("{i:.3g}", 0.0001234, "0.000123"),
        ("{i:06.2f}", 3.14159, "003.14"),
        ("{i:03d}", 4.0, "004"),
        ("{i}", 1e-7, "0.0000001"),
        ("{i}", 1e16, "10000000000000000"),
        ("{i}", -0.5, "-0.5"),
        ("{i}", "a%s{i}", "a%s{i}"),
        ("{{i}}", 1, "{i}"),
        ("{{v}}", 1, "{v}"),
        ("{{{i}}}", 1, "{{i}}"),
        ("${i}", 1, "${i}"),
        ("$${i}{i}", 1, "$${i}1"),
        ("100% {i}%d", 1, "100% 1%d"),
        ("awk '{print $1}' {i}", 1, "awk '{print $1}' 1"),
        ('{"a": {i}}', 1, '{"a": 1}'),
        ("{ i }{i }{}", 1, "{ i }{i }{}"),
        ("${files.input.raw_{i}}", 1, "${files.input.raw_1}"),
    ],
)
def test_tokens_are_filled_and_everything_else_is_left(text, value, result):
    assert filled(text, {"i": [value]}) == [result]


def test_values_in_a_regex_match_only_themselves():
    assert filled("^a{i}.*$", {"i": [1.5]}, regex=True) == [r"^a1\.5.*$"]


def test_zip_goes_position_by_position():
    assert filled("{a}{b}", {"a": [1, 2], "b": ["x", "y"]}, together=True) == ["1x", "2y"]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), min_size=1, max_size=4))
def test_the_first_parameter_varies_slowest(lists):
    import itertools

    values = dict(zip("abcd", lists, strict=False))
    text = "-".join(f"{{{name}}}" for name in values)

    assert filled(text, values) == [
        "-".join(map(str, combination)) for combination in itertools.product(*lists)
    ]


@settings(deadline=None)
@given(st.text(alphabet="{}i$%: dv\\", max_size=20))
def test_no_text_breaks_the_filling(text):
    report = Report()
    scope = Scope({"i": (1, 2)}, together=False, known=("v",), pool=("w",))

    template = scope.template(text, ("x",), report)

    rows = list(scope.rows())
    assert all(isinstance(template.fill(row), str) for row in rows if isinstance(template, Template))


def test_picked_parameters_come_first_and_own_ones_replace_them_in_place(planned):
    plan = planned(
        {
            "name": "w",
            "parameters": {"a": [1, 2], "b": [1, 2]},
            "jobs": [
                {
                    "name": "{a}{b}{c}",
                    "command": "x",
                    "use_parameters": ["b", "a"],
                    "parameters": {"c": [5], "b": [8, 9]},
                }
            ],
        }
    )

    assert [job.name for job in plan.jobs] == ["185", "285", "195", "295"]


def test_the_sum_of_all_objects_is_limited(validated):
    tree = {"name": "w", "jobs": [{"name": "a{i}", "command": "x", "parameters": {"i": "1:60"}}] * 2}

    result = validated(tree, max_expanded=100)

    assert [complaint.code for complaint in result.errors] == ["too-many"]
    assert result.errors[0].message.startswith("the document makes 120 objects; the limit is 100")


def test_a_small_document_cannot_fill_the_memory_with_text(validated):
    tree = {
        "name": "w",
        "jobs": [{"name": "a{i}", "command": "x" * 1_000_000 + "{i}", "parameters": {"i": "1:1000000"}}],
    }

    result = validated(tree)

    assert [complaint.code for complaint in result.errors] == ["too-many"]
