"""Settings come in layers; each value knows where it comes from, and a mistake is told with its place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from torc_core.config import Config, check_file
from torc_core.errors import InvalidConfig

pytestmark = pytest.mark.usefixtures("folder")


def user_file(text: str) -> Path:
    path = Path.home() / ".config/torc/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def project_file(text: str) -> Path:
    path = Path.cwd() / "torc.toml"
    path.write_text(text)
    return path


def load(tmp: Path | None = None, **environ: str) -> Config:
    return Config.load(
        environ=environ | {"HOME": str(Path.home())}, system_file=tmp or Path("/nowhere/config.toml")
    )


def refusal(text: str) -> str:
    project_file(text)
    with pytest.raises(InvalidConfig) as caught:
        load()
    return str(caught.value).replace(f"{Path.cwd()}/", "")


def test_without_any_file_everything_has_its_default() -> None:
    config = load(USER="ada")

    assert config.client.run.output_dir == "torc_output"
    assert config.client.run.poll_interval == 5.0
    assert config.client.format == "table"
    assert config.client.username == "ada"
    assert config.server.port == 8080
    assert config.dash.port == 8090
    assert not config.warnings


def test_each_layer_beats_the_one_below_and_is_named_as_the_source(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    keys = ["format", "log_level", "color", "username", "token_file", "database"]
    planted = [("system", "json"), ("user", "debug"), ("project", "never"), ("env", "eve"), ("flag", "key")]
    del planted
    system.write_text(
        '[client]\nformat = "json"\nlog_level = "info"\ncolor = "always"\nusername = "s"\ntoken_file = "s"\n'
    )
    user_file('[client]\n\nlog_level = "debug"\ncolor = "auto"\nusername = "u"\ntoken_file = "u"\n')
    project_file('[client]\ncolor = "never"\nusername = "p"\ntoken_file = "p"\n')

    config = load(system, TORC_USERNAME="e", TORC_TOKEN_FILE="e").over(
        {"client.token_file": ("f", "--token-file")}
    )

    found = {
        entry.key.removeprefix("client."): entry
        for entry in config.entries()
        if entry.key.startswith("client.")
    }
    assert [str(found[key].value) for key in keys] == ["json", "debug", "never", "e", "f", "None"]
    assert [str(found[key].source) for key in keys] == [
        f"{system}:2",
        f"{Path.home()}/.config/torc/config.toml:3",
        f"{Path.cwd()}/torc.toml:2",
        "env TORC_USERNAME",
        "flag --token-file",
        "default",
    ]


def test_the_environment_nests_with_two_underscores() -> None:
    config = load(
        TORC_CLIENT__RUN__OUTPUT_DIR="out",
        TORC_CLIENT__AUTO_SERVER="0",
        TORC_CLIENT__RUN__MAX_PARALLEL_JOBS="8",
        TORC_SERVER__ADMIN_USERS="ada, bob",
        TORC_SERVER__ALLOW_HOSTS='["a,b", "c"]',
    )

    assert config.client.run.output_dir == "out"
    assert config.client.auto_server is False
    assert config.client.run.max_parallel_jobs == 8
    assert config.server.admin_users == ("ada", "bob")
    assert config.server.allow_hosts == ("a,b", "c")


def test_an_unknown_variable_is_a_warning_with_a_suggestion() -> None:
    config = load(TORC_CLIENT__RUN__OUTPUTDIR="out")

    (warning,) = config.warnings
    assert "TORC_CLIENT__RUN__OUTPUTDIR is not known; did you mean 'TORC_CLIENT__RUN__OUTPUT_DIR'?" in str(
        warning
    )


def test_an_empty_variable_says_nothing() -> None:
    assert load(TORC_DB="", TORC_CLIENT__FORMAT="").client.database is None


def test_a_variable_of_the_wrong_type_is_an_error_that_names_it() -> None:
    with pytest.raises(
        InvalidConfig, match="the variable TORC_CLIENT__RUN__NUM_CPUS must be a whole number, not 'many'"
    ):
        load(TORC_CLIENT__RUN__NUM_CPUS="many")


def test_a_level_for_other_rust_programs_is_not_ours() -> None:
    assert load(RUST_LOG="hyper=debug").client.log_level == "warn"
    assert load(RUST_LOG="debug").client.log_level == "debug"
    assert load(RUST_LOG="debug", TORC_LOG="error").client.log_level == "error"


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_color_is_switched_off_by_the_terminal(variable: dict[str, str]) -> None:
    assert load(**variable).client.color == "never"


def test_a_syntax_error_is_told_with_file_line_column_and_text() -> None:
    assert (
        refusal('[client]\nformat = "json\n')
        == "torc.toml:2:15: not TOML: illegal character '\\n': 'format = \"json'"
    )


def test_a_value_of_the_wrong_type_is_told_with_file_line_column_and_text() -> None:
    said = refusal('[client]\n\n[client.run]\n  poll_interval = "soon"\n')

    assert (
        said
        == "torc.toml:4:3: 'client.run.poll_interval' must be a number, not 'soon': poll_interval = \"soon\""
    )


def test_an_unknown_key_is_told_with_line_and_nearest_name() -> None:
    said = refusal("[client.run]\n# a comment\n\noutputdir = 'x'\n")

    assert said == "torc.toml:4: unknown key 'client.run.outputdir'; did you mean 'output_dir'?"


def test_an_unknown_table_is_told_too() -> None:
    assert (
        refusal("[clinet]\nformat = 'json'\n") == "torc.toml:1: unknown key 'clinet'; did you mean 'client'?"
    )


def test_a_value_outside_of_its_choices_is_refused() -> None:
    assert "must be one of 'table', 'json', 'csv', not 'xml'" in refusal("[client]\nformat = 'xml'\n")


def test_all_errors_of_all_files_are_told_at_once() -> None:
    user_file("[client]\nformatt = 'json'\n")

    said = refusal("[client]\ncolour = 'never'\nlog_level = 3\n")

    assert len(said.splitlines()) == 3


def test_true_is_no_number() -> None:
    assert "must be a whole number, not True" in refusal("[client.run]\nnum_cpus = true\n")


def test_a_project_file_that_others_may_write_is_ignored_with_a_warning() -> None:
    project_file("[client]\nformat = 'json'\n").chmod(0o666)

    config = load()

    assert config.client.format == "table"
    assert "torc.toml:1: ignored: others may write it; run 'chmod o-w" in str(config.warnings[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_project_file_of_another_user_is_ignored_with_a_warning() -> None:
    os.chown(project_file("[client]\nformat = 'json'\n"), 4321, 4321)

    config = load()

    assert config.client.format == "table"
    assert "it belongs to another user (uid 4321)" in str(config.warnings[0])


def test_the_two_files_of_the_published_deployment_page_load_without_warnings() -> None:
    server = """
