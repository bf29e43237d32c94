"""Nodes with real containers under test: what they need of the machine, and ways to look at what they run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance import images
from conformance.api import Api
from conformance.images import IMAGE
from conformance.kubectl import Kubectl
from conformance.processes import eventually
from conformance.wire import Wire

Object = dict[str, Any]

CNI_FOLDERS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
RUN_TIMEOUT_S = 45.0
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done")
"""A program that runs until it is told to end, and then ends at once."""


def lacking() -> str:
    """What this machine lacks for real containers; '' when nothing."""
    if os.geteuid() != 0:
        return "only root can run containers"
    for binary in ("containerd", "ctr", "runc", "iptables"):
        if shutil.which(binary) is None:
            return f"{binary} is not installed"
    if not any(os.access(f"{folder}/bridge", os.X_OK) for folder in CNI_FOLDERS):
        return "the CNI plugins are not installed (apt-get install containernetworking-plugins)"
    if not images.is_static():
        return "a static busybox is not installed (apt-get install busybox-static)"
    try:
        import grpc  # noqa: F401
    except ImportError:
        return "grpcio is not installed (pip install grpcio protobuf)"
    return ""


@dataclass(frozen=True, slots=True)
class Containerd:
    """The containerd of a node, asked as its administrator would."""

    root: Path

    @property
    def socket(self) -> str:
        return str(tomllib.loads((self.root / "containerd.toml").read_text())["grpc"]["address"])

    def __call__(self, *arguments: str, given: bytes | None = None) -> str:
        command = ["ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
        return done.stdout.decode()

    def import_images(self) -> None:
        self("images", "import", "-", given=images.archive())

    def containers(self, uid: str = "") -> list[str]:
        """Sandboxes are containers too. Those of one pod, or all."""
        wanted = [f'labels."io.kubernetes.pod.uid"=={uid}'] if uid else []
        return self("containers", "list", "--quiet", *wanted).split()

    def tasks(self) -> dict[str, str]:
        """What runs, or has ended: status by container."""
        rows = (line.split() for line in self("tasks", "list").splitlines()[1:])
        return {row[0]: row[2] for row in rows if len(row) == 3}

    def running(self, uid: str) -> list[str]:
        tasks = self.tasks()
        return [id for id in self.containers(uid) if tasks.get(id) == "RUNNING"]


def node_root(kubeconfig: Path) -> Path:
    """The folder of the node that came with the cluster of that kubeconfig, by the command line of its process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if "nodeagent" in words and "--root-dir" in words:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if str(kubeconfig) in Path(f"/proc/{parent}/cmdline").read_bytes().decode().split("\0"):
                    return Path(words[words.index("--root-dir") + 1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise AssertionError(f"no node runs with {kubeconfig}")


def processes_with(word: str) -> list[int]:
    """Those that have the word on their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if word in file.read_bytes().decode(errors="replace").split("\0"):
                found.append(int(file.parent.name))
    return found


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def mounts(of: str) -> list[str]:
    """The machine's mounts whose path has that text in it."""
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if of in line.split()[1]]


@dataclass(slots=True)
class Lab:
    """A namespace on a node with real containers."""

    ctr: Containerd
    kubectl: Kubectl
    api: Api
    uids: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> str:
        return self.kubectl(*arguments)

    def make(self, *objects: Object) -> None:
        """All of them at once, so that they start beside each other."""
        items = [{"apiVersion": "v1", **item} for item in objects]
        self.kubectl("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": items})

    def pod(self, name: str) -> Object:
        return self.api.get("v1/pods", name)

    def phase(self, name: str, *phases: str) -> Object:
        """The pod, once it is in one of these phases."""
        return self._eventually(name, lambda pod: pod["status"]["phase"] in phases)

    def running(self, name: str) -> Object:
        return self.phase(name, "Running")

    def ready(self, name: str) -> Object:
        return self._eventually(name, lambda pod: is_true(pod, "Ready"))

    def waiting(self, name: str, *reasons: str) -> Object:
        """What keeps the first container waiting, once that is one of the reasons."""
        pod = self._eventually(name, lambda pod: state(pod).get("waiting", {}).get("reason") in reasons)
        waiting: Object = state(pod)["waiting"]
        return waiting

    def restarted(self, name: str, times: int = 1) -> Object:
        return self._eventually(name, lambda pod: container(pod).get("restartCount", 0) >= times)

    def output(self, name: str, phase: str = "Succeeded") -> str:
        """What a pod printed that has ended so."""
        pod = self.phase(name, "Succeeded", "Failed")
        printed = self.kubectl("logs", name, "--all-containers")
        assert pod["status"]["phase"] == phase, f"{printed}\n{pod['status']}"
        return printed

    def uid(self, name: str) -> str:
        uid: str = self.pod(name)["metadata"]["uid"]
        return uid

    def assert_nothing_is_left(self, uid: str) -> None:
        eventually(lambda: not self.ctr.containers(uid) and not mounts(uid), 20)
        eventually(lambda: not (self.ctr.root / "pods" / uid).exists(), 20)

    def _eventually(self, name: str, holds: Any) -> Object:
        seen: list[Object] = [{}]

        def found() -> Object | None:
            seen[0] = self.pod(name)
            return seen[0] if holds(seen[0]) else None

        try:
            return eventually(found, RUN_TIMEOUT_S)
        except AssertionError:
            raise AssertionError(f"{seen[0]['status']}\n{self.api.events(name)}") from None


@contextmanager
def laboratory(ctr: Containerd, kubeconfig: Path, cache: Path) -> Iterator[Lab]:
    """A namespace with its account; it and its pods are gone when the context ends."""
    everywhere = Kubectl(kubeconfig, cache)
    name = f"nodes-{uuid.uuid4().hex[:8]}"
    everywhere("create", "namespace", name)
    api = Api(Wire.of(kubeconfig), name)
    try:
        eventually(lambda: api.find("v1/serviceaccounts", "default"))
        eventually(lambda: api.find("v1/configmaps", "kube-root-ca.crt"))
        yield Lab(ctr, Kubectl(kubeconfig, cache, name), api)
    finally:
        everywhere.attempt("delete", "namespace", name, "--wait=false")
        api.close()


def pod(name: str, *command: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A pod with one container that does `command`, or sleeps. Fields of the container go in `main`."""
    main = {**box("main", *command), **spec.pop("main", {})}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}, **spec.pop("metadata", {})},
        "spec": {"containers": [main, *spec.pop("others", ())], "terminationGracePeriodSeconds": 3, **spec},
    }


def once(name: str, script: str, **spec: Any) -> Object:
    """A pod that runs a script to its end."""
    return pod(name, "sh", "-c", script, restartPolicy="Never", **spec)


def box(name: str, *command: str, **fields: Any) -> Object:
    return {"name": name, "image": IMAGE, "command": list(command or SLEEP), **fields}


def container(pod: Object, name: str = "") -> Object:
    """The status of a container, the first where none is named."""
    found: Sequence[Object] = [
        status
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for status in pod["status"].get(kind) or ()
    ]
    return next((status for status in found if name in ("", status["name"])), {})


def state(pod: Object, name: str = "") -> Object:
    found: Object = container(pod, name).get("state", {})
    return found


def is_true(pod: Object, condition: str) -> bool:
    return any(c["type"] == condition and c["status"] == "True" for c in pod["status"].get("conditions") or ())


def has_condition(pod: Object, condition: str) -> bool:
    return any(c["type"] == condition for c in pod["status"].get("conditions") or ())
