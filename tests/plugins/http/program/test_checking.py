"""What is wrong with the options of a server is told in one sentence, before anything is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.config.server import Events, Limits, ServerKeys, ServerSlurm
from torc_core.errors import TorcError
from torc_http.program.checking import LEAST, check


def told(port: str = "0", host: str = "127.0.0.1", **keys: Any) -> str:
    with pytest.raises(TorcError) as refused:
        check(replace(ServerKeys(), **keys), host, port)
    return str(refused.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"threads": 0}, "--threads is 1 or more, not 0"),
        ({"credential_cache_ttl_secs": -1}, "--credential-cache-ttl-secs is 0 or more, not -1"),
        ({"backup_keep": 0}, "--backup-keep is 1 or more, not 0"),
        ({"max_request_body_mb": 0}, "--max-request-body-mb is 1 or more, not 0"),
        ({"sweep_seconds": 0}, "server.sweep_seconds is 1 or more, not 0"),
        ({"events": Events(keep_days=-1)}, "server.events.keep_days is 0 or more, not -1"),
        ({"limits": Limits(jobs_per_workflow=0)}, "server.limits.jobs_per_workflow is 1 or more, not 0"),
        ({"completion_check_interval_secs": 0.0}, "--completion-check-interval-secs is more than 0, not 0"),
        ({"completion_check_interval_secs": float("nan")}, "--completion-check-interval-secs is more than 0, not nan"),
        ({"slurm": ServerSlurm(submit="often")}, "server.slurm.submit 'often' is none of auto, never"),
        ({"tls_cert": "a", "https": True}, "--tls-cert and --tls-key belong together"),
        ({"tls_cert": "a", "tls_key": "b"}, "are for a server with --https"),
        ({"backup_every": "1h"}, "name it with --backup-dir"),
        ({"local_users": ("no such user",)}, "--local-users: this host knows no user 'no such user'"),
        ({"auth_file": "/no/such/file"}, "there is no password file '/no/such/file'"),
        ({"port": "70000"}, "port '70000' is not a number from 0 to 65535"),
        ({"host": "no.such.host.here"}, "host 'no.such.host.here' is not known here"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(keys: dict[str, Any], sentence: str) -> None:
    assert sentence in told(**keys)


def test_the_defaults_and_the_smallest_values_pass() -> None:
    plain = {key: least for key, least in LEAST.items() if "." not in key}

    check(ServerKeys(), "127.0.0.1", "auto")
    check(replace(ServerKeys(), **plain), "0.0.0.0", "0")
