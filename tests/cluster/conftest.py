"""Real clusters on this machine, made when a test asks for one; these tests are left out unless their folder is named."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WORKERS = 12
"""Plain SSH hosts."""
sys.path.insert(0, str(HERE))

import hosts  # noqa: E402
import slurm as batch  # noqa: E402
from account import Account  # noqa: E402
from hosts import SshHosts  # noqa: E402
from namespaces import install, unusable  # noqa: E402
from slurm import SlurmCluster  # noqa: E402


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out when the tests of a folder above are run."""
    named = [Path(config.invocation_params.dir, arg.split("::")[0]).resolve() for arg in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture(scope="session")
def packages() -> None:
    """All that any of the tests needs: hosts that are up lose their own accounts when a package brings one for its user."""
    if why := unusable():
        pytest.fail(why)
    install((*hosts.PACKAGES, *batch.PACKAGES))


@pytest.fixture(scope="session")
def slurm_cluster(packages: None) -> Iterator[SlurmCluster]:
    """Eight nodes of Slurm with accounting, for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    with SlurmCluster(folder) as cluster:
        yield cluster
    shutil.rmtree(folder)


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    """The cluster, all of whose nodes are idle before and after the test."""
    yield slurm_cluster
    slurm_cluster.settle()


@pytest.fixture(scope="module")
def home(slurm_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account on the login node, with a server that the nodes reach, for all tests of a module."""
    account = Account(slurm_cluster, tmp_path_factory.mktemp("home"))
    yield account
    account.close()


@pytest.fixture
def account(home: Account, slurm: SlurmCluster) -> Account:
    """The account of this module, in which workflows of other tests may be; all nodes are idle."""
    return home


@pytest.fixture(scope="session")
def ssh_cluster(packages: None) -> Iterator[SshHosts]:
    """SSH hosts of every kind, for all tests; they see where torc is installed."""
    seen = {Path(one).resolve() for one in (sys.prefix, sys.base_prefix, HERE.parents[1], *sys.path) if one}
    keep = {one for one in seen if one.is_dir() and not seen & {*one.parents}}
    with (
        tempfile.TemporaryDirectory(prefix="hosts-", dir="/tmp") as folder,
        SshHosts(Path(folder), workers=WORKERS, keep=keep) as machines,
    ):
        yield machines


@pytest.fixture
def ssh_hosts(ssh_cluster: SshHosts) -> Iterator[SshHosts]:
    """The hosts, all of which are up and well before and after the test."""
    yield ssh_cluster
    ssh_cluster.settle()
