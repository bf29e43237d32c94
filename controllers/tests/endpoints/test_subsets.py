"""Endpoints' subsets, trigger times and mirror slices."""

from __future__ import annotations

from typing import Any

from controllers.endpoints.mirroring import is_mirrored, plan_mirrors
from controllers.endpoints.subsets import Backend, repack, truncated
from controllers.endpoints.triggers import TriggerTimes

Object = dict[str, Any]


def offer(ip: str, port: int, *, ready: bool = True) -> Backend:
    return Backend({"ip": ip}, {"port": port, "protocol": "TCP"}, ready)


def test_addresses_with_the_same_ports_share_a_subset() -> None:
    subsets = repack([offer("10.0.0.2", 80), offer("10.0.0.2", 81), offer("10.0.0.1", 80), offer("10.0.0.1", 81)])
    assert len(subsets) == 1
    assert [address["ip"] for address in subsets[0]["addresses"]] == ["10.0.0.1", "10.0.0.2"]
    assert [port["port"] for port in subsets[0]["ports"]] == [80, 81]


def test_different_ports_make_different_subsets() -> None:
    assert len(repack([offer("10.0.0.1", 80), offer("10.0.0.2", 90)])) == 2


def test_unready_addresses_stand_apart() -> None:
    (subset,) = repack([offer("10.0.0.1", 80), offer("10.0.0.2", 80, ready=False)])
    assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.0.0.2"]


def test_unready_addresses_are_cut_before_ready_ones() -> None:
    subsets = repack([*(offer(f"10.0.0.{n}", 80) for n in range(3)), offer("10.0.1.1", 80, ready=False)])
    cut, was_cut = truncated(subsets, 3)
    assert was_cut
    assert len(cut[0]["addresses"]) == 3
    assert "notReadyAddresses" not in cut[0]


def pod(name: str, since: str) -> Object:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": since}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def test_trigger_time_is_the_earliest_change_since_the_last_turn() -> None:
    times = TriggerTimes()
    service = {"metadata": {"name": "s", "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    assert times.next(service, [pod("p", "2026-01-02T00:00:00Z")]) == "2026-01-01T00:00:00Z"
    assert times.next(service, [pod("p", "2026-01-02T00:00:00Z")]) == ""
    later = [pod("p", "2026-01-04T00:00:00Z"), pod("q", "2026-01-03T00:00:00Z")]
    assert times.next(service, later) == "2026-01-03T00:00:00Z"


def endpoints(*ips: str, **metadata: Any) -> Object:
    subset = {"addresses": [{"ip": ip} for ip in ips], "ports": [{"port": 80, "protocol": "TCP"}]}
    return {"metadata": {"name": "s", "namespace": "n", "uid": "u", **metadata}, "subsets": [subset]}


def test_each_family_has_its_mirror_slice() -> None:
    plan, _ = plan_mirrors(endpoints("10.0.0.1", "FD00:0::1"), [])
    made = sorted((one["addressType"], one["endpoints"][0]["addresses"]) for one in plan.create)
    assert made == [("IPv4", ["10.0.0.1"]), ("IPv6", ["fd00::1"])]


def test_mirror_that_says_the_same_is_left_alone() -> None:
    (fresh,) = plan_mirrors(endpoints("10.0.0.1"), [])[0].create
    old = {**fresh, "metadata": {**fresh["metadata"], "name": "s-x", "resourceVersion": "1"}}
    same, _ = plan_mirrors(endpoints("10.0.0.1"), [old])
    assert (same.create, same.update, same.delete) == ([], [], [])
    changed, _ = plan_mirrors(endpoints("10.0.0.2"), [old])
    assert [one["metadata"]["name"] for one in changed.update] == ["s-x"]


def test_services_with_a_selector_and_skipped_endpoints_are_not_mirrored() -> None:
    plain: Object = {"spec": {}}
    assert is_mirrored(endpoints("10.0.0.1"), plain)
    assert not is_mirrored(endpoints("10.0.0.1"), {"spec": {"selector": {"a": "b"}}})
    assert not is_mirrored(endpoints("10.0.0.1"), None)
    assert not is_mirrored(endpoints("10.0.0.1", labels={"endpointslice.kubernetes.io/skip-mirror": "true"}), plain)
