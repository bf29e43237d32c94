"""The cluster under test, and ways to talk to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.api import Api
from conformance.kubectl import Kubectl
from conformance.kubelets import Kubelets, played
from conformance.machines import Containerd, Lab, laboratory, lacking, mounts, node_root
from conformance.wire import Wire

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60
GIVEN = os.environ.get("KUBECONFIG", "")


@pytest.fixture(scope="session", params=["given"] if GIVEN else ["sqlite", "etcd"])
def kubeconfig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of the cluster under test: the one that is given, or that of a cluster on each store."""
    if request.param == "given":
        yield Path(GIVEN)
        return
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        with_store = ["--ephemeral"]
        yield from start_cluster(home, with_store)
    else:
        etcd, url = _start_etcd(home)
        try:
            yield from start_cluster(home, ["--data-dir", str(home / "data"), "--store", "etcd", "--etcd-servers", url])
        finally:
            etcd.terminate()
            etcd.wait()


def start_cluster(home: Path, store: list[str]) -> Iterator[Path]:
    path = home / "kubeconfig"
    command = [sys.executable, "-m", "cluster.main", "up", "--port", "0", "--kubeconfig", str(path), *store]
    command += [] if "--runtime" in store else ["--runtime", "simulated"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while "export KUBECONFIG" not in (home / "log").read_text():
            ended = process.poll() is not None
            assert not ended and time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.05)
        yield path
        assert process.poll() is None, (home / "log").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0


def _start_etcd(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    binary = shutil.which("etcd")
    if binary is None:
        pytest.skip("etcd is not installed (apt-get install etcd-server)")
    url, peer = f"http://127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}"
    command = [binary, "--data-dir", str(home / "etcd"), "--log-level", "error", "--unsafe-no-fsync"]
    command += ["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer]
    command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    supported = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False)
    if "--unsafe-no-fsync" not in supported.stdout + supported.stderr:
        command.remove("--unsafe-no-fsync")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_healthy(url):
        assert process.poll() is None and time.monotonic() < deadline, "etcd does not start"
        time.sleep(0.05)
    return process, url


def _is_healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=1) as answer:
            return b'"true"' in answer.read()
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return Kubectl(kubeconfig, tmp_path_factory.mktemp("kubectl-cache"))


@pytest.fixture(scope="session")
def wire(kubeconfig: Path) -> Wire:
    return Wire.of(kubeconfig)


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test module's own, in which pods can be made."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    # Where a controller makes the account this comes first or second; where none runs it is needed for pods.
    kubectl.attempt("create", "serviceaccount", "default", "--namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def k(kubectl: Kubectl, namespace: str) -> Kubectl:
    """kubectl in the module's namespace."""
    return Kubectl(kubectl.kubeconfig, kubectl.cache, namespace)


@pytest.fixture(scope="module")
def api(wire: Wire, namespace: str) -> Iterator[Api]:
    """Plain requests in the module's namespace."""
    found = Api(wire, namespace)
    yield found
    found.close()


@pytest.fixture(scope="module")
def kubelets(wire: Wire) -> Iterator[Kubelets]:
    """Three nodes that the tests of the module play; `pod_spec` of conformance.api asks for them.

    Asked for before the namespace, they last until its pods are gone.
    """
    with played(wire, "played", 3) as found:
        yield found


@pytest.fixture(scope="session")
def containerd_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Containerd, Path]]:
    """A cluster whose node runs real containers, and its kubeconfig. It must take everything with it when it ends."""
    lack = lacking()
    if lack:
        pytest.skip(lack)
    home, program = tmp_path_factory.mktemp("containerd"), shutil.which("containerd")
    assert program is not None
    clusters = start_cluster(home, ["--ephemeral", "--runtime", "containerd", "--containerd", program])
    kubeconfig = next(clusters)
    root = node_root(kubeconfig)
    ctr = Containerd(root)
    ctr.import_images()
    yield ctr, kubeconfig
    with pytest.raises(StopIteration):
        next(clusters)
    assert not mounts(str(root)) and not root.exists()


@pytest.fixture(scope="module")
def lab(containerd_cluster: tuple[Containerd, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A namespace of the module's own on a node with real containers."""
    ctr, kubeconfig = containerd_cluster
    with laboratory(ctr, kubeconfig, tmp_path_factory.mktemp("kubectl-cache")) as found:
        yield found
