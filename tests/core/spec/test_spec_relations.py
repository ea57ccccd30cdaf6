"""Who waits for whom: references, regexes, groups, cycles."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from torc_core.model import InputKind, Source
from torc_core.spec.cycles import cycles, levels
from torc_core.spec.names import Names
from torc_core.spec.resolve import Matcher


def job(name, **fields):
    return {"name": name, "command": "true", **fields}


def test_equal_lists_from_different_sources_are_one_group_with_both_bits(planned):
    plan = planned(
        {
            "name": "w",
            "files": [{"name": "f", "path": "f"}],
            "user_data": [{"name": "u"}],
            "jobs": [
                job("a", output_files=["f"], output_user_data=["u"]),
                job("b", depends_on=["a"], input_files=["f"], input_user_data=["u"]),
                job("c", depends_on=["a"]),
            ],
        }
    )

    assert plan.groups == [(0,)]
    assert plan.jobs[1].groups == ((0, Source.EXPLICIT | Source.FILE | Source.USER_DATA),)
    assert plan.jobs[1].num_blockers == 1
    assert plan.jobs[2].groups == ((0, Source.EXPLICIT),)
    assert [(item.kind, item.items, item.group) for item in plan.inputs] == [
        (InputKind.FILE, (0,), 0),
        (InputKind.USER_DATA, (0,), 0),
    ]


def test_names_and_regexes_of_a_job_are_separate_lists(planned):
    plan = planned(
        {
            "name": "w",
            "jobs": [
                job("a{i}", parameters={"i": "1:3"}),
                job("b{i}", parameters={"i": "1:3"}, depends_on=["a{i}"], depends_on_regexes=["^a"]),
            ],
        }
    )

    assert plan.groups == [(0,), (0, 1, 2), (1,), (2,)]
    assert [job.groups for job in plan.jobs[3:]] == [
        ((0, Source.EXPLICIT), (1, Source.EXPLICIT)),
        ((1, Source.EXPLICIT), (2, Source.EXPLICIT)),
        ((1, Source.EXPLICIT), (3, Source.EXPLICIT)),
    ]
    assert [job.num_blockers for job in plan.jobs[3:]] == [3, 3, 3]


def test_an_item_that_nobody_writes_blocks_nobody(planned):
    plan = planned(
        {"name": "w", "files": [{"name": "f", "path": "f"}], "jobs": [job("a", input_files=["f", "f"])]}
    )

    assert plan.jobs[0].groups == ()
    assert plan.inputs[0].items == (0,)
    assert plan.inputs[0].group is None


def test_a_regex_never_means_the_job_itself(planned):
    plan = planned({"name": "w", "jobs": [job("a"), job("ab", depends_on_regexes=["^a"])]})

    assert plan.groups == [(0,)]


def test_regexes_search_unanchored_and_values_in_them_are_literal(planned):
    plan = planned(
        {
            "name": "w",
            "jobs": [
                job("x_1.5_y"),
                job("x_115_y"),
                job("last{v}", parameters={"v": [1.5]}, depends_on_regexes=["_{v}_"]),
            ],
        }
    )

    assert plan.jobs[2].num_blockers == 1
    assert plan.groups == [(0,)]


def test_each_template_with_a_regex_that_matches_nothing_is_told(validated):
    result = validated(
        {"name": "w", "jobs": [job("a", depends_on_regexes=["^z"]), job("b", depends_on_regexes=["^z"])]}
    )

    assert [complaint.path for complaint in result.errors] == [
        ("jobs", 0, "depends_on_regexes", 0),
        ("jobs", 1, "depends_on_regexes", 0),
    ]


def test_a_broken_job_does_not_make_its_waiters_complain(validated):
    result = validated(
        {
            "name": "w",
            "jobs": [
                job("a_{i}", parameters={"i": "5:1"}),
                job("b", depends_on=["a_3"], depends_on_regexes=["^a_"]),
            ],
        }
    )

    assert [complaint.code for complaint in result.errors] == ["empty-parameter"]


def test_many_jobs_whose_regex_matches_all_of_them_are_one_cycle(validated):
    result = validated(
        {"name": "w", "jobs": [job("a{i}", parameters={"i": "1:20000"}, depends_on_regexes=["^a"])]}
    )

    assert [complaint.code for complaint in result.errors] == ["cycle"]
    assert "a1 → a2 (depends_on) → a1 (depends_on)" in result.errors[0].message


def test_a_long_cycle_is_told_in_part_and_at_most_ten_cycles_are(validated):
    ring = [job(f"j{k}", depends_on=[f"j{(k - 1) % 1000}"]) for k in range(1000)]
    pairs = [job(f"{side}{k}", depends_on=[f"{other}{k}"]) for k in range(15) for side, other in ("pq", "qp")]

    long, many = validated({"name": "w", "jobs": ring}), validated({"name": "w", "jobs": pairs})

    assert len(long.errors) == 1
    assert "… 950 more …" in long.errors[0].message
    assert len(many.errors) == 10


def test_a_deep_chain_is_ordered(validated):
    chain = [job(f"j{k}", depends_on=[f"j{k + 1}"]) for k in range(20_000)] + [job("j20000")]

    result = validated({"name": "w", "jobs": chain})

    assert result.summary["levels"] == 20_001


def test_dependency_pairs_are_counted_without_being_listed(validated):
    result = validated(
        {
            "name": "w",
            "parameters": {"i": "1:300"},
            "jobs": [
                job("a{i}", use_parameters=["i"]),
                job("b{i}", use_parameters=["i"], depends_on_regexes=["^a"]),
            ],
        }
    )

    assert result.summary["dependency_count"] == 90_000
    assert result.summary["levels"] == 2
    assert len(result.plan.groups) == 1


graphs = st.integers(1, 6).flatmap(
    lambda jobs: st.lists(
        st.tuples(st.integers(0, jobs - 1), st.integers(0, jobs - 1)).filter(lambda pair: pair[0] != pair[1]),
        max_size=14,
    ).map(lambda pairs: (jobs, sorted(set(pairs))))
)


def grouped(jobs, pairs):
    """Each job waits for one group of all its blockers."""
    blockers = {waiter: tuple(sorted(b for w, b in pairs if w == waiter)) for waiter in range(jobs)}
    groups = sorted({members for members in blockers.values() if members})
    return (lambda waiter: [groups.index(blockers[waiter])] if blockers[waiter] else []), groups


def shortest_cycle(jobs, pairs):
    waits = {(waiter, blocker) for waiter, blocker in pairs}
    for size in range(2, jobs + 1):
        for ring in itertools.permutations(range(jobs), size):
            if all((ring[k], ring[k - 1]) in waits for k in range(size)):
                return size
    return None


@settings(max_examples=150, deadline=None)
@given(graphs)
def test_a_graph_has_levels_or_a_shortest_cycle(graph):
    jobs, pairs = graph
    waits, groups = grouped(jobs, pairs)

    depth, found = levels(waits, jobs, groups), cycles(waits, jobs, groups)

    expected = shortest_cycle(jobs, pairs)
    assert (depth is None) == bool(found) == (expected is not None)
    if found:
        assert min(map(len, found)) == expected
        for cycle in found:
            assert all((job, cycle[k - 1]) in set(pairs) for k, job in enumerate(cycle))


alphabet = "ab_1.é"
patterns = st.lists(
    st.sampled_from(
        ["^", "$", "a", "b", "_", "1", r"\.", ".", ".*", "[^a]", "[ab]", "a+", "(a|b)", "b?", r"\w", "|", "é"]
    ),
    min_size=1,
    max_size=5,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet, min_size=1, max_size=6), min_size=1, max_size=8, unique=True), patterns)
def test_regexes_find_what_a_search_in_each_name_finds(names, pattern):
    known = Names("job")
    known.positions.update({name: k for k, name in enumerate(names)})

    found = Matcher(known).matches(pattern)

    if isinstance(found, str):
        assert "is not valid" in found
    else:
        assert found == tuple(
            k for k, name in enumerate(names) if re.search(pattern.replace(r"\w", "[A-Za-z0-9_]"), name)
        )


def test_suggestions_are_the_nearest_names():
    known = Names("job")
    known.positions.update({f"train_{k}": k for k in range(12)})

    assert known.unknown(
        "trian_3"
    ) == "no job named 'trian_3'; did you mean 'train_3'? (12 jobs defined)" or (
        known.unknown("trian_3").startswith("no job named 'trian_3'; did you mean 'train_3'")
    )
    assert known.unknown("x" * 5000).endswith("…' (12 jobs defined)")
