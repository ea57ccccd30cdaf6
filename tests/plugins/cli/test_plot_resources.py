"""`torc plot-resources`: from files of samples to pages that need nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from torc_core.runner.series import Series
from torc_terminal import schemas

GIB = 1024**3
HOSTILE = "</script><img src=x onerror=alert(1)>"


def samples(
    path: Path, *, host: str = "n1", run: int = 1, jobs: int = 2, name: str = "train", node: bool = True
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    series = Series(str(path), {"hostname": host, "workflow_id": "3", "run_id": str(run)})
    for job in range(1, jobs + 1):
        series.job((job, f"{name}{job}", 2, 4 * GIB, 1))
        for second in range(0, 100, 10):
            row = (
                job,
                1e9 + second,
                100.0 + job * 10 + second,
                GIB + second,
                3,
                run,
                1,
                50.0,
                GIB,
                second * 1000,
                second,
            )
            series.samples([row])
    if node:
        series.samples(
            [], [(1e9 + second, 120.0, 8 * GIB, None, None, 1.5, 100 * GIB) for second in range(0, 100, 10)]
        )
    series.flush()
    series.close()
    return path


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        self._open = tag, dict(attrs)
        self.tags.append(self._open)

    def handle_data(self, data):
        if self._open and self._open[0] in ("script", "style"):
            key = "data" if self._open[1].get("type") else self._open[0]
            self.inside[key] = self.inside.get(key, "") + data

    def handle_endtag(self, tag):
        self._open = None

    @property
    def charts(self) -> list[dict[str, object]]:
        return json.loads(self.inside["data"])


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_each_job_and_all_together_get_a_page(torc, home):
    path = samples(home / "resource_metrics_n1_3_1.db")

    ran = torc("plot-resources", path, "-o", "plots", "-p", "mine")

    names = ["job_1", "job_2", "cpu_all_jobs", "memory_all_jobs", "summary", "nodes"]
    assert ran.code == 0
    assert ran.out.splitlines() == [f"plots/mine_{name}.html" for name in names]
    assert {(home / "plots" / f"mine_{name}.html").stat().st_mode & 0o777 for name in names} == {0o600}
    titles = [chart["title"] for chart in Page(home / "plots" / "mine_job_1.html").charts]
    assert titles == ["CPU", "Memory", "Processes", "GPU", "GPU memory", "Storage"]
    assert [chart["title"] for chart in Page(home / "plots" / "mine_nodes.html").charts] == [
        "CPU", "Memory", "Load", "Free space of the output directory",
    ]  # fmt: skip


def test_a_page_needs_no_other_file_and_no_host(torc, home):
    samples(home / "resource_metrics_n1_3_1.db")
    torc("plot-resources", ".")

    for path in home.glob("*.html"):
        page = Page(path)
        loading = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}
        assert not [(tag, attributes) for tag, attributes in page.tags if loading & attributes.keys()], path
        assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", page.text)
        assert set(re.findall(r"https?://[^\s\"'<>]+", page.text)) == {"http://www.w3.org/2000/svg"}


def test_the_browser_is_told_to_run_this_script_only(torc, home):
    samples(home / "resource_metrics_n1_3_1.db")
    torc("plot-resources", ".")

    page = Page(home / "resource_plot_summary.html")

    (policy,) = [
        one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == (
        f"default-src 'none'; style-src {digest(page.inside['style'])}; "
        f"script-src {digest(page.inside['script'])}; img-src data: blob:"
    )
    assert not [one for _, one in page.tags if any(key.startswith("on") or key == "style" for key in one)]


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript engine here")
def test_the_script_can_be_parsed(torc, home):
    samples(home / "resource_metrics_n1_3_1.db")
    torc("plot-resources", ".")

    (home / "chart.js").write_text(Page(home / "resource_plot_summary.html").inside["script"])

    assert subprocess.run(["node", "--check", home / "chart.js"], check=False).returncode == 0


def test_names_cannot_become_markup(torc, home):
    samples(home / "resource_metrics_n1_3_1.db", name=HOSTILE)
    torc("plot-resources", ".")

    for path in home.glob("*.html"):
        page = Page(path)
        assert not [tag for tag, _ in page.tags if tag == "img"]
        assert len([tag for tag, _ in page.tags if tag == "script"]) == 2
    (line,) = Page(home / "resource_plot_cpu_all_jobs.html").charts[0]["lines"][:1]
    assert line["name"] == f"{HOSTILE}1"


def test_figures_are_there_without_scripts(torc, home):
    samples(home / "resource_metrics_n1_3_1.db")
    torc("plot-resources", ".")

    text = (home / "resource_plot_job_1.html").read_text()

    assert "<tr><th scope=row>CPU</th><td>160.0 %</td><td>200.0 %</td></tr>" in text
    assert "1g" in text


def test_limits_are_drawn_where_they_were_stated(torc, home):
    samples(home / "resource_metrics_n1_3_1.db")
    torc("plot-resources", ".")

    charts = {chart["title"]: chart for chart in Page(home / "resource_plot_job_1.html").charts}

    assert charts["CPU"]["limits"] == [{"name": "2 CPUs", "value": 200.0}]
    assert charts["Memory"]["limits"] == [{"name": "limit", "value": 4 * GIB}]


def test_runs_and_hosts_come_together_by_attempt(torc, home):
    for host, run in (("n1", 1), ("n1", 2), ("n2", 2)):
        samples(home / "logs" / host / f"resource_metrics_{host}_3_{run}.db", host=host, run=run, jobs=1)

    ran = torc("plot-resources", "logs/*/*.db", "-o", "plots")

    lines = Page(home / "plots/resource_plot_cpu_all_jobs.html").charts[0]["lines"]
    assert ran.code == 0
    assert [line["name"] for line in lines] == ["train1 r1 on n1", "train1 r2 on n1", "train1 r2 on n2"]
    assert len(Page(home / "plots/resource_plot_nodes.html").charts[0]["lines"]) == 2
    torc("plot-resources", "logs", "-o", "plots", "--run", "1")
    assert len(Page(home / "plots/resource_plot_cpu_all_jobs.html").charts[0]["lines"]) == 1


def test_jobs_are_chosen_by_numbers_and_ranges(torc, home):
    samples(home / "resource_metrics_n1_3_1.db", jobs=6)

    torc("plot-resources", ".", "-j", "1,3-4", "-o", "plots")

    assert sorted(one.name for one in (home / "plots").glob("*_job_*")) == [
        f"resource_plot_job_{job}.html" for job in (1, 3, 4)
    ]
    assert torc("plot-resources", ".", "-j", "1,x").code == 2
    assert torc("plot-resources", ".", "-j", "99").code == 1


def test_files_of_the_published_shape_are_read(torc, home):
    with closing(sqlite3.connect(home / "old.db")) as data:
        data.executescript(
            """
            CREATE TABLE job_resource_samples (id INTEGER PRIMARY KEY, job_id INTEGER, timestamp INTEGER,
                cpu_percent REAL, memory_bytes INTEGER, num_processes INTEGER);
            CREATE TABLE job_metadata (job_id INTEGER PRIMARY KEY, job_name TEXT);
            INSERT INTO job_metadata VALUES (7, 'old');
            INSERT INTO job_resource_samples VALUES (1, 7, 1000, 50.0, 100, 1), (2, 7, 1010, 70.0, 300, 2);
            """
        )

    ran = torc("plot-resources", "old.db")

    assert ran.code == 0
    page = Page(home / "resource_plot_job_7.html")
    assert [chart["title"] for chart in page.charts] == ["CPU", "Memory", "Processes"]
    assert page.charts[0]["lines"][0]["points"] == [[1000, 50.0], [1010, 70.0]]


def test_the_same_as_json(torc, home):
    samples(home / "resource_metrics_n1_3_1.db", jobs=1)

    ran = torc("--json", "plot-resources", ".", "-f", "json")

    jsonschema.validate(ran.json, schemas.load("torc.plot-resources/1"))
    assert ran.json["files"][0] == "./resource_plot_job_1.json"
    data = json.loads((home / "resource_plot_job_1.json").read_text())
    assert (data["schema"], data["title"]) == ("torc.plot/1", "train1 (job 1)")


def test_long_series_are_thinned_without_losing_their_extremes(torc, home):
    series = Series(str(home / "long.db"), {})
    rows = [(1, 1e9 + at, 10.0, 1, 1, 1, 1, None, None, None, None) for at in range(20_000)]
    rows[12_345] = (1, 1e9 + 12_345, 990.0, 1, 1, 1, 1, None, None, None, None)
    series.samples(rows)
    series.flush()
    series.close()

    torc("plot-resources", "long.db")

    points = Page(home / "resource_plot_job_1.html").charts[0]["lines"][0]["points"]
    assert len(points) <= 1_600
    assert [1e9 + 12_345, 990.0] in points


def test_many_jobs_get_no_page_each_unless_they_are_named(torc, home):
    samples(home / "resource_metrics_n1_3_1.db", jobs=205, node=False)

    ran = torc("plot-resources", ".", "-o", "plots")

    assert len(list((home / "plots").glob("*_job_*"))) == 200
    assert "5 more jobs have no page of their own" in ran.err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a database at all, whatever its name is", "file is not a database"),
        (b"", "it has no table job_resource_samples"),
        (None, "it has no table job_resource_samples"),
    ],
)
def test_a_wrong_file_gets_one_sentence(torc, home, content, reason):
    if content is None:
        with closing(sqlite3.connect(home / "x.db")) as data:
            data.execute("CREATE TABLE other (id INTEGER)")
    else:
        (home / "x.db").write_bytes(content)

    ran = torc("plot-resources", "x.db")

    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == f"error: 'x.db' is not a file of samples: {reason}; give a resource_metrics_*.db of a run\n"
    )
    assert not list(home.glob("*.html"))


def test_values_of_a_wrong_kind_get_one_sentence(torc, home):
    path = samples(home / "resource_metrics_n1_3_1.db", jobs=1)
    with closing(sqlite3.connect(path)) as data, data:
        data.execute("UPDATE job_metadata SET num_cpus = 'four'")

    ran = torc("plot-resources", ".")

    assert ran.code == 2
    assert "is not a file of samples: invalid literal" in ran.err


def test_a_file_that_is_not_there_gets_one_sentence(torc, home):
    assert torc("plot-resources", "nope*.db").err.startswith("error: no file 'nope*.db'; ")
    assert torc("plot-resources").code == 2
    (home / "empty").mkdir()
    assert "no resource_metrics_*.db in folder 'empty'" in torc("plot-resources", "empty").err


def test_without_samples_the_setting_is_told(torc, home):
    series = Series(str(home / "resource_metrics_a.db"), {})
    series.job((1, "a", 1, 1, 0))
    series.flush()
    series.close()

    ran = torc("plot-resources", ".")

    assert ran.code == 1
    assert "resource_monitor: {enabled: true, granularity: time_series}" in ran.err


def test_a_file_whose_writer_died_in_the_middle_is_read(torc, home):
    """A journal is left beside it, as by a runner that was killed in a flush."""
    path = samples(home / "resource_metrics_n1_3_1.db", jobs=1)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    writer.executemany(
        "INSERT INTO job_resource_samples (job_id, timestamp, cpu_percent) VALUES (9, ?, 1)",
        [(float(at),) for at in range(20_000)],
    )
    for one in home.glob("resource_metrics_n1_3_1.db*"):
        shutil.copy(one, home / one.name.replace("n1", "dead"))
    writer.close()
    assert (home / "resource_metrics_dead_3_1.db-journal").stat().st_size

    ran = torc("plot-resources", "resource_metrics_dead_3_1.db")

    assert ran.code == 0
    assert [one.name for one in home.glob("*_job_*")] == ["resource_plot_job_1.html"]


def test_pages_are_never_written_through_links(torc, home):
    samples(home / "resource_metrics_n1_3_1.db", jobs=1)
    (home / "precious").write_text("mine")
    (home / "resource_plot_job_1.html").symlink_to(home / "precious")

    ran = torc("plot-resources", ".")

    assert ran.code == 2
    assert "cannot write './resource_plot_job_1.html'" in ran.err
    assert (home / "precious").read_text() == "mine"


def test_exec_measures_as_it_is_told(torc, home):
    ran = torc("exec", "--monitor", "time-series", "--monitor-compute-node", "time-series", "-i", "1",
               "--generate-plots", "-c", "sleep 1.4")  # fmt: skip

    assert ran.code == 0
    folder = home / "torc_output" / "resource_utilization"
    assert len(list(folder.glob("*.db"))) == 1
    assert {one.name.rpartition("_")[2] for one in folder.glob("*.html")} == {
        "1.html",
        "jobs.html",
        "summary.html",
        "nodes.html",
    }


@pytest.mark.parametrize(
    ("words", "config"),
    [
        ([], {"jobs": {"enabled": True, "granularity": "summary"}, "sample_interval_seconds": 10}),
        (["--monitor", "off"], None),
        (
            ["--monitor", "off", "--monitor-compute-node", "summary", "-i", "3"],
            {"compute_node": {"enabled": True, "granularity": "summary"}, "sample_interval_seconds": 3},
        ),
    ],
)
def test_exec_writes_what_it_is_told_into_its_workflow(torc, home, words, config):
    torc("exec", *words, "-c", "true")

    assert torc("workflows", "get", "last", "-f", "json").json["resource_monitor_config"] == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "0"], "--sample-interval-seconds '0' is out of range"),
        (["--generate-plots"], "--generate-plots needs samples to draw; add --monitor time-series"),
    ],
)
def test_exec_refuses_what_cannot_be_measured(torc, home, words, said):
    ran = torc("exec", *words, "-c", "true")

    assert ran.code == 2
    assert said in ran.err
