"""`torc job-dependencies`: who waits for whom, and for what."""

from __future__ import annotations


def test_job_job_has_ids_and_names_of_both_ends(torc, diamond):
    items = torc("job-dependencies", "job-job", diamond, "--json").json["items"]

    assert [(item["job_name"], item["depends_on_job_name"]) for item in items] == [
        ("left", "prep"), ("right", "prep"), ("join", "left"), ("join", "right"),
    ]  # fmt: skip


def test_job_file_has_a_row_for_each_writer_and_reader(torc, diamond):
    items = torc("job-dependencies", "job-file", diamond, "--json").json["items"]

    assert [(item["file_name"], item["producer_job_name"], item["consumer_job_name"]) for item in items] == [
        ("raw", None, "prep"), ("mid", "prep", "left"), ("final", "join", None),
    ]  # fmt: skip


def test_job_user_data_has_a_row_for_each_writer_and_reader(torc, diamond):
    items = torc("job-dependencies", "job-user-data", diamond, "--json").json["items"]

    assert [
        (item["user_data_name"], item["producer_job_name"], item["consumer_job_name"]) for item in items
    ] == [("params", None, "right"), ("summary", "join", None)]


def test_a_page_can_be_cut(torc, diamond):
    page = torc("job-dependencies", "job-job", diamond, "-l", "1", "--offset", "2", "--json").json

    assert (page["items"][0]["job_name"], page["total_count"], page["has_more"]) == ("join", 4, True)
