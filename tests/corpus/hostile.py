"""Documents that try to break the validator (`promises.md` §8.2): explicit ones, twins in each format, and damage.

`documents(dump)` yields (name, file name, text, code): a code of the complaint that is expected, `plan` for a document
that has to give a plan, or None where either will do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torc_core.errors import TorcError

UNWRITABLE = (TorcError, ValueError)

GOOD = Path(__file__).parent / "good"

Documents = Iterator[tuple[str, str, str, str | None]]


def documents(dump: Mapping[str, Callable[[Any], str]]) -> Documents:
    """All of them; `dump` writes a tree, by name of the format."""
    for name, (tree, code) in trees().items():
        for format, write in dump.items():
            try:
                text = write(tree)
            except UNWRITABLE:  # not every wrong tree can be written in every format
                continue
            yield f"{name}-{format}", f"{name}.{format}", text, code
    for name, (text, code) in yaml_texts().items():
        yield name, f"{name}.yaml", text, code
    for name, text in damaged(dump):
        yield name, name, text, None


def job(**fields: Any) -> dict[str, Any]:
    """A job with a name and a command."""
    return {"name": "a", "command": "x", **fields}


def flow(*jobs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A workflow of these jobs."""
    return {"name": "w", **fields, "jobs": list(jobs)}


def sweep(**parameters: Any) -> dict[str, Any]:
    """A workflow of one job with parameters."""
    return flow(job(name="a" + "".join(f"_{{{name}}}" for name in parameters), parameters=parameters))


