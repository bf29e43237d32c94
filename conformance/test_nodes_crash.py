"""A node's agent, its containerd and the API server die under pods: all go on, none twice, nothing is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conformance.conftest import GIVEN
from conformance.machines import (
    SLEEP,
    Containerd,
    Lab,
    Object,
    box,
    container,
    laboratory,
    lacking,
    mounts,
    once,
    pod,
    processes_with,
    state,
)
from conformance.processes import ApiServer, Process, eventually

RUNNING, STARTING = 30, 10
AWAY_S = 45.0
"""As long as the API server is away: longer than any call to it may last, and than the node's lease."""
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
            "--node-name", NODE, "--root-dir", str(self.root), "--port", "0", "--ephemeral",
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

    @property
    def bridge(self) -> str:
        [file] = (self.root / "cni").glob("*.conflist")
        found: str = json.loads(file.read_text())["plugins"][0]["bridge"]
        return found

    def interfaces(self) -> list[str]:
        """The machine's ends of the links of pods."""
        return [link.name for link in Path(f"/sys/class/net/{self.bridge}/brif").glob("*")]

    def addresses(self) -> set[str]:
        """Those that are taken."""
        return {path.name for path in (self.root / "cni-addresses" / "wherry").glob("[0-9]*")}

    @property
    def cgroup(self) -> str:
        """The name of the node's own at the top of each hierarchy."""
        return self.bridge.replace("wherry", "wherry-")

    def pod_cgroups(self) -> set[str]:
        """The uids of pods that have cgroups."""
        found = Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}/kubepods/**/pod*")
        return {path.name.removeprefix("pod") for path in found}

    def shims(self) -> list[int]:
        """The processes that stand between containerd and the pods."""
        return processes_with(self.ctr.socket)

    def stop(self) -> None:
        """The node takes all that it has with it."""
        self.agent.end()
        for part in (*self.parts, self.apiserver):
            part.kill()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if GIVEN:
        pytest.skip("only a cluster of our own may be killed")
    lack = lacking()
    if lack:
        pytest.skip(lack)
    before = _of_the_machine()
    with ExitStack() as stack:
        # Not below pytest's own folders, which it could not remove should a mount be left.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-", dir="/var/tmp")))
        found = Cluster(home)
        stack.callback(found.stop)
        found.start()
        node = [found.ctr.socket, found.bridge, found.cgroup, str(found.root)]
        yield found
    left = {line for line in _of_the_machine() - before if any(word in line for word in node)}
    assert not left and not processes_with(node[0])


