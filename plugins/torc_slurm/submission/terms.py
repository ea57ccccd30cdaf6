"""On what terms the runners of a workflow are started, the same for all that start them (`slurm.md` SB6, SB7)."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from torc_core.errors import Conflict
from torc_core.model import Json, Workflow
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.config import Config

RUNNER = "torc-slurm-job-runner"


@record(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the runners of a workflow are started.

    Parameters
    ----------
    url
        The address under which nodes reach the store.
    output_dir
        Absolute.
    poll_interval
        Seconds.
    token_file
        Absolute path; None: runners find the key of the server by themselves.
    programs
        The folder of torc's programs.
    keep_scripts
        Scripts are kept though sbatch has taken them.
    """

    url: str
    output_dir: str
    poll_interval: int = 30
    max_parallel_jobs: int | None = None
    one_worker_per_node: bool = False
    prefix: str = ""
    token_file: str | None = None
    programs: str = ""
    keep_scripts: bool = False
    requeue: bool = False

    @classmethod
    def of(cls, workflow: Workflow, config: Config, url: str | None) -> Terms:
        """The terms that were given when the workflow was submitted, and else the configured ones.

        Raises
        ------
        Conflict
            If no other host can reach the store, or nobody knows under which address.
        """
        said: Mapping[str, Any] = workflow.submit_options or {}
        keys = config.client
        where = said.get("output_dir") or keys.run.output_dir
        parallel = said.get("max_parallel_jobs")
        token = keys.token_file
        return cls(
            url=reachable(url or said.get("api_url")),
            output_dir=os.path.join(
                workflow.submission_directory or os.getcwd(), os.path.expanduser(str(where))
            ),
            poll_interval=int(said.get("poll_interval") or keys.slurm.poll_interval),
            max_parallel_jobs=int(parallel) if parallel else None,
            one_worker_per_node=bool(said.get("start_one_worker_per_node", False)),
            prefix=str(said.get("job_prefix") or ""),
            token_file=None if token is None else os.path.abspath(os.path.expanduser(token)),
            programs=str(Path(sys.executable).parent),
            keep_scripts=bool(said.get("keep_submission_scripts", keys.slurm.keep_submission_scripts)),
            requeue=keys.slurm.requeue,
        )


def options(
    *,
    api_url: str,
    output_dir: str,
    poll_interval: int,
    max_parallel_jobs: int | None = None,
    start_one_worker_per_node: bool = False,
    job_prefix: str = "",
    keep_submission_scripts: bool = False,
) -> dict[str, Json]:
    """What is stored with a workflow as `submit_options`, so that later submissions are on the same terms."""
    said: dict[str, Json] = {
        "api_url": api_url,
        "output_dir": os.path.abspath(os.path.expanduser(output_dir)),
        "poll_interval": poll_interval,
    }
    if max_parallel_jobs is not None:
        said["max_parallel_jobs"] = max_parallel_jobs
    if start_one_worker_per_node:
        said["start_one_worker_per_node"] = True
    if job_prefix:
        said["job_prefix"] = job_prefix
    if keep_submission_scripts:
        said["keep_submission_scripts"] = True
    return said


def reachable(url: str | None) -> str:
    """An address that other hosts can use.

    Raises
    ------
    Conflict
        If it is none, with what to do about it.
    """
    remedy = "serve it with 'torc-server run --host auto' ('torc hpc hostname' shows the name) and name that with --url"
    if url is None:
        raise Conflict(f"the nodes of an allocation cannot reach this database; {remedy}")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or _local(host):
        raise Conflict(f"the nodes of an allocation cannot reach '{url}'; {remedy}")
    return url


def _local(host: str) -> bool:
    """Whether a host name or address means the own host wherever it is used, or no host."""
    if (
        host == "localhost"
        or host.endswith(".localhost")
        or host.startswith(("localhost.", "ip6-localhost", "ip6-loopback"))
    ):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified or mapped.is_link_local or mapped.is_multicast)
