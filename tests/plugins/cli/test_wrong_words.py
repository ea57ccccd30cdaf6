"""What is said wrongly on the command line is told as what it is, and is never passed over."""

from __future__ import annotations

import pytest

SPEC = '{"name": "w", "jobs": [{"name": "a", "command": "true"}]}'


@pytest.fixture
def spec(home):
    """A specification of one job, and its workflow."""
    (home / "w.json").write_text(SPEC)
    (home / "commands.txt").write_text("true\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", "w.json", "--metadata", "x"], "--metadata 'x' is not JSON: expecting value at line 1, column 1"),
        (["create", "w.json", "--metadata", "[1]"], "--metadata has to be a JSON object such as '{\"key\": 1}'"),
        (["create", "w.json", "--name", ""], "a workflow needs a name; --name is empty"),
        (["create", "w.json", "--max-expanded", "0"], "--max-expanded '0' is out of range; give at least 1"),
        (
            ["run", "1", "--name", "other"],
            (
                "'1' is a workflow that is there already, to which options about specifications do not apply; "
                "change it with 'torc workflows update 1'"
            ),
        ),
        (["run", "1", "--new"], "--new makes another workflow of a specification; '1' is a workflow already"),
        (
            ["jobs", "create-from-file", "1", "commands.txt", "--cpus-per-job", "0"],
            "--cpus-per-job '0' is out of range; it is at least 1",
        ),
        (
            ["jobs", "create-from-file", "1", "commands.txt", "--memory-per-job", "q"],
            '--memory-per-job: memory "q" is not a size; write e.g. "10g"',
        ),
        (
            ["jobs", "create-from-file", "1", "commands.txt", "--runtime-per-job", "1h"],
            '--runtime-per-job: runtime "1h" is not an ISO 8601 duration; write "PT30M"',
        ),
        (
            ["exec", "--retry-failed", "--joblog", "none.log"],
            "there is no job log 'none.log'; --retry-failed takes its commands from one",
        ),
        (
            ["failure-handlers", "create", "1", "-n", "x", "--rules", "{"],
            "--rules '{' is not JSON: expecting property name enclosed in double quotes at line 1, column 2",
        ),
        (["events", "monitor", "1", "-d", "-1"], "--duration '-1' is negative; give minutes"),
        (["events", "monitor", "1", "-p", "0"], "--poll-interval '0' is out of range; give seconds above 0, up to 86400"),
        (["jobs", "list", "1", "--offset", "9" * 20], f"--offset '{'9' * 20}' is beyond 64 bits; write a number up to 2^63 - 1"),
        (["jobs", "list", "1", "--limit", str(2**63)], f"--limit '{2**63}' is beyond 64 bits; write a number up to 2^63 - 1"),
        (["--url", "http://", "ping"], "the address 'http://' has no host; write http://HOST:PORT/torc-service/v1"),
        (
            ["--url", "http://localhost:99999", "ping"],
            "the address 'http://localhost:99999' has no valid port: port out of range 0-65535",
        ),
        (["--url", "foo", "ping"], "'foo' (flag --url) is no address; write e.g. http://HOST:8080/torc-service/v1"),
        (["--url", "kl3:8085", "ping"], "'kl3:8085' (flag --url) is no address; write e.g. http://HOST:8080/torc-service/v1"),
        (
            ["slurm", "create", "1", "-n", "s", "-a", "a", "--mem", "5zz"],
            "mem '5zz' cannot be passed to Slurm; write e.g. 180G",
        ),
        (
            ["slurm", "create", "1", "-n", "s", "-a", "a", "--gres=-x"],
            "gres '-x' cannot be passed to Slurm; write e.g. gpu:2",
        ),
        (
            ["slurm", "create", "1", "-n", "s", "-a", "a b"],
            "account 'a b' cannot be passed to Slurm; use letters, digits and _.+-",
        ),
        (
            ["slurm", "create", "1", "-n", "a b", "-a", "a"],
            "name 'a b' cannot be passed to Slurm; use up to 64 letters, digits and _.-",
        ),
        (
            ["job-dependencies", "job-job", "1", "--sort-by", "x"],
            "job relations cannot be sorted by 'x'; there is no choice",
        ),
        (
            ["files", "list", "1", "--sort-by", "nme"],
            "files cannot be sorted by 'nme'; did you mean 'name'? (choose from id, name, path, st_mtime, size, identifier)",
        ),
        (
            ["config", "get", "client.run.outputdir"],
            "unknown key 'client.run.outputdir'; did you mean 'client.run.output_dir'? (list them with 'torc config show')",
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else None,
)  # fmt: skip
def test_wrong_words_are_one_sentence(torc, spec, words, sentence):
    torc("create", "w.json")

    ran = torc(*words)

    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {sentence}\n")
    assert torc("workflows", "list", "--json").json["count"] == 1


def test_a_node_that_is_not_there_is_called_as_its_group(torc, spec):
    torc("create", "w.json")

    assert torc("compute-nodes", "get", "9").err == "error: no compute node 9\n"


def test_metadata_is_taken_from_a_file_as_everywhere(torc, spec, home):
    (home / "m.json").write_text('{"a": [1]}')

    torc("create", "w.json", "--metadata", "@m.json")

    assert torc("workflows", "get", "1", "--json").json["metadata"] == {"a": [1]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["delete", "1"], "with 1 job?"),
        (["workflows", "simulate", "1", "--nodes", "1", "--cpus", "1"], ", 1 job on nodes with 1 CPU"),
        (["exec", "-c", "echo {a} {b}", "--param", "a=[1]", "--param", "b=[1,2]", "--link", "zip"], "a has 1 value, b has 2 values"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)  # fmt: skip
def test_one_is_not_told_as_several(torc, spec, words, told):
    torc("create", "w.json")

    ran = torc(*words)

    assert told in ran.out + ran.err