def _of_the_machine() -> set[str]:
    """Its mounts, its interfaces, its cgroups, and its rules for addresses."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout.splitlines()
    listed = [Path("/sys/class/net"), *Path("/sys/fs/cgroup").iterdir()]
    names = [path.name for folder in listed if folder.is_dir() for path in folder.iterdir()]
    return {*mounts(""), *names, *rules}


@pytest.fixture(scope="module")
def lab(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with laboratory(cluster.ctr, cluster.apiserver.kubeconfig, tmp_path_factory.mktemp("cache")) as found:
        found.make(*(_pod(found, f"old-{number}") for number in range(RUNNING)))
        for number in range(RUNNING):
            found.ready(f"old-{number}")
        yield found


def _ids(lab: Lab) -> dict[str, str]:
    """The container of each running pod of the first lot."""
    pods = lab.api.list("v1/pods")
    found = {p["metadata"]["name"]: container(p).get("containerID", "") for p in pods}
    return {name: id for name, id in found.items() if name.startswith("old-")}


STARTS: Object = {"volumeMounts": [{"name": "starts", "mountPath": "/starts"}]}


def _pod(lab: Lab, name: str, script: str = SLEEP[-1], **spec: Any) -> Object:
    """It tells in a file of the machine each time that it begins."""
    volumes = [{"name": "starts", "hostPath": {"path": str(_folder(lab)), "type": "DirectoryOrCreate"}}]
    return pod(name, *_telling(name, script), volumes=volumes, main=STARTS, **spec)


def _telling(name: str, script: str = SLEEP[-1]) -> tuple[str, ...]:
    return ("sh", "-c", f"echo begun >> /starts/{name}; {script}")


def _folder(lab: Lab) -> Path:
    return lab.ctr.root.parent / "starts"


def _starts(lab: Lab, name: str) -> int:
    file = _folder(lab) / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def _converged(lab: Lab, *names: str) -> None:
    """All are ready, and none was begun more often than it was made; one that was made when something died may count
    as a try.
    """
    for name in names:
        seen = lab.ready(name)
        assert container(seen)["restartCount"] <= 1, seen["status"]
        assert _starts(lab, name) <= container(seen)["restartCount"] + 1


def _assert_each_once(cluster: Cluster, lab: Lab) -> None:
    """Of each pod one sandbox and one container run, and nothing else does; of other pods nothing is there at all."""
    pods = {p["metadata"]["uid"]: p for p in lab.api.list("v1/pods")}
    running = {uid: pod for uid, pod in pods.items() if pod["status"]["phase"] == "Running"}
    wanted = {
        "tasks": Counter({uid: 2 for uid in running}),
        "all tasks": 2 * len(running),
        "shims": len(running),
        "interfaces": len(running),
        "addresses": {pod["status"]["podIP"] for pod in running.values()},
        "cgroups": set(running),
    }

    def found() -> Object:
        return {
            "tasks": +Counter({uid: len(lab.ctr.running(uid)) for uid in pods}),
            "all tasks": len(lab.ctr.tasks()),
            "shims": len(cluster.shims()),
            "interfaces": len(cluster.interfaces()),
            "addresses": cluster.addresses(),
            "cgroups": cluster.pod_cgroups(),
        }

    _eventually_is(found, wanted)
    folders = lambda: {path.name for path in (lab.ctr.root / "pods").iterdir()} - set(pods)  # noqa: E731
    _eventually_is(folders, set())
    logs = lambda: {path.name.rpartition("_")[2] for path in (lab.ctr.root / "logs").iterdir()} - set(pods)  # noqa: E731
    _eventually_is(logs, set())
    assert all(any(uid in path for uid in pods) for path in mounts(f"{lab.ctr.root}/pods/"))


def _eventually_is(found: Callable[[], Any], wanted: Any) -> None:
    try:
        eventually(lambda: found() == wanted, 40)
    except AssertionError:
        assert found() == wanted


def _make_some(lab: Lab, prefix: str) -> list[str]:
    """Pods that start, and are to be caught at it."""
    names = [f"{prefix}-{number}" for number in range(STARTING)]
    lab.make(*(_pod(lab, name) for name in names))
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
    _assert_each_once(cluster, lab)
    lab("delete", "pod", *names)


WAITING = "until test -e /starts/{}; do sleep 0.1; done"


def _wait(lab: Lab, name: str) -> None:
    eventually(lambda: _starts(lab, name) > 0)


def test_an_agent_goes_on_where_another_was_killed(cluster: Cluster, lab: Lab) -> None:
    """With pods that begin, that have all kinds of containers, and that end."""
    ending = f"trap '{WAITING.format('end')}; echo ended >> /starts/told; exit 0' TERM; while :; do sleep 0.1; done"
    first = box("first", *_telling("first", WAITING.format("go")), **STARTS)
    side = box("side", *_telling("side"), restartPolicy="Always", **STARTS)
    lab.make(
        _pod(lab, "beginning", initContainers=[first]),
        _pod(lab, "mixed", initContainers=[side]),
        _pod(lab, "ending", ending, terminationGracePeriodSeconds=60),
    )
    lab.ready("mixed")
    guest = {"spec": {"ephemeralContainers": [box("guest", "sh", "-c", SLEEP[-1])]}}
    lab("patch", "pod", "mixed", "--subresource=ephemeralcontainers", "--patch", json.dumps(guest))
    eventually(lambda: "running" in state(lab.pod("mixed"), "guest"))
    for name in ("first", "side", "mixed", "ending"):
        _wait(lab, name)
    before = {name: container(lab.pod("mixed"), name)["containerID"] for name in ("main", "side", "guest")}
    lab("delete", "pod", "ending", "--wait=false")
    lab.api.await_event("ending", "Killing", "Stopping container main")

    cluster.agent.kill()
    cluster.agent.start()
    (_folder(lab) / "go").touch()
    begun = lab.ready("beginning")
    assert container(begun, "first")["restartCount"] == container(begun, "main")["restartCount"] == 0
    (_folder(lab) / "end").touch()
    eventually(lambda: lab.api.find("v1/pods", "ending") is None, 40)
    assert (_folder(lab) / "told").read_text() == "ended\n"
    mixed = lab.ready("mixed")
    assert before == {name: container(mixed, name)["containerID"] for name in before}
    assert [_starts(lab, name) for name in ("first", "beginning", "side", "mixed", "ending")] == [1] * 5
    lab("delete", "pod", "mixed", "beginning")


def test_containerd_is_killed(cluster: Cluster, lab: Lab) -> None:
    before = _ids(lab)
    names = _make_some(lab, "runtime")
    os.kill(cluster.containerd_pid(), signal.SIGKILL)
    _converged(lab, *names)
    assert _ids(lab) == before
    _assert_each_once(cluster, lab)
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


def _configured(name: str, script: str, **main: Any) -> Object:
    """A pod for whose containers the node must know objects of the API. It tells in its volume that it begins."""
    word = {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "word"}}}
    claim, settings = {"persistentVolumeClaim": {"claimName": "data"}}, {"configMap": {"name": "settings"}}
    sources = {"data": claim, "settings": settings}
    mounted = [{"name": name, "mountPath": f"/{name}"} for name in sources]
    volumes = [{"name": name, **source} for name, source in sources.items()]
    begin = f"echo $WORD $(cat /settings/word) >> /data/{name}"
    fields = {"env": [word], "volumeMounts": mounted, **main}
    return pod(name, "sh", "-c", f"{begin}; {script}", volumes=volumes, main=fields)


# It fails when it is told to, then once at once, and then no more.
FAILING = "case $(wc -l < /data/failing) in 1) until test -e /data/go; do sleep 0.1; done; exit 1;; 2) exit 1;; esac"
WELL = {"exec": {"command": ["test", "-e", "/data/well"]}, "periodSeconds": 1, "timeoutSeconds": 10}


def test_the_api_server_is_away(cluster: Cluster, lab: Lab, tmp_path: Path) -> None:
    lab.make(
        *_claimed(lab, tmp_path),
        _configured("failing", f"{FAILING}; {SLEEP[-1]}"),
        _configured("ill", f"touch /data/well; {SLEEP[-1]}", livenessProbe=WELL),
        once("ending", "until test -e /tmp/go; do sleep 0.1; done; exit 1"),
    )
    for name in ("failing", "ill", "ending"):
        lab.running(name)
    before = _ids(lab)
    begins = lambda name: len((tmp_path / name).read_text().splitlines())  # noqa: E731

    since = time.monotonic()
    cluster.apiserver.freeze()
    (tmp_path / "go").touch()
    (tmp_path / "well").unlink()
    # Nobody can be told, yet what fails, and what is not alive, is started again, the second time after a while.
    eventually(lambda: begins("ill") == 2 and begins("failing") == 3, 60)
    time.sleep(max(0.0, AWAY_S - (time.monotonic() - since)))
    cluster.apiserver.kill()
    cluster.apiserver.start_and_wait()

    lab.restarted("failing", 2)
    lab.restarted("ill")
    for name, count in (("failing", 2), ("ill", 1)):
        seen = lab.ready(name)
        assert container(seen)["restartCount"] == count and begins(name) == count + 1
        assert set((tmp_path / name).read_text().splitlines()) == {"here here"}
    assert container(lab.pod("failing"))["lastState"]["terminated"]["exitCode"] == 1
    assert _ids(lab) == before
    lab("exec", "ending", "--", "touch", "/tmp/go")
    lab.phase("ending", "Failed")
    lab("delete", "pod", "ending")
    _assert_each_once(cluster, lab)


def test_in_the_end_nothing_is_left(cluster: Cluster, lab: Lab) -> None:
    lab("delete", "pod", "--all")
    eventually(lambda: not lab.ctr.containers(), 20)
    _assert_each_once(cluster, lab)
    assert not mounts(f"{lab.ctr.root}/pods/") and not list((lab.ctr.root / "pods").iterdir())
