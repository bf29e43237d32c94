"""Clusters for tests: fixtures for whoever tests an operator or a tool with pytest.

`wherry_cluster` is one ephemeral cluster for the whole run, with simulated nodes; `wherry_namespace` is a namespace of
it for one test, gone afterwards with all that is in it. The setting `wherry_up` gives further options of `wherry up`.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import kubeconfig
from cluster.processes import command, environment

TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class TestCluster:
    """`kubeconfig` is the administrator's, for any client; `server` is the API server's URL."""

    __test__ = False  # pytest is not to take it for a class of tests.

    kubeconfig: Path
    server: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("wherry_up", type="args", default=[], help="options of `wherry up` for the fixture wherry_cluster")


@pytest.fixture(scope="session")
def wherry_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A running cluster. What keeps it from starting fails the tests that ask for it, with the command's own words."""
    path = tmp_path_factory.mktemp("wherry") / "kubeconfig"
    options: list[str] = pytestconfig.getini("wherry_up")
    up = ["up", "--ephemeral", "--port", "0", "--runtime", "simulated", "--detach", "--kubeconfig", str(path)]
    _wherry([*up, *options])
    try:
        yield TestCluster(path, kubeconfig.read(str(path)).server)
    finally:
        _wherry(["down", "--kubeconfig", str(path)])


@pytest.fixture
def wherry_namespace(wherry_cluster: TestCluster) -> Iterator[str]:
    """The name of a namespace of the test's own. Its deletion is not waited for."""
    from kubernetes import client, config

    name = f"test-{uuid.uuid4().hex[:8]}"
    settings = client.Configuration()
    config.load_kube_config(str(wherry_cluster.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
        try:
            yield name
        finally:
            core.delete_namespace(name)


def _wherry(arguments: Sequence[str]) -> None:
    done = subprocess.run(
        command(arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stderr.strip(), pytrace=False)
