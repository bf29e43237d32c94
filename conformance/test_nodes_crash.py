"""A node's agent, its containerd and the API server die under pods: all go on, none twice, nothing is left over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from conformance.conftest import GIVEN
from conformance.machines import (
    Containerd,
    Lab,
    Object,
    children,
    container,
    laboratory,
    lacking,
    mounts,
    once,
    pod,
    processes_with,
)
from conformance.processes import ApiServer, Process, eventually

RUNNING, STARTING = 10, 6
NODE = "crash"
# Other clusters of the machine have the usual ones.
POD_RANGE = "10.233.0.0/16"


class Cluster:
    """Every part a process of its own; the node's containers outlive its agent."""

    def __init__(self, home: Path) -> None:
        self.apiserver = ApiServer(home)
        self.root = home / "node"
        self.ctr = Containerd(self.root)
        pki, kubeconfig = home / "data" / "pki", str(self.apiserver.kubeconfig)
        plain = ("--kubeconfig", kubeconfig, "--health-port", "-1")
        self.parts = [
            Process(
                home, "controllers", "controllers", *plain, "--leader-elect", "false",
                "--root-ca-file", str(pki / "ca.crt"), "--service-account-private-key-file", str(pki / "sa.key"),
                "--cluster-signing-cert-file", str(pki / "ca.crt"), "--cluster-signing-key-file", str(pki / "ca.key"),
                "--allocate-node-cidrs", "true", "--cluster-cidr", POD_RANGE,
            ),
            Process(home, "scheduler", "scheduler", *plain, "--no-leader-elect"),
        ]  # fmt: skip
        self.agent = Process(
            home, "agent", "nodeagent", "--kubeconfig", kubeconfig, "--bootstrap", "--runtime", "containerd",
            "--node-name", NODE, "--root-dir", str(self.root), "--port", "0",
        )  # fmt: skip

    def start(self) -> None:
        wire = self.apiserver.start_and_wait()
        for part in (*self.parts, self.agent):
            part.start()

        def is_ready() -> bool:
            self.agent.assert_runs()
            node = wire.request("GET", f"/api/v1/nodes/{NODE}")
            conditions = node.object["status"].get("conditions") or () if node.status == 200 else ()
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        eventually(is_ready, 60)
        self.ctr.import_images()

    def containerd_pid(self) -> int:
        return int(Path(self.ctr.socket).with_suffix(".pid").read_text())

    def stop(self) -> None:
        for part in (self.agent, *self.parts, self.apiserver):
            part.kill()
        if (self.root / "containerd.toml").exists():
            self._stop_containerd()

    def _stop_containerd(self) -> None:
        """The node was not told to take its things with it, so this does, in whatever state they are."""
        state = Path(self.ctr.socket).parent
        with suppress(ProcessLookupError):
            os.kill(self.containerd_pid(), signal.SIGKILL)
        for shim in processes_with(self.ctr.socket):
            for child in children(shim):
                os.kill(child, signal.SIGKILL)
            os.kill(shim, signal.SIGKILL)
        for path in sorted(mounts(str(state)) + mounts(str(self.root)), reverse=True):
            subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(state, ignore_errors=True)
        for file in (self.root / "cni").glob("*.conflist"):
            bridge = json.loads(file.read_text())["plugins"][0]["bridge"]
            subprocess.run(["ip", "link", "delete", bridge], check=False, stderr=subprocess.DEVNULL)
            for group in Path("/sys/fs/cgroup").glob(f"*/{bridge.replace('wherry', 'wherry-')}"):
                subprocess.run(["find", str(group), "-depth", "-type", "d", "-delete"], check=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if GIVEN:
        pytest.skip("only a cluster of our own may be killed")
    lack = lacking()
    if lack:
        pytest.skip(lack)
    before = _network_namespaces()
    with ExitStack() as stack:
        # Not below pytest's own folders, which it could not remove should a mount be left.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-", dir="/var/tmp")))
        found = Cluster(home)
        stack.callback(found.stop)
        found.start()
        yield found
    assert _network_namespaces() <= before


def _network_namespaces() -> set[str]:
    """Where namespaces of this machine are held open: one that nobody knows keeps its interface for ever."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("nsfs ")}


@pytest.fixture(scope="module")
def lab(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with laboratory(cluster.ctr, cluster.apiserver.kubeconfig, tmp_path_factory.mktemp("cache")) as found:
        found.make(*(pod(f"old-{number}") for number in range(RUNNING)))
        for number in range(RUNNING):
            found.ready(f"old-{number}")
        yield found


def _ids(lab: Lab) -> dict[str, str]:
    """The container of each running pod of the first lot."""
    pods = lab.api.list("v1/pods")
    found = {p["metadata"]["name"]: container(p).get("containerID", "") for p in pods}
    return {name: id for name, id in found.items() if name.startswith("old-")}


def _converged(lab: Lab, *names: str, tries: int = 1) -> None:
    """All are ready; a container that was made, but could not be started, counts as a try."""
    for name in names:
        seen = lab.ready(name)
        assert container(seen)["restartCount"] < tries, seen["status"]
        assert lab("exec", name, "--", "echo", "here") == "here\n"


def _assert_each_once(lab: Lab) -> None:
    """Of each pod one sandbox and one container run, and nothing else does; of other pods nothing is there at all."""
    pods = lab.api.list("v1/pods")
    wanted = Counter({p["metadata"]["uid"]: 2 for p in pods if p["status"]["phase"] == "Running"})

    def found() -> bool:
        running = Counter({p["metadata"]["uid"]: len(lab.ctr.running(p["metadata"]["uid"])) for p in pods})
        return +running == wanted and len(lab.ctr.tasks()) == sum(wanted.values())

    try:
        eventually(found, 30)
    except AssertionError:
        running = {p["metadata"]["name"]: lab.ctr.running(p["metadata"]["uid"]) for p in pods}
        raise AssertionError(f"{running}\n{lab.ctr('containers', 'list')}") from None
    known = {p["metadata"]["uid"] for p in pods}
    folders = lambda: {path.name for path in (lab.ctr.root / "pods").iterdir()} - known  # noqa: E731
    eventually(lambda: not folders(), 20)
    assert all(any(uid in path for uid in known) for path in mounts(f"{lab.ctr.root}/pods/"))


def _make_some(lab: Lab, prefix: str) -> list[str]:
    """Pods that start, and are to be caught at it."""
    names = [f"{prefix}-{number}" for number in range(STARTING)]
    lab.make(*(pod(name) for name in names))
    eventually(lambda: any(_begun(lab, name) for name in names))
    return names


def _begun(lab: Lab, name: str) -> bool:
    seen: Object = lab.pod(name)
    return bool(seen["status"].get("startTime"))


def test_the_agent_is_killed(cluster: Cluster, lab: Lab) -> None:
    before = _ids(lab)
    doomed = ["old-0", "old-1"]
    names = _make_some(lab, "agent")
    cluster.agent.kill()
    lab("delete", "pod", doomed[0], "--wait=false")
    lab("delete", "pod", doomed[1], "--force", "--grace-period=0")
    cluster.agent.start()
    _converged(lab, *names)
    eventually(lambda: not any(lab.api.find("v1/pods", name) for name in doomed))
    after = _ids(lab)
    assert after == {name: id for name, id in before.items() if name not in doomed}
    _assert_each_once(lab)
    lab("delete", "pod", *names)


def test_containerd_is_killed(cluster: Cluster, lab: Lab) -> None:
    before = _ids(lab)
    names = _make_some(lab, "runtime")
    os.kill(cluster.containerd_pid(), signal.SIGKILL)
    _converged(lab, *names, tries=2)
    assert _ids(lab) == before
    _assert_each_once(lab)
    lab("delete", "pod", *names)


def _claimed(lab: Lab, folder: Path) -> list[Object]:
    """A claim `data` with a volume, and a config map `settings`."""
    full = f"{lab.kubectl.namespace}-data"
    room: Object = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {**room, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}}
    claim = {**room, "volumeName": full, "resources": {"requests": {"storage": "1Gi"}}}
    return [
        {"kind": "PersistentVolume", "metadata": {"name": full}, "spec": volume},
        {"kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"word": "here"}},
    ]


def _configured(name: str, script: str) -> Object:
    """A pod for whose containers the node must know objects of the API."""
    word = {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "word"}}}
    claim, settings = {"persistentVolumeClaim": {"claimName": "data"}}, {"configMap": {"name": "settings"}}
    sources = {"data": claim, "settings": settings}
    mounted = [{"name": name, "mountPath": f"/{name}"} for name in sources]
    volumes = [{"name": name, **source} for name, source in sources.items()]
    return pod(name, "sh", "-c", script, volumes=volumes, main={"env": [word], "volumeMounts": mounted})


def test_the_api_server_is_away(cluster: Cluster, lab: Lab, tmp_path: Path) -> None:
    script = "echo begun; while ! test -e /tmp/go; do sleep 0.1; done; exit 1"
    beating = pod("beating", "sh", "-c", "while :; do echo beat; sleep 0.2; done", terminationGracePeriodSeconds=0)
    lab.make(*_claimed(lab, tmp_path), beating, _configured("restarting", script), once("ending", script))
    for name in ("beating", "restarting", "ending"):
        lab.running(name)
    before = _ids(lab)
    uid = lab.uid("restarting")
    first = container(lab.pod("restarting"))["containerID"].removeprefix("containerd://")
    cluster.apiserver.kill()
    lab.ctr("tasks", "exec", "--exec-id", "go", first, "touch", "/tmp/go")
    # Nobody can be told, yet the container is started again.
    eventually(lambda: first not in lab.ctr.running(uid) and len(lab.ctr.running(uid)) == 2)
    time.sleep(3)
    cluster.apiserver.start_and_wait()
    restarted = lab.restarted("restarting")
    assert container(restarted)["lastState"]["terminated"]["exitCode"] == 1
    assert lab("exec", "restarting", "--", "sh", "-c", "cat /settings/word; echo $WORD; touch /data/x") == "herehere\n"
    assert (tmp_path / "x").exists()
    assert _ids(lab) == before
    beats = lab("logs", "beating", "--timestamps").splitlines()
    assert len(beats) >= 15 and container(lab.pod("beating"))["restartCount"] == 0
    lab("exec", "ending", "--", "touch", "/tmp/go")
    lab.phase("ending", "Failed")


def test_in_the_end_nothing_is_left(cluster: Cluster, lab: Lab) -> None:
    lab("delete", "pod", "--all")
    # A sandbox that containerd was killed while making is known to it, but to no client: it cannot be removed.
    eventually(lambda: not lab.ctr.tasks() and len(lab.ctr.containers()) <= STARTING, 20)
    eventually(lambda: not mounts(f"{lab.ctr.root}/pods/"), 20)
    eventually(lambda: not list((lab.ctr.root / "pods").iterdir()), 20)
