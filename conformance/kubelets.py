"""Nodes that tests play: what is bound to them runs, ends as its image says, and goes when it is deleted."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conformance.wire import Session, Wire

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = "application/merge-patch+json"
ROOM = {"cpu": "64", "memory": "256Gi", "pods": "500"}
LABEL = "conformance.example.com/nodes"
HEARTBEAT_S = 2.0
PAUSE_S = 0.1
LEAVE_S = 10.0
"""For the pods of a namespace that is being deleted."""

Object = dict[str, Any]


class Kubelets(threading.Thread):
    """Cares for the pods of some nodes. `most` is the most pods, deleted ones not counted, that were ever there.

    The image says what becomes of a container: `exit:<code>` ends at once, `unready` runs and never is ready,
    `slow` is not ended when its pod is deleted, everything else runs and is ready.
    """

    def __init__(self, wire: Wire, *nodes: str) -> None:
        super().__init__(daemon=True)
        self._session = Session(wire)
        self._stop_asked = threading.Event()
        self._last_beat = 0.0
        self._addresses = itertools.count(1)
        self.nodes = nodes
        self._left = True
        self._is_ending = False
        self.silent: set[str] = set()
        self.most = 0

    def run(self) -> None:
        while not self._stop_asked.wait(PAUSE_S):
            try:
                self._beat()
                pods = self._pods()
                self.most = max(self.most, sum("deletionTimestamp" not in pod["metadata"] for pod in pods))
                for pod in pods:
                    self._care(pod)
                self._left = any(pod["spec"].get("nodeName") for pod in pods)
            except (OSError, http.client.HTTPException, KeyError, ValueError):
                continue  # The API server is being killed.

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()
        self._session.close()

    def end(self) -> None:
        """Let deleted pods go, also the slow ones, then stop; whatever pods are left by then go too."""
        self._is_ending = True
        deadline = time.monotonic() + LEAVE_S
        while time.monotonic() < deadline and self._left:
            time.sleep(PAUSE_S)
        self.stop()
        for pod in self._pods():
            if pod["spec"].get("nodeName") in self.nodes:
                self._session.request("DELETE", f"{_path(pod)}?gracePeriodSeconds=0")
        self._session.close()

    def _pods(self) -> list[Object]:
        items: list[Object] = self._session.request("GET", PODS).object["items"]
        return [pod for pod in items if pod["spec"].get("nodeName", "") in ("", *self.nodes)]

    def _beat(self) -> None:
        """Say that the nodes are alive."""
        if time.monotonic() - self._last_beat < HEARTBEAT_S:
            return
        for name in set(self.nodes) - self.silent:
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _now(".000000Z")}
            lease = {"metadata": {"name": name}, "spec": spec}
            if self._session.request("PATCH", f"{LEASES}/{name}", {"spec": spec}, MERGE).status == 404:
                self._session.request("POST", LEASES, lease)
        self._last_beat = time.monotonic()

    def _care(self, pod: Object) -> None:
        if pod["spec"].get("nodeName", "") not in set(self.nodes) - self.silent:
            return
        image = pod["spec"]["containers"][0]["image"]
        if "deletionTimestamp" in pod["metadata"]:
            if image != "slow" or self._is_ending:
                self._session.request("DELETE", f"{_path(pod)}?gracePeriodSeconds=0")
        elif pod["status"]["phase"] == "Pending":
            # Only the pod as it was seen: a test may have ended it meanwhile.
            seen = {"resourceVersion": pod["metadata"]["resourceVersion"]}
            patch = {"metadata": seen, "status": self._status(pod, image)}
            self._session.request("PATCH", f"{_path(pod)}/status", patch, MERGE)

    def _status(self, pod: Object, image: str) -> Object:
        code = int(image.removeprefix("exit:")) if image.startswith("exit:") else None
        is_ready = code is None and image != "unready"
        now = _now()
        address = next(self._addresses)
        state: Object = {"running": {"startedAt": now}}
        if code is not None:
            reason = "Completed" if code == 0 else "Error"
            state = {"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}}
        kept = [c for c in pod["status"].get("conditions", []) if c["type"] not in ("Ready", "ContainersReady")]
        conditions = [
            {"type": name, "status": str(is_ready), "lastTransitionTime": now} for name in ("Ready", "ContainersReady")
        ]
        containers = [
            {"name": c["name"], "image": image, "imageID": "", "ready": is_ready, "restartCount": 0, "state": state}
            for c in pod["spec"]["containers"]
        ]
        phase = "Running" if code is None else "Succeeded" if code == 0 else "Failed"
        ip = f"10.99.{address // 250}.{address % 250 + 1}"
        return {
            "phase": phase,
            "startTime": now,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [*kept, *conditions],
            "containerStatuses": containers,
        }


@contextmanager
def played(wire: Wire, label: str, count: int, prefix: str = "played") -> Iterator[Kubelets]:
    """So many ready nodes under the label, and their kubelets, for as long as the context lasts."""
    names = [f"{prefix}-{number}" for number in range(count)]
    for name in names:
        make_node(wire, name, label)
    kubelets = Kubelets(wire, *names)
    kubelets.start()
    try:
        yield kubelets
    finally:
        kubelets.end()
        for name in names:
            wire.request("DELETE", f"{NODES}/{name}")
            wire.request("DELETE", f"{LEASES}/{name}")


def make_node(wire: Wire, name: str, label: str) -> None:
    """A node that is ready. That it is not ready is a taint of every new node; the node controller takes it away."""
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}]
    status = {"capacity": ROOM, "allocatable": ROOM, "conditions": conditions}
    labels = {LABEL: label, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    answer = wire.request("POST", NODES, {"metadata": {"name": name, "labels": labels}, "status": status})
    assert answer.status == 201, answer.message


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now(end: str = "Z") -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + end
