"""Endpoints and EndpointSlices of services: who is in them, in which state, and what becomes of hand-made ones."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.api import Api, pod
from conformance.kubectl import Kubectl
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

SERVICES, ENDPOINTS, SLICES = "v1/services", "v1/endpoints", "discovery.k8s.io/v1/endpointslices"
MANAGER = "endpointslice.kubernetes.io/managed-by"


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports, **spec}}


def slices(api: Api, name: str) -> list[dict[str, Any]]:
    return api.list(SLICES, f"kubernetes.io/service-name={name}")


def members(api: Api, name: str) -> dict[str, tuple[Any, Any, Any]]:
    """Ready, serving, terminating of each pod."""
    found = {}
    for one in slices(api, name):
        for endpoint in one["endpoints"] or ():
            states = endpoint["conditions"]
            found[endpoint["targetRef"]["name"]] = tuple(states.get(s) for s in ("ready", "serving", "terminating"))
    return found


def addresses(api: Api, name: str) -> dict[str, set[str]]:
    """Names of pods in the Endpoints, by readiness."""
    found: dict[str, set[str]] = {"addresses": set(), "notReadyAddresses": set()}
    for subset in (api.find(ENDPOINTS, name) or {}).get("subsets", ()):
        for kind, names in found.items():
            names.update(address["targetRef"]["name"] for address in subset.get(kind, ()))
    return found


def test_ready_pods_are_the_endpoints_of_a_service(api: Api, k: Kubectl) -> None:
    api.create(SERVICES, service("plain"))
    for name, image in (("plain-ready", "runs"), ("plain-unready", "unready")):
        api.create("v1/pods", pod(name, image, {"app": "plain"}))
    states = {"plain-ready": (True, True, False), "plain-unready": (False, False, False)}
    eventually(lambda: members(api, "plain") == states)
    [one] = slices(api, "plain")
    assert one["metadata"]["labels"][MANAGER] == "endpointslice-controller.k8s.io"
    assert one["metadata"]["generateName"] == "plain-" and one["addressType"] == "IPv4"
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    [owner] = one["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Service", "plain", True)
    [ready] = [e for e in one["endpoints"] if e["conditions"]["ready"]]
    running = api.get("v1/pods", "plain-ready")
    assert ready["addresses"] == [running["status"]["podIP"]] and ready["nodeName"] == running["spec"]["nodeName"]
    wanted = {"addresses": {"plain-ready"}, "notReadyAddresses": {"plain-unready"}}
    eventually(lambda: addresses(api, "plain") == wanted)
    annotations = api.get(ENDPOINTS, "plain")["metadata"]["annotations"]
    assert "endpoints.kubernetes.io/last-change-trigger-time" in annotations
    assert f"{running['status']['podIP']}:8080" in k("describe", "service", "plain")


def test_a_pod_on_its_way_out_still_serves(api: Api) -> None:
    api.create(SERVICES, service("ending"))
    api.create("v1/pods", pod("ending", "slow", terminationGracePeriodSeconds=30))
    eventually(lambda: members(api, "ending") == {"ending": (True, True, False)})
    api.delete("v1/pods", "ending")
    eventually(lambda: members(api, "ending") == {"ending": (False, True, True)})
    api.delete("v1/pods", "ending", gracePeriodSeconds=0)
    eventually(lambda: members(api, "ending") == {})


def test_a_service_may_publish_pods_that_are_not_ready(api: Api) -> None:
    api.create(SERVICES, service("published", publishNotReadyAddresses=True, clusterIP="None"))
    api.create("v1/pods", pod("published", "unready"))
    eventually(lambda: members(api, "published") == {"published": (True, False, False)})
    eventually(lambda: addresses(api, "published")["addresses"] == {"published"})
    [one] = slices(api, "published")
    assert one["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_a_port_is_found_by_its_name(api: Api) -> None:
    ports = [{"port": 80, "targetPort": "web"}]
    api.create(SERVICES, service("byname", ports=ports))
    made = pod("byname")
    made["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 9090}]
    api.create("v1/pods", made)
    eventually(lambda: members(api, "byname"))
    assert slices(api, "byname")[0]["ports"] == [{"name": "", "port": 9090, "protocol": "TCP"}]


def test_endpoints_follow_labels_selectors_and_the_service(api: Api) -> None:
    api.create(SERVICES, service("moving"))
    api.create("v1/pods", pod("moving"))
    eventually(lambda: "moving" in members(api, "moving"))
    api.patch("v1/pods", "moving", {"metadata": {"labels": {"app": "moved"}}})
    eventually(lambda: members(api, "moving") == {} and addresses(api, "moving")["addresses"] == set())
    api.patch(SERVICES, "moving", {"spec": {"selector": {"app": "moved"}}})
    eventually(lambda: "moving" in members(api, "moving"))
    api.delete(SERVICES, "moving")
    eventually(lambda: slices(api, "moving") == [] and api.find(ENDPOINTS, "moving") is None)


def test_finished_pods_are_no_endpoints(api: Api) -> None:
    api.create(SERVICES, service("done"))
    api.create("v1/pods", pod("done"))
    eventually(lambda: "done" in members(api, "done"))
    api.patch("v1/pods", "done", {"status": {"phase": "Succeeded"}}, "status")
    eventually(lambda: members(api, "done") == {})


def test_endpoints_made_by_hand_are_mirrored(api: Api) -> None:
    made = service("mirrored")
    del made["spec"]["selector"]
    api.create(SERVICES, made)
    subsets = [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "http", "port": 81}]}]
    api.create(ENDPOINTS, {"metadata": {"name": "mirrored"}, "subsets": subsets})
    [one] = eventually(lambda: slices(api, "mirrored"))
    assert one["metadata"]["labels"][MANAGER] == "endpointslicemirroring-controller.k8s.io"
    assert [e["addresses"] for e in one["endpoints"]] == [["192.0.2.7"]]
    api.delete(ENDPOINTS, "mirrored")
    eventually(lambda: slices(api, "mirrored") == [])


def test_a_slice_that_is_deleted_comes_back(api: Api) -> None:
    api.create(SERVICES, service("again"))
    api.create("v1/pods", pod("again"))
    eventually(lambda: "again" in members(api, "again"))
    [before] = slices(api, "again")
    api.delete(SLICES, before["metadata"]["name"])
    eventually(lambda: "again" in members(api, "again"))


def test_many_endpoints_are_spread_over_slices_of_a_hundred(api: Api) -> None:
    api.create(SERVICES, service("many"))
    replica_set = {"replicas": 110, "selector": {"matchLabels": {"app": "many"}}}
    template = {"metadata": {"labels": {"app": "many"}}, "spec": pod("many")["spec"]}
    api.create("apps/v1/replicasets", {"metadata": {"name": "many"}, "spec": {**replica_set, "template": template}})
    eventually(lambda: sum(state[0] for state in members(api, "many").values()) == 110, 30)
    sizes = sorted(len(one["endpoints"]) for one in slices(api, "many"))
    assert len(sizes) >= 2 and sum(sizes) == 110 and sizes[-1] <= 100
    eventually(lambda: len(addresses(api, "many")["addresses"]) == 110)
    api.delete("apps/v1/replicasets", "many", propagationPolicy="Background")


def test_the_api_servers_own_service_is_in_the_default_namespace(k: Kubectl) -> None:
    ports = "jsonpath={.spec.ports[0].name}:{.spec.ports[0].port}"
    assert k("get", "service", "kubernetes", "--namespace=default", "-o", ports) == "https:443"
    labels = "jsonpath={.items[*].metadata.labels.kubernetes\\.io/service-name}"
    assert "kubernetes" in k("get", "endpointslices", "--namespace=default", "-o", labels).split()