def trees() -> dict[str, tuple[dict[str, Any], str | None]]:
    """Trees, each to be written in every format."""
    f, u = [{"name": "f", "path": "f"}], [{"name": "u"}]
    ring = [job(name=f"j{k}", depends_on=[f"j{(k + 1) % 1000}"]) for k in range(1000)]
    found: dict[str, tuple[dict[str, Any], str | None]] = {
        "self": (flow(job(depends_on=["a"])), "self-cycle"),
        "two": (flow(job(depends_on=["b"]), job(name="b", depends_on=["a"])), "cycle"),
        "thousand": (flow(*ring), "cycle"),
        "file-self": (flow(job(input_files=["f"], output_files=["f"]), files=f), "self-cycle"),
        "data-self": (flow(job(input_user_data=["u"], output_user_data=["u"]), user_data=u), "self-cycle"),
        "file-cycle": (flow(job(output_files=["f"], depends_on=["b"]), job(name="b", input_files=["f"]), files=f), "cycle"),
        "data-cycle": (
            flow(job(output_user_data=["u"], depends_on=["b"]), job(name="b", input_user_data=["u"]), user_data=u), "cycle",
        ),
        "token-cycle": (
            flow(job(command="${files.output.f}", depends_on=["b"]), job(name="b", command="${files.input.f}"), files=f), "cycle",
        ),
        "regex-cycle": (flow(job(depends_on_regexes=["b"]), job(name="b", depends_on_regexes=["a"])), "cycle"),
        "same-name": (flow(job(), job()), "duplicate-name"),
        "same-file": (flow(job(), files=[*f, *f]), "duplicate-name"),
        "two-producers": (flow(job(output_files=["f"]), job(name="b", output_files=["f"]), files=f), "two-producers"),
        "unknown": (flow(job(depends_on=["b"])), "unknown-reference"),
        "near-miss": (flow(job(), job(name="b", depends_on=["A"])), "unknown-reference"),
        "unknown-scheduler": (flow(job(scheduler="s")), "unknown-reference"),
        "bad-regex": (flow(job(depends_on_regexes=["("])), "bad-regex"),
        "look-around": (flow(job(depends_on_regexes=["(?<=a)b"])), "bad-regex"),
        "back-reference": (flow(job(depends_on_regexes=[r"(a)\1"])), "bad-regex"),
        "huge-repetition": (flow(job(depends_on_regexes=["((a{500}){500}){500}"])), "bad-regex"),
        "catastrophic": (flow(job(name="a" * 26), job(name="b", depends_on_regexes=["^(a+)+$"])), "plan"),
        "catastrophic-2": (flow(job(name="a" * 250), job(name="b", depends_on_regexes=["(a*)*(a*)*c"])), "no-match"),
        "no-match": (flow(job(depends_on_regexes=["zzz"])), "no-match"),
        "empty-regex": (flow(job(), job(name="b", depends_on_regexes=[""])), "plan"),
        "product": (sweep(**{f"p{k}": "1:1000" for k in range(3)}), "too-many"),
        "great-product": (sweep(**{f"p{k}": "1:1000000000000" for k in range(50)}), "too-many"),
        "range": (sweep(i="1:1000000000000"), "too-many"),
        "range-beyond": (sweep(i="1:" + "9" * 40), "too-many"),
        "range-fine": (sweep(i="0:1:1e-300"), "too-many"),
        "range-endless": (sweep(i="0:1:1e-999"), "too-many"),
        "range-digits": (sweep(i="1:" + "9" * 5000), "bad-value"),
        "step-zero": (sweep(i="1:5:0"), "bad-value"),
        "wrong-way": (sweep(i="5:1"), "empty-parameter"),
        "wrong-sign": (sweep(i="1:5:-1"), "empty-parameter"),
        "nan-range": (sweep(i="nan:1"), "bad-value"),
        "inf-range": (sweep(i="0:1e309"), "out-of-range"),
        "url": (sweep(i="http://x"), "bad-value"),
        "open-list": (sweep(i="[1,2"), "bad-value"),
        "open-quote": (sweep(i="['a"), "bad-value"),
        "empty-list": (sweep(i="[]"), "empty-parameter"),
        "quotes": (sweep(i="[" + "'\\'" * 20_000), "bad-value"),
        "many-items": (sweep(i="[" + "," * 100_000 + "]"), "bad-value"),
        "bad-parameter": (sweep(**{"1i": "1:2"}), "bad-name"),
        "wide-format": (flow(job(name="{i:0999999999d}", parameters={"i": "1:2"})), "bad-format"),
        "wide-text": (flow(job(name="{i:0900d}", parameters={"i": "1:2"})), "bad-name"),
        "copies-of-text": (flow(job(name="{i}", command="x" * 900_000 + "{i}", parameters={"i": "1:900000"})), "too-many"),
        "copies-of-lists": (flow(job(name="{i}", depends_on=["x{i}"] * 20_000, parameters={"i": "1:90000"})), "too-many"),
        "zip": (flow(job(name="{i}{j}", parameters={"i": "1:2", "j": "1:3"}, parameter_mode="zip")), "unequal-zip"),
        "same-copies": (flow(job(name="a", command="{i}", parameters={"i": "1:2"})), "duplicate-name"),
        "tokens": (flow(job(command="{a}" * 100_000, parameters={"b": "1:2"})), None),
        "open-tokens": (flow(job(command="${files.input." * 50_000)), "plan"),
        "unknown-tokens": (flow(job(command="${files.input.x}" * 20_000)), "unknown-reference"),
        "inserted-text": (
            flow(job(command="${files.input.f}" * 20_000), files=[{"name": "f", "path": "p" * 100_000}]), "too-large",
        ),
        "inserted-data": (
            flow(
                job(name="a{i}", command="${user_data.input.u} {i}", parameters={"i": "1:5000"}),
                user_data=[{"name": "u", "data": "x" * 900_000}],
            ), "too-large",
        ),
        "variables": (flow(job(command="{a}"), variables={"a": "{b}", "b": "{a}"}), "variable-clash"),
        "variable-bomb": (flow(job(command="{a}" * 20_000), variables={"a": "x" * 100_000}), "too-large"),
        "variable-clash": (flow(job(name="{i}", parameters={"i": "1:2"}), variables={"i": "1"}), "variable-clash"),
        "empty-name": (flow(job(name="")), "bad-name"),
        "long-name": (flow(job(name="x" * 10_000)), "bad-name"),
        "line-in-name": (flow(job(name="a\nb")), "bad-name"),
        "bell-in-name": (flow(job(name="a\x07b")), "bad-name"),
        "no-command": (flow({"name": "a"}), "missing"),
        "blank-command": (flow(job(command="  ")), "bad-value"),
        "no-name": ({"jobs": []}, None),
        "no-jobs": ({"name": "w"}, None),
        "jobs-are-text": ({"name": "w", "jobs": "a"}, "wrong-type"),
        "job-is-text": ({"name": "w", "jobs": ["a"]}, "wrong-type"),
        "job-is-list": ({"name": "w", "jobs": [[]]}, "wrong-type"),
        "unknown-keys": (flow(job(**{f"k{k}": 1 for k in range(1000)})), "unknown-key"),
        "reserved-env": (flow(job(env={"TORC_JOB_ID": "1"})), "reserved"),
        "env-name": (flow(job(env={"A=B": "1"})), "bad-name"),
        "env-line": (flow(job(env={"A\nB": "1"})), "control-character"),
        "env-many": (flow(job(env={f"A{k}": "x" for k in range(1001)})), "out-of-range"),
        "env-long": (flow(job(env={"A": "x" * 200_000})), "out-of-range"),
        "secret": (flow(job(env={"MY_TOKEN": "x"})), "plan"),
        "label": (flow(job(label="x" * 65)), "bad-value"),
        "priority": (flow(job(priority=-1)), "out-of-range"),
        "priority-64": (flow(job(priority=2**63)), "out-of-range"),
        "priority-text": (flow(job(priority="1")), "wrong-type"),
        "deep-metadata": (flow(job(), metadata="[" * 100_000), "too-deep"),
        "nan-metadata": (flow(job(), metadata='{"a": NaN}'), "bad-value"),
        "overflow-metadata": (flow(job(), metadata='{"a": 1e999}'), "bad-value"),
        "digits-metadata": (flow(job(), metadata='{"a": ' + "9" * 5000 + "}"), "bad-value"),
        "half-metadata": (flow(job(), metadata='{"a": "\\ud800"}'), "bad-value"),
        "managed-extra": (flow(job(), slurm_schedulers=[{"name": "s", "account": "a", "extra": "--nodes 3"}]), "reserved"),
        "extra-line": (flow(job(), slurm_schedulers=[{"name": "s", "account": "a", "extra": "--x\n#SBATCH"}]), "control-character"),
        "extra-quote": (flow(job(), slurm_schedulers=[{"name": "s", "account": "a", "extra": "'"}]), "bad-value"),
        "default": (flow(job(), resource_requirements=[{"name": "default", "num_cpus": 1, "memory": "1g"}]), "reserved"),
        "webhook": (flow(job(), notify=[{"on": ["job_failed"], "webhook": "file:///etc/passwd"}]), "bad-value"),
    }  # fmt: skip
    for k, name in enumerate(
        (
            "../../x",
            "-rf",
            "$(id)",
            "`id`",
            "a;b",
            "\u202eabc",
            "e\u0301",
            "日本",
            "a b",
            "'",
            '"',
            "%s",
            "{}",
            "*",
            ".",
            "~",
        )
    ):
        found[f"odd-name-{k}"] = (flow(job(name=name)), "plan")
    for k, memory in enumerate(
        ("1e400g", "-1", "0", "", "10 gigs", "1.5.5g", "9" * 30, "1" * 500 + "g", "nan", "1p", "٣g")
    ):
        requirement = {"name": "r", "num_cpus": 1, "memory": memory}
        found[f"memory-{k}"] = (flow(job(), resource_requirements=[requirement]), "bad-value")
    for k, runtime in enumerate(
        ("P9999999Y", "PT", "P", "30m", "PT0S", "", "-PT1M", "PT1.5M", "P1H", "PT" + "9" * 5000 + "S")
    ):
        requirement = {"name": "r", "num_cpus": 1, "memory": "1g", "runtime": runtime}
        found[f"runtime-{k}"] = (flow(job(), resource_requirements=[requirement]), "bad-value")
    for k, walltime in enumerate(("4h", "", "-1", "1:2:3:4", "00:00:00", "1-", "٣")):
        scheduler = {"name": "s", "account": "a", "walltime": walltime}
        found[f"walltime-{k}"] = (flow(job(), slurm_schedulers=[scheduler]), "bad-value")
    return found


