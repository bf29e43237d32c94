"""A cluster of a hundred simulated nodes: pods are spread, roll out, end, log, move and go as real ones do."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.api import Api, Object
from conformance.conftest import GIVEN, start_cluster
from conformance.kubectl import Kubectl
from conformance.processes import eventually
from conformance.wire import Wire

NODES = 100
SIMULATED = "simulated.wherry.dev"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if GIVEN:
        pytest.skip("these nodes come with a cluster of our own")
    home = tmp_path_factory.mktemp("simulated")
    yield from start_cluster(home, ["--ephemeral", "--nodes", str(NODES), "--runtime", "simulated"])


@pytest.fixture(scope="module")
def k(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    everywhere = Kubectl(simulated, tmp_path_factory.mktemp("cache"))
    name = f"simulated-{uuid.uuid4().hex[:8]}"
    everywhere("create", "namespace", name)
    return Kubectl(simulated, everywhere.cache, name)


@pytest.fixture(scope="module")
def api(k: Kubectl) -> Iterator[Api]:
    found = Api(Wire.of(k.kubeconfig), k.namespace)
    eventually(lambda: found.find("v1/serviceaccounts", "default"))
    yield found
    found.close()


def _deployment(name: str, replicas: int) -> Object:
    labels = {"app": name}
    spread = {
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }  # fmt: skip
    spec = {"containers": [{"name": "main", "image": "web:1"}], "topologySpreadConstraints": [spread]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {"metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}  # fmt: skip


def _pod(name: str, **notes: str) -> Object:
    annotations = {f"{SIMULATED}/{key.replace('_', '-')}": value for key, value in notes.items()}
    spec = {"containers": [{"name": "main", "image": "job:1"}], "restartPolicy": "Never"}
    return {"metadata": {"name": name, "annotations": annotations}, "spec": spec}


def test_pods_are_spread_over_a_hundred_nodes(k: Kubectl, api: Api) -> None:
    eventually(lambda: k("get", "nodes", "--no-headers").count(" Ready ") == NODES, 30)
    api.create("apps/v1/deployments", _deployment("spread", NODES))
    k("rollout", "status", "deployment/spread", "--timeout=50s")
    pods = api.pods("spread")
    assert set(Counter(pod["spec"]["nodeName"] for pod in pods).values()) == {1}
    assert len({pod["status"]["podIP"] for pod in pods}) == NODES
    k("delete", "deployment", "spread")


def test_a_deployment_rolls_out_again(k: Kubectl, api: Api) -> None:
    api.create("apps/v1/deployments", _deployment("web", 6))
    k("rollout", "status", "deployment/web", "--timeout=30s")
    before = set(api.names("web"))
    k("rollout", "restart", "deployment/web")
    k("rollout", "status", "deployment/web", "--timeout=30s")
    eventually(lambda: len(api.pods("web")) == 6)
    assert before.isdisjoint(api.names("web"))


def test_a_node_takes_a_pod_by_the_label_that_it_was_just_given(api: Api) -> None:
    label = {"example.com/just": "now"}
    api.patch("v1/nodes", "node-1", {"metadata": {"labels": label}})
    pod = _pod("labelled")
    pod["spec"] |= {"nodeName": "node-1", "nodeSelector": label}
    api.create("v1/pods", pod)
    eventually(lambda: api.status("v1/pods", "labelled").get("phase") != "Pending", 20)
    assert api.status("v1/pods", "labelled")["phase"] == "Running"


def test_what_others_add_to_a_node_is_for_pods(api: Api) -> None:
    """As device plug-ins of other makers do: capacity by a patch of the status."""
    api.patch("v1/nodes", "node-2", {"status": {"capacity": {"example.com/dongle": "2"}}}, "status")
    pod = _pod("dongled")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"example.com/dongle": "2"}}
    api.create("v1/pods", pod)
    eventually(lambda: api.status("v1/pods", "dongled").get("phase") == "Running", 20)
    assert api.get("v1/pods", "dongled")["spec"]["nodeName"] == "node-2"
    api.delete("v1/pods", "dongled", gracePeriodSeconds=0)
    api.create("v1/pods", {**pod, "metadata": {"name": "next"}, "spec": {**pod["spec"], "nodeName": "node-2"}})
    eventually(lambda: api.status("v1/pods", "next").get("phase") != "Pending", 20)
    assert api.status("v1/pods", "next")["phase"] == "Running", "what a pod held is free once its object is gone"
    api.patch("v1/nodes", "node-2", {"status": {"capacity": {"example.com/dongle": None}}}, "status")
    eventually(lambda: "example.com/dongle" not in api.status("v1/nodes", "node-2")["allocatable"], 20)


def test_a_node_is_drained(k: Kubectl, api: Api) -> None:
    k("rollout", "status", "deployment/web", "--timeout=30s")
    node = api.pods("web")[0]["spec"]["nodeName"]
    k("drain", node, "--ignore-daemonsets", "--timeout=30s")
    assert not api.list("v1/pods", fields=f"spec.nodeName={node}")
    k("rollout", "status", "deployment/web", "--timeout=30s")
    k("uncordon", node)


def test_logs_and_ends(k: Kubectl, api: Api) -> None:
    api.create("v1/pods", _pod("well"))
    api.create("v1/pods", _pod("ill", run_seconds="0.5", exit_code="4"))
    eventually(lambda: api.status("v1/pods", "well").get("phase") == "Succeeded")
    eventually(lambda: api.status("v1/pods", "ill").get("phase") == "Failed")
    ended = api.status("v1/pods", "ill")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (4, "Error")
    assert k("logs", "well") == "simulated container main started\nended with exit code 0\n"


def test_a_critical_pod_finds_room_on_a_full_node(api: Api) -> None:
    """Where the scheduler was not asked, the node itself sends others away."""

    def pinned(name: str, cpu: str, **spec: Any) -> Object:
        pod = _pod(name, run_seconds="1000")
        pod["spec"] |= {"nodeName": "node-7", "terminationGracePeriodSeconds": 1, **spec}
        pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
        return pod

    for name, cpu in (("large", "20"), ("small", "1")):
        api.create("v1/pods", pinned(name, cpu))
    eventually(lambda: {api.status("v1/pods", name).get("phase") for name in ("large", "small")} == {"Running"})
    api.create("v1/pods", pinned("late", "20"))
    api.create("v1/pods", pinned("critical", "20", priorityClassName="system-node-critical"))
    eventually(lambda: api.status("v1/pods", "critical").get("phase") == "Running")
    assert api.status("v1/pods", "late")["reason"] == "OutOfcpu"
    ended = api.status("v1/pods", "large")
    why = ("Preempting", "Preempted in order to admit critical pod")
    assert ended["phase"] == "Failed" and (ended["reason"], ended["message"]) == why
    [disruption] = [c for c in ended["conditions"] if c["type"] == "DisruptionTarget"]
    assert (disruption["status"], disruption["reason"]) == ("True", "TerminationByKubelet")
    assert api.status("v1/pods", "small")["phase"] == "Running"
    api.await_event("large", *why)


def test_claims_are_served_by_the_default_class(api: Api) -> None:
    """With no class named, on the node that the scheduler chooses, and until nobody needs the volume any more."""
    eventually(lambda: api.list("storage.k8s.io/v1/storageclasses"))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    api.create("v1/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": spec})
    user = _pod("user")
    user["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    user["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    api.create("v1/pods", user)
    eventually(lambda: api.status("v1/pods", "user").get("phase") == "Succeeded")
    claim = api.get("v1/persistentvolumeclaims", "data")
    volume = api.get("v1/persistentvolumes", claim["spec"]["volumeName"])
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == "standard"
    assert claim["status"]["capacity"] == {"storage": "1Gi"}
    api.delete("v1/pods", "user", gracePeriodSeconds=0)
    api.delete("v1/persistentvolumeclaims", "data")
    eventually(lambda: api.find("v1/persistentvolumes", volume["metadata"]["name"]) is None)


def test_what_is_deleted_goes(k: Kubectl, api: Api) -> None:
    k("delete", "deployment", "web")
    eventually(lambda: not api.list("v1/pods", "app=web"))
    assert not api.list("apps/v1/replicasets", "app=web")
