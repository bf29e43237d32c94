"""What controllers do after a while, in a cluster where that is short: silent nodes, pod ranges, autoscaling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conformance.api import Api, condition, pod, workload
from conformance.conftest import GIVEN
from conformance.kubectl import Kubectl
from conformance.kubelets import Kubelets, make_node
from conformance.processes import ApiServer, Process, eventually
from conformance.wire import Wire

NODES, PODS = "v1/nodes", "v1/pods"
DEPLOYMENTS, SCALERS = "apps/v1/deployments", "autoscaling/v2/horizontalpodautoscalers"
METRICS = "metrics.k8s.io/v1beta1/pods"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
TIMES = (
    *("--node-monitor-grace-period", "6s", "--node-monitor-period", "500ms"),
    *("--horizontal-pod-autoscaler-sync-period", "500ms"),
    *("--allocate-node-cidrs", "--cluster-cidr", "10.77.0.0/16"),
    *("--leader-elect", "false", "--health-port", "-1"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("timed")


@pytest.fixture(scope="module")
def timed(home: Path) -> Iterator[Wire]:
    """A cluster of its own, on the embedded store."""
    if GIVEN:
        pytest.skip("the times of a given cluster are its own")
    apiserver = ApiServer(home)
    kubeconfig = ("--kubeconfig", str(apiserver.kubeconfig))
    controllers = Process(home, "controllers", "controllers", *kubeconfig, *TIMES)
    scheduler = Process(home, "scheduler", "scheduler", *kubeconfig, "--no-leader-elect", "--health-port", "-1")
    with ExitStack() as stack:
        for part in (apiserver, controllers, scheduler):
            stack.callback(part.kill)
        wire = apiserver.start_and_wait()
        controllers.start()
        scheduler.start()
        yield wire
        controllers.assert_runs()
        scheduler.assert_runs()


@pytest.fixture(scope="module")
def api(timed: Wire) -> Iterator[Api]:
    found = Api(timed, "default")
    eventually(lambda: found.find("v1/serviceaccounts", "default"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def kubelets(timed: Wire) -> Iterator[Kubelets]:
    nodes = [f"played-{number}" for number in range(3)]
    for name in nodes:
        make_node(timed, name, "played")
    found = Kubelets(timed, *nodes)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def k(home: Path, timed: Wire) -> Kubectl:
    return Kubectl(home / "kubeconfig", home / "cache", "default")


def taints(api: Api, node: str) -> set[tuple[str, str]]:
    return {(t["key"], t["effect"]) for t in api.get(NODES, node)["spec"].get("taints", ())}


def say_ready(api: Api, node: str, status: str) -> None:
    ready = {"type": "Ready", "status": status, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    api.patch(NODES, node, {"status": {"conditions": [ready]}}, "status")


# Nodes


def test_every_node_gets_a_range_for_its_pods(api: Api, kubelets: Kubelets) -> None:
    ranges = set()
    for node in kubelets.nodes:
        spec = eventually(lambda node=node: (s := api.get(NODES, node)["spec"]).get("podCIDR") and s)
        assert spec["podCIDRs"] == [spec["podCIDR"]]
        ranges.add(spec["podCIDR"])
    assert len(ranges) == 3 and all(text.startswith("10.77.") and text.endswith("/24") for text in ranges)


def test_a_node_that_is_not_ready_is_tainted(api: Api, kubelets: Kubelets) -> None:
    node = kubelets.nodes[1]
    eventually(lambda: taints(api, node) == set())
    say_ready(api, node, "False")
    eventually(lambda: taints(api, node) == {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")})
    say_ready(api, node, "True")
    eventually(lambda: taints(api, node) == set())


def test_a_silent_node_loses_its_pods_and_may_come_back(api: Api, kubelets: Kubelets) -> None:
    node = kubelets.nodes[2]
    where = {"kubernetes.io/hostname": node}
    patient = [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]
    api.create(PODS, pod("leaves", nodeSelector=where, tolerations=patient))
    api.create(PODS, pod("stays", nodeSelector=where))
    for name in ("leaves", "stays"):
        eventually(lambda name=name: condition(api.get(PODS, name), "Ready").get("status") == "True")
    kubelets.silent.add(node)
    ready = api.await_condition(NODES, node, "Ready", "Unknown", "NodeStatusUnknown")
    assert ready["message"] == "Kubelet stopped posting node status."
    eventually(lambda: taints(api, node) == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")})
    eventually(lambda: condition(api.get(PODS, "stays"), "Ready")["status"] == "False")
    eventually(lambda: "deletionTimestamp" in api.get(PODS, "leaves")["metadata"])
    bearing = {(t.get("key"), t.get("tolerationSeconds")) for t in api.get(PODS, "stays")["spec"]["tolerations"]}
    assert bearing == {(NOT_READY, 300), (UNREACHABLE, 300)}
    api.await_event(node, "NodeNotReady", f"Node {node} status is now: NodeNotReady")
    kubelets.silent.clear()
    say_ready(api, node, "True")
    eventually(lambda: taints(api, node) == set())
    eventually(lambda: api.find(PODS, "leaves") is None)
    assert "deletionTimestamp" not in api.get(PODS, "stays")["metadata"]


def test_a_range_is_given_again_when_its_node_is_gone(api: Api, timed: Wire, kubelets: Kubelets) -> None:
    make_node(timed, "passing", "passing")
    given = eventually(lambda: api.get(NODES, "passing")["spec"].get("podCIDR"))
    others = {api.get(NODES, node)["spec"]["podCIDR"] for node in kubelets.nodes}
    assert given not in others
    api.delete(NODES, "passing")


# Autoscaling, by metrics of the test's own


@pytest.fixture(scope="module")
def metrics(api: Api) -> None:
    """The metrics API as custom resources: whoever asks for the metrics of pods finds what a test has put there."""
    names = {"plural": "pods", "singular": "pod", "kind": "PodMetrics", "listKind": "PodMetricsList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    approval = {"api-approved.kubernetes.io": "unapproved, of a test"}
    definition = {
        "metadata": {"name": "pods.metrics.k8s.io", "annotations": approval},
        "spec": {"group": "metrics.k8s.io", "names": names, "scope": "Namespaced", "versions": [version]},
    }
    api.create("apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    eventually(lambda: api.request("GET", f"/apis/{METRICS.rsplit('/', 1)[0]}").status == 200)


def use(api: Api, app: str, milli: int) -> None:
    """Every pod of the application is said to use so much CPU."""
    for one in api.pods(app):
        name = one["metadata"]["name"]
        body = {
            "apiVersion": "metrics.k8s.io/v1beta1",
            "kind": "PodMetrics",
            "metadata": {"name": name, "labels": one["metadata"]["labels"]},
            "timestamp": "2099-01-01T00:00:00Z",
            "window": "30s",
            "containers": [{"name": "main", "usage": {"cpu": f"{milli}m", "memory": "1Mi"}}],
        }
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/{name}"
        if api.request("PATCH", path, body, "application/merge-patch+json").status == 404:
            answer = api.request("POST", path.rsplit("/", 1)[0], body)
            assert answer.status == 201, answer.message


@pytest.mark.usefixtures("metrics", "kubelets")
def test_a_deployment_grows_and_shrinks_with_its_load(api: Api, k: Kubectl) -> None:
    made = workload("loaded", 1)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    api.create(DEPLOYMENTS, made)
    api.await_status(DEPLOYMENTS, "loaded", readyReplicas=1)
    use(api, "loaded", 200)
    said = k("autoscale", "deployment", "loaded", "--min=1", "--max=4", "--cpu=50%")
    assert said == "horizontalpodautoscaler.autoscaling/loaded autoscaled\n"
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    api.patch(SCALERS, "loaded", {"spec": {"behavior": behavior}})
    eventually(lambda: api.get(DEPLOYMENTS, "loaded")["spec"]["replicas"] == 4)
    message = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    api.await_event("loaded", "SuccessfulRescale", message)
    api.await_condition(SCALERS, "loaded", "AbleToScale", "True")
    active = api.await_condition(SCALERS, "loaded", "ScalingActive", "True", "ValidMetricFound")
    assert active["message"] == (
        "the HPA was able to successfully calculate a replica count from "
        "cpu resource utilization (percentage of request)"
    )
    api.await_status(DEPLOYMENTS, "loaded", readyReplicas=4)
    use(api, "loaded", 60)
    limited = api.await_condition(SCALERS, "loaded", "ScalingLimited", "True", "TooManyReplicas")
    assert limited["message"] == "the desired replica count is more than the maximum replica count"
    eventually(lambda: "cpu: 60%/50%" in k("get", "hpa", "loaded"))
    use(api, "loaded", 20)
    eventually(lambda: api.get(DEPLOYMENTS, "loaded")["spec"]["replicas"] == 1)
    status = api.await_status(SCALERS, "loaded", desiredReplicas=1, currentReplicas=1)
    assert status["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 20, "averageValue": "20m"}


@pytest.mark.usefixtures("metrics", "kubelets")
def test_an_autoscaler_without_metrics_says_so_but_keeps_its_bounds(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("blind", 1))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "blind"}
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec: dict[str, Any] = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4}
    spec["metrics"] = [{"type": "Resource", "resource": resource}]
    api.create(SCALERS, {"metadata": {"name": "blind"}, "spec": spec})
    eventually(lambda: api.get(DEPLOYMENTS, "blind")["spec"]["replicas"] == 2)
    api.await_event(
        "blind", "SuccessfulRescale", "New size: 2; reason: Current number of replicas below Spec.MinReplicas"
    )
    blind = api.await_condition(SCALERS, "blind", "ScalingActive", "False", "FailedGetResourceMetric")
    assert blind["message"].startswith("the HPA was unable to compute the replica count: ")


@pytest.mark.usefixtures("metrics", "kubelets")
def test_an_autoscaler_lowers_what_is_too_many_and_leaves_alone_what_is_nothing(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("many", 3))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "many"}
    api.create(SCALERS, {"metadata": {"name": "many"}, "spec": {"scaleTargetRef": target, "maxReplicas": 2}})
    eventually(lambda: api.get(DEPLOYMENTS, "many")["spec"]["replicas"] == 2)
    api.await_event(
        "many", "SuccessfulRescale", "New size: 2; reason: Current number of replicas above Spec.MaxReplicas"
    )
    api.patch(DEPLOYMENTS, "many", {"spec": {"replicas": 0}})
    off = api.await_condition(SCALERS, "many", "ScalingActive", "False", "ScalingDisabled")
    assert off["message"] == "scaling is disabled since the replica count of the target is zero"
    assert api.get(DEPLOYMENTS, "many")["spec"]["replicas"] == 0
