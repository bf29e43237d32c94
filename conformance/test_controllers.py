"""What a cluster does by itself: workloads make pods, owners take what they own with them, namespaces end empty.

Skipped where no controllers run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from conformance.kubectl import Kubectl
from conformance.test_kubectl_objects import deployment

PATIENCE_S = 30.0


@pytest.fixture(scope="module", autouse=True)
def controllers(kubectl: Kubectl) -> None:
    """They show in that a namespace gets its account without anybody making it."""
    name = "conformance-probe"
    kubectl("create", "namespace", name)
    try:
        arguments = ("get", "serviceaccount", "default", "--namespace", name, "--ignore-not-found", "-o", "name")
        if not eventually(lambda: kubectl(*arguments) != "", patience_s=5):
            pytest.skip("no controllers run in this cluster")
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def eventually(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.1)
    return False


def unplaced(name: str, replicas: int) -> dict[str, Any]:
    """A deployment whose pods no node takes, so that nothing depends on nodes."""
    made = deployment(name, replicas)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"example.com/none": "such"}
    return made


def pods(k: Kubectl, app: str) -> list[str]:
    return k("get", "pods", "-l", f"app={app}", "-o", "name").split()


def test_a_deployment_makes_a_replica_set_that_makes_pods(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=unplaced("made", 3))
    assert eventually(lambda: len(pods(k, "made")) == 3)
    [owner] = k.json("get", pods(k, "made")[0])["metadata"]["ownerReferences"]
    assert owner["kind"] == "ReplicaSet" and owner["controller"] is True
    k("scale", "deployment", "made", "--replicas=1")
    assert eventually(lambda: len(pods(k, "made")) == 1)
    k("delete", pods(k, "made")[0])
    assert eventually(lambda: len(pods(k, "made")) == 1)
    assert "Scaled up replica set" in k("describe", "deployment", "made")


def test_a_new_template_is_a_new_revision_and_can_be_undone(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=unplaced("rolled", 0))
    k("rollout", "status", "deployment/rolled", "--timeout=30s")
    k("set", "image", "deployment/rolled", "web=nginx:2")
    k("rollout", "status", "deployment/rolled", "--timeout=30s")
    assert eventually(lambda: k("rollout", "history", "deployment/rolled").count("<none>") == 2)
    assert k("rollout", "undo", "deployment/rolled") == "deployment.apps/rolled rolled back\n"
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert k("get", "deployment", "rolled", "-o", image) == "nginx:1.27"


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_is_owned_goes_with_its_owner(k: Kubectl, cascade: str) -> None:
    k("create", "-f", "-", stdin=unplaced(cascade, 2))
    assert eventually(lambda: len(pods(k, cascade)) == 2)
    k("delete", "deployment", cascade, f"--cascade={cascade}", "--wait", "--timeout=30s")
    assert eventually(lambda: pods(k, cascade) == [])
    assert eventually(lambda: k("get", "replicasets", "-l", f"app={cascade}", "-o", "name") == "")


def test_orphans_stay(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=unplaced("orphaned", 1))
    assert eventually(lambda: len(pods(k, "orphaned")) == 1)
    k("delete", "deployment", "orphaned", "--cascade=orphan", "--wait", "--timeout=30s")
    [left] = k.json("get", "replicasets", "-l", "app=orphaned")["items"]
    assert "ownerReferences" not in left["metadata"]


def test_a_namespace_ends_with_all_that_is_in_it(kubectl: Kubectl) -> None:
    name = "conformance-ending"
    kubectl("create", "namespace", name)
    kubectl("create", "-f", "-", "--namespace", name, stdin=unplaced("inside", 2))
    kubectl("create", "configmap", "inside", "--namespace", name)
    assert "deleted" in kubectl("delete", "namespace", name, "--wait", "--timeout=60s")
    assert kubectl("get", "configmap", "--namespace", name, "-o", "name") == ""


def test_every_namespace_is_given_the_clusters_certificate(k: Kubectl) -> None:
    name = ("get", "configmap", "kube-root-ca.crt", "--ignore-not-found", "-o", "jsonpath={.data['ca\\.crt']}")
    assert eventually(lambda: k(*name).startswith("-----BEGIN CERTIFICATE-----"))