def yaml_texts() -> dict[str, tuple[str, str | None]]:
    """Texts that only YAML can say."""
    jobs = "\njobs: [{name: a, command: x}]\n"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    return {
        "empty": ("", None),
        "comments": ("# nothing\n# at all\n", None),
        "norway": ("name: no\njobs: [{name: no, command: yes}]\n", "plan"),
        "version": ("name: 1.10\njobs: [{name: 1.10, command: x}]\n", "plan"),
        "octal": ("name: 010\njobs: [{name: 010, command: x}]\n", "plan"),
        "exponent": ("name: 1e3\njobs: [{name: 1e3, command: x}]\n", "plan"),
        "sexagesimal": ("name: w\nslurm_schedulers: [{name: s, account: a, walltime: 10:00:00}]" + jobs, "plan"),
        "duplicate": ("name: w\nname: w" + jobs, "duplicate-key"),
        "bomb": ("name: w\n" + bomb + jobs, None),
        "python": ("name: !!python/object/apply:os.system [id]" + jobs, None),
        "tag": ("name: !foo w" + jobs, None),
        "two": ("name: w" + jobs + "---\nname: v" + jobs, None),
        "nan": ("name: w\njobs: [{name: 'a{i}', command: x, parameters: {i: [.nan]}}]\n", None),
        "inf": ("name: w\nfailure_handlers: [{name: h, rules: [{exit_codes: [1], backoff_multiplier: .inf}]}]" + jobs, None),
        "hex": ("name: w\njobs: [{name: a, command: x, priority: 0x10}]\n", "plan"),
        "hex-huge": ("name: w\njobs: [{name: 'a{i}', command: x, parameters: {i: 0x" + "f" * 5000 + "}}]\n", None),
        "number-huge": ("name: w\njobs: [{name: a, command: x, priority: " + "9" * 5000 + "}]\n", None),
        "null-item": ("name: w\njobs: [~]\n", "wrong-type"),
        "null-name": ("name: w\njobs: [{name: ~, command: x}]\n", "missing"),
        "nul": ("name: 'a\0'" + jobs, None),
        "escaped-nul": ('name: "a\\0"' + jobs, None),
        "surrogate": ('name: "\\uD800"' + jobs, None),
        "number-key": ("name: w\n1: 2" + jobs, "unknown-key"),
        "list-key": ("name: w\n[1]: 2" + jobs, None),
        "merge": ("name: w\nenv: {A: b}\njobs:\n- &j {name: a, command: x}\n- {<<: *j, name: b}\n", "plan"),
        "recursive": ("name: w\nmetadata: &m {a: *m}" + jobs, None),
    }  # fmt: skip


def damaged(dump: Mapping[str, Callable[[Any], str]]) -> Iterator[tuple[str, str]]:
    """Good documents cut off at every hundredth part, or with one character changed."""
    import json

    tree = json.loads((GOOD / "aggregate.json").read_text())
    chance = random.Random(2)
    for format, write in dump.items():
        text = write(tree)
        for part in range(1, 100):
            yield f"cut-{part}.{format}", text[: len(text) * part // 100]
        for k in range(100):
            at = chance.randrange(len(text))
            yield (
                f"flip-{k}.{format}",
                text[:at] + chr(ord(text[at]) ^ 1 << chance.randrange(7)) + text[at + 1 :],
            )