[server]
host = "kl3.hsn.cm.kestrel.hpc.nrel.gov"
port = 8085
database = "/scratch/myuser/torc/workflows.db"
threads = 4
completion_check_interval_secs = 30.0
log_level = "info"

[server.logging]
log_dir = "/scratch/myuser/torc/logs"
"""
    client = """
[client]
api_url = "http://kl3.hsn.cm.kestrel.hpc.nrel.gov:8085/torc-service/v1"
format = "table"

[client.run]
output_dir = "/scratch/myuser/torc/torc_output"
"""
    user_file(server)
    project_file(client + server)

    config = load()

    assert not config.warnings
    assert config.server.threads == 4
    assert config.store_url == "http://kl3.hsn.cm.kestrel.hpc.nrel.gov:8085/torc-service/v1"


def test_keys_that_nobody_reads_are_accepted_with_a_warning() -> None:
    project_file("[client.watch]\nretry_cooldown = 3\nmodel = 'x'\n")

    assert [str(one).rpartition("/")[2] for one in load().warnings] == [
        "torc.toml:2: key 'client.watch.retry_cooldown' has no effect",
        "torc.toml:3: key 'client.watch.model' has no effect",
    ]


def test_an_older_name_of_a_key_is_understood() -> None:
    project_file("[server]\nurl = '0.0.0.0'\n")

    assert load().server.host == "0.0.0.0"


def test_profiles_of_clusters_are_left_to_those_who_read_them() -> None:
    project_file(
        '[client.hpc.custom_profiles.mine]\ndisplay_name = "M"\n[[client.hpc.custom_profiles.mine.partitions]]\nname = "p"\n'
    )

    assert load().client.hpc.custom_profiles == {"mine": {"display_name": "M", "partitions": [{"name": "p"}]}}


def test_the_variable_for_the_users_file_replaces_it(tmp_path: Path) -> None:
    user_file("[client]\nformat = 'csv'\n")
    other = tmp_path / "other.toml"
    other.write_text("[client]\nlog_level = 'error'\n")

    config = load(TORC_CONFIG=str(other))

    assert (config.client.format, config.client.log_level) == ("table", "error")


def test_a_users_file_that_was_asked_for_must_exist() -> None:
    with pytest.raises(InvalidConfig, match=r"TORC_CONFIG names '/nowhere.toml', which is no file"):
        load(TORC_CONFIG="/nowhere.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth: int = field(default=3, metadata={"help": "How deep."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    mode: Literal["auto", "local"] = field(default="auto", metadata={"help": "How."})
    size: int | None = field(default=None, metadata={"help": "How much."})
    inner: Inner = field(default_factory=Inner, metadata={"help": "More."})


def test_settings_of_a_provider_come_from_its_table_and_its_variables() -> None:
    project_file("[stores.my-db]\nmode = 'local'\n[stores.my-db.inner]\ndepth = 5\n")

    settings = load(TORC_STORES__MY_DB__SIZE="7").settings("stores", "my-db", Settings)

    assert settings == Settings(mode="local", size=7, inner=Inner(depth=5))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mod = 'local'", "unknown key 'stores.mine.mod'; did you mean 'mode'?"),
        ("size = 'big'", "'stores.mine.size' must be a whole number, not 'big'"),
    ],
)
def test_a_mistake_in_a_providers_table_is_told_with_its_place(line: str, said: str) -> None:
    path = project_file(f"[stores.mine]\n{line}\n")

    with pytest.raises(InvalidConfig) as caught:
        load().settings("stores", "mine", Settings)

    assert str(caught.value) == f"{path}:2: {said}"


def test_checking_a_file_lists_what_is_wrong_and_does_not_raise() -> None:
    path = project_file("[client]\ncolour = 'x'\n[client.watch]\nmodel = 'y'\n")

    assert [problem.severity for problem in check_file(path)] == ["error", "warning"]
    assert [str(one) for one in check_file(Path("missing.toml"))] == ["no such file: 'missing.toml'"]
