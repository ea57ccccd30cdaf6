"""What a third party tests: the plugin keeps the rules, its command is found, its observer hears."""

import json
import subprocess
import sys
from contextlib import closing

import pytest
import torc_hello

from torc_core.model import Ending, Initialize, Job, JobStatus, Offer, Query, Resources
from torc_core.store.observed import observed
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugins import check_plugin


def torc(*words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "torc_core", *words], capture_output=True, text=True, check=True
    )
    return ran.stdout


def test_the_plugin_keeps_the_rules():
    check_plugin("torc_hello")


def test_the_command_is_found():
    assert torc("hello") == "hello, world\n"
    assert torc("hello", "Ada") == "hello, Ada\n"
    assert json.loads(torc("-f", "json", "hello", "Ada"))["message"] == "hello, Ada"


def test_help_names_the_command():
    assert "Greet somebody." in torc("--help")
    assert "Whom to greet." in torc("hello", "--help")


def test_the_observer_says_goodbye_to_a_complete_workflow(host, clock, capsys):
    plugins = host({"hello": torc_hello})
    with closing(observed(MemoryStore(clock), plugins.manager.hook.torc_events)) as store:
        workflow = store.create(fan(1), "ada").id
        store.initialize(workflow, Initialize())
        offer = Offer(claim_id=clock.uuid(), free=[Resources(cpus=1, memory=2**30)])
        (claimed,) = store.claim(workflow, offer)
        job = claimed.job
        store.finish(
            workflow,
            [
                Ending(
                    job=job.id,
                    run_id=job.run_id,
                    attempt_id=job.attempt_id,
                    lease=job.lease,
                    status=JobStatus.COMPLETED,
                    return_code=0,
                )
            ],
        )
        (found,) = store.find(Job, Query(workflow=workflow)).items

    assert found.status is JobStatus.COMPLETED
    assert capsys.readouterr().err == f"goodbye, workflow {workflow}\n"


@pytest.mark.parametrize("words", [["plugins", "list"]])
def test_it_is_listed_with_its_distribution(words):
    items = json.loads(torc("-f", "json", *words))["items"]

    (item,) = (item for item in items if item["name"] == "hello")
    assert (item["distribution"], item["state"]) == ("torc-hello", "loaded")
