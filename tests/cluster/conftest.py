"""Real clusters on this machine, made when a test asks for one; these tests are left out unless their folder is named."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from namespaces import unusable  # noqa: E402
from slurm import SlurmCluster  # noqa: E402


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out when the tests of a folder above are run."""
    named = [Path(config.invocation_params.dir, arg.split("::")[0]).resolve() for arg in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Eight nodes of Slurm with accounting, for all tests."""
    if why := unusable():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    with SlurmCluster(folder) as cluster:
        yield cluster
    shutil.rmtree(folder)


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    """The cluster, all of whose nodes are idle before and after the test."""
    yield slurm_cluster
    slurm_cluster.settle()
