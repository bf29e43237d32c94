"""Packing endpoints into slices."""

from __future__ import annotations

from typing import Any

from controllers.endpoints.slices import hint, plan_slices, ports_key, wanted_endpoints, with_trigger_time

Object = dict[str, Any]
NODES = {"node": {"metadata": {"name": "node", "labels": {"topology.kubernetes.io/zone": "z"}}}}


def service(**spec: Any) -> Object:
    spec = {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "selector": {"a": "b"}, "ports": [{"port": 80}], **spec}
    return {"metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": spec}


def pod(name: str, ip: str, *, ready: bool = True, **metadata: Any) -> Object:
    status = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    metadata = {"name": name, "namespace": "n", "uid": f"uid-{name}", **metadata}
    return {"metadata": metadata, "spec": {"nodeName": "node", "containers": []}, "status": status}


def planned(owner: Object, pods: list[Object], existing: list[Object] | None = None, maximum: int = 100) -> Any:
    wanted, _ = wanted_endpoints(owner, pods, NODES, "IPv4")
    plan = plan_slices(owner, wanted, existing or [], "IPv4", maximum)
    hint(plan, owner["spec"].get("trafficDistribution"))
    return plan


def stored(slices: list[Object]) -> list[Object]:
    return [
        {**one, "metadata": {**one["metadata"], "name": f"s-{index}", "resourceVersion": "1"}}
        for index, one in enumerate(slices)
    ]


def test_first_plan_creates_and_the_second_changes_nothing() -> None:
    owner, pods = service(), [pod("p", "10.1.0.1"), pod("q", "10.1.0.2")]
    first = planned(owner, pods)
    assert [len(one["endpoints"]) for one in first.create] == [2]
    assert first.create[0]["endpoints"][0]["zone"] == "z"
    second = planned(owner, pods, stored(first.create))
    assert (second.create, second.update, second.delete) == ([], [], [])


def test_too_many_endpoints_make_more_slices() -> None:
    pods = [pod(f"p{index}", f"10.1.0.{index}") for index in range(5)]
    assert sorted(len(one["endpoints"]) for one in planned(service(), pods, maximum=2).create) == [1, 2, 2]


def test_new_endpoint_goes_into_the_slice_that_changes_anyway() -> None:
    pods = [pod(f"p{index}", f"10.1.0.{index}") for index in range(4)]
    existing = stored(planned(service(), pods, maximum=2).create)
    plan = planned(service(), [*pods[1:], pod("new", "10.1.0.9")], existing, maximum=2)
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (0, 1, 0)


def test_service_without_pods_keeps_one_empty_slice() -> None:
    first = planned(service(), [])
    assert [(one["endpoints"], one["ports"]) for one in first.create] == [([], [])]
    second = planned(service(), [], stored(first.create))
    assert (second.create, second.update, second.delete) == ([], [], [])


def test_last_pod_gone_turns_its_slice_into_the_empty_one() -> None:
    existing = stored(planned(service(), [pod("p", "10.1.0.1")]).create)
    plan = planned(service(), [], existing)
    assert (plan.create, plan.delete) == ([], [])
    assert [(one["metadata"]["name"], one["endpoints"]) for one in plan.update] == [("s-0", [])]


def test_terminating_pod_serves_but_is_not_ready() -> None:
    plan = planned(service(), [pod("p", "10.1.0.1", deletionTimestamp="t")])
    assert plan.create[0]["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_pod_on_an_unknown_node_is_left_out_and_named() -> None:
    lost = pod("p", "10.1.0.1")
    lost["spec"]["nodeName"] = "gone"
    wanted, skipped = wanted_endpoints(service(), [lost], {"gone": None}, "IPv4")
    assert skipped == ["skipping Pod p for Service n/s: Node gone Not Found"]
    assert [group.endpoints for group in wanted.values()] == [{}]


def test_hints_come_and_go_with_the_distribution() -> None:
    near, pods = service(trafficDistribution="PreferSameZone"), [pod("p", "10.1.0.1")]
    existing = stored(planned(near, pods).create)
    assert existing[0]["endpoints"][0]["hints"] == {"forZones": [{"name": "z"}]}
    assert planned(near, pods, existing).update == []
    plan = planned(service(), pods, existing)
    assert ["hints" in endpoint for one in plan.update for endpoint in one["endpoints"]] == [False]


def test_slice_of_an_earlier_service_of_that_name_is_replaced() -> None:
    existing = stored(planned(service(), [pod("p", "10.1.0.1")]).create)
    existing[0]["metadata"]["ownerReferences"][0]["uid"] = "other"
    plan = planned(service(), [pod("p", "10.1.0.1")], existing)
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (1, 0, 1)


def test_ports_in_another_order_are_the_same_ports() -> None:
    one, two = {"name": "a", "port": 1, "protocol": "TCP"}, {"name": "b", "port": 2, "protocol": "TCP"}
    assert ports_key([one, two]) == ports_key([two, one]) != ports_key([one])


def test_trigger_time_is_taken_away_when_there_is_none() -> None:
    one = with_trigger_time({"metadata": {}}, "t")
    assert with_trigger_time(one, "")["metadata"]["annotations"] == {}
