"""Hints by the zones' CPUs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from controllers.endpoints.slices import SlicePlan
from controllers.endpoints.topology import NoHints, cpu_shares, give_hints, is_wanted, transfers, zone_shares

Object = dict[str, Any]


def node(zone: str, cpu: str, *, ready: bool = True, **labels: str) -> Object:
    labels = {"topology.kubernetes.io/zone": zone, **labels} if zone else labels
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": {"labels": labels}, "status": {"allocatable": {"cpu": cpu}, "conditions": conditions}}


def endpoints(*zones: str) -> list[Object]:
    return [{"addresses": [f"10.0.0.{n}"], "conditions": {"ready": True}, "zone": zone} for n, zone in enumerate(zones)]


def hints(plan: SlicePlan) -> Counter[str]:
    rows = (endpoint for one in plan.all() for endpoint in one["endpoints"])
    return Counter(row["hints"]["forZones"][0]["name"] for row in rows)


def test_shares_follow_the_cpus_of_ready_nodes() -> None:
    assert cpu_shares([node("a", "1"), node("b", "3"), node("b", "9", ready=False)]) == {"a": 0.25, "b": 0.75}


def test_no_shares_where_a_zone_is_unknown_or_alone() -> None:
    assert cpu_shares([node("a", "1"), node("", "3")]) == {}
    assert cpu_shares([node("a", "1"), node("a", "3")]) == {}


def test_endpoints_are_lent_to_zones_that_have_too_few() -> None:
    plan = SlicePlan(create=[{"endpoints": endpoints("a", "a", "a", "a", "a", "b")}])
    give_hints(plan, {"a": 0.5, "b": 0.5})
    assert hints(plan) == {"a": 3, "b": 3}


def test_slices_with_fitting_hints_stay() -> None:
    plan = SlicePlan(create=[{"endpoints": endpoints("a", "b")}])
    give_hints(plan, {"a": 0.5, "b": 0.5})
    again = SlicePlan(unchanged=list(plan.create))
    give_hints(again, {"a": 0.5, "b": 0.5})
    assert (len(again.unchanged), again.update) == (1, [])


@pytest.mark.parametrize(
    ("ratios", "zones", "why"),
    [
        ({}, "ab", "Insufficient Node information"),
        ({"a": 0.5, "b": 0.5}, "a", "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        ({"a": 0.67, "b": 0.33}, "ab", "Unable to allocate minimum required endpoints"),
        ({"a": 0.5, "b": 0.5}, ["a", ""], "One or more endpoints do not have a zone specified"),
    ],
    ids=["no-nodes", "too-few", "overloaded", "no-zone"],
)
def test_reasons_against_hints(ratios: dict[str, float], zones: Any, why: str) -> None:
    with pytest.raises(NoHints) as refused:
        give_hints(SlicePlan(create=[{"endpoints": endpoints(*zones)}]), ratios)
    assert str(refused.value).startswith(why)


def test_nothing_is_moved_for_less_than_half_an_endpoint() -> None:
    shares = zone_shares({"a": 0.55, "b": 0.45}, 10)
    assert transfers(shares, {"a": 6, "b": 4}) == (Counter(), Counter())


def test_older_annotation_goes_first() -> None:
    old, new = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    assert is_wanted({"metadata": {"annotations": {new: "Auto"}}})
    assert not is_wanted({"metadata": {"annotations": {new: "Auto", old: "disabled"}}})
