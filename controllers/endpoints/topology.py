"""Hints by the zones' share of the nodes' CPU, as the annotation `service.kubernetes.io/topology-mode: Auto` asks for.

Each zone gets about as many endpoints as its CPUs are of all, or no hints are given at all: where a zone would be
overloaded, traffic had better go everywhere. Pure.
Follows: staging/src/k8s.io/endpointslice/topologycache/{topologycache,utils}.go
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controllers.endpoints.slices import SlicePlan
from controllers.runtime.objects import Object, View, annotations_of, condition_of, labels_of
from openapi.meta.quantity import Quantity

ZONE = "topology.kubernetes.io/zone"
OVERLOAD = 0.2
"""How much more than its share of the traffic a zone's endpoints may get."""

NO_NODE_INFO = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
TOO_FEW = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
NO_ZONE = "One or more endpoints do not have a zone specified"
NONE_GIVEN = "No hints allocated for zones"

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@dataclass(frozen=True, slots=True)
class Share:
    """How many endpoints a zone needs, should have, and may have."""

    minimum: int
    desired: float
    maximum: int


class NoHints(Exception):
    """Why hints cannot be given."""


def is_wanted(service: View) -> bool:
    """Whether the service asks for such hints; the older of the two annotations goes first."""
    annotations = annotations_of(service)
    old, new = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    return annotations.get(old, annotations.get(new)) in ("Auto", "auto")


def cpu_of(node: View) -> tuple[str, int] | None:
    """A node's zone and CPUs in thousandths; None for nodes that do not count."""
    ready = condition_of(node, "Ready")
    if any(label in labels_of(node) for label in _CONTROL_PLANE) or ready is None or ready["status"] != "True":
        return None
    cpu = ((node.get("status") or {}).get("allocatable") or {}).get("cpu", 0)
    return labels_of(node).get(ZONE, ""), Quantity.parse(cpu).milli


def cpu_shares(nodes: Iterable[View]) -> Mapping[str, float]:
    """Each zone's part of the CPUs of ready nodes; empty if that cannot be said, or there is only one zone."""
    cpus: dict[str, int] = {}
    for zone, cpu in filter(None, map(cpu_of, nodes)):
        if not zone or not cpu:
            return {}
        cpus[zone] = cpus.get(zone, 0) + cpu
    total = sum(cpus.values())
    return {zone: cpu / total for zone, cpu in cpus.items()} if len(cpus) > 1 else {}


def give_hints(plan: SlicePlan, ratios: Mapping[str, float]) -> None:
    """Put hints on all endpoints of the plan; slices whose hints still fit stay as they are. Raises NoHints."""
    shares = zone_shares(ratios, sum(1 for _ in _ready(plan.all())))
    given = _keep_fitting(plan, shares)
    changing = [*plan.create, *plan.update]
    for one in changing:
        one["endpoints"] = [dict(endpoint) for endpoint in one["endpoints"]]
    for endpoint in _ready(changing):
        if not endpoint.get("zone"):
            raise NoHints(NO_ZONE)
        given[endpoint["zone"]] += 1
        endpoint["hints"] = {"forZones": [{"name": endpoint["zone"]}]}
    _even_out(changing, *transfers(shares, given))
    if not given:
        raise NoHints(NONE_GIVEN)


def zone_shares(ratios: Mapping[str, float], count: int) -> Mapping[str, Share]:
    """How `count` endpoints are to be spread. Raises NoHints."""
    if not ratios:
        raise NoHints(NO_NODE_INFO)
    counts = f"({count} endpoints, {len(ratios)} zones)"
    if len(ratios) > count:
        raise NoHints(f"{TOO_FEW} {counts}")
    desired = {zone: ratio * count for zone, ratio in ratios.items()}
    least = {zone: math.ceil(share / (1 + OVERLOAD)) for zone, share in desired.items()}
    spare = count - sum(least.values())
    if spare < 0:
        raise NoHints(f"{OVERLOADED} {counts}")
    return {zone: Share(least[zone], max(desired[zone], least[zone]), least[zone] + spare) for zone in ratios}


def transfers(shares: Mapping[str, Share], given: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """How many endpoints zones give away and take over, so that each comes near its share."""
    too_many = {zone: given.get(zone, 0) - share.desired for zone, share in shares.items()}
    giving: Counter[str] = Counter()
    taking: Counter[str] = Counter()
    while True:
        giver = max(too_many, key=too_many.__getitem__)
        taker = min(too_many, key=too_many.__getitem__)
        surplus, need = too_many[giver], -too_many[taker]
        if surplus < 0.5 or need < 0.5 or (surplus < 1 and need < 1):
            return giving, taking
        giving[giver] += 1
        taking[taker] += 1
        too_many[giver] -= 1
        too_many[taker] += 1


def _keep_fitting(plan: SlicePlan, shares: Mapping[str, Share]) -> Counter[str]:
    """Leave slices alone whose hints fit the shares; the others are to be updated. How many hints are kept by zone."""
    given: Counter[str] = Counter()
    for one in list(plan.unchanged):
        hints = _hints_by_zone(one, given, shares)
        if hints is None:
            plan.unchanged.remove(one)
            plan.update.append({**one, "endpoints": list(one.get("endpoints") or ())})
        else:
            given += hints
    return given


def _hints_by_zone(one: View, given: Counter[str], shares: Mapping[str, Share]) -> Counter[str] | None:
    """The hints of a slice; None if they do not fit."""
    found: Counter[str] = Counter()
    for endpoint in _ready((one,)):
        zones = (endpoint.get("hints") or {}).get("forZones") or ()
        if not zones or any(zone["name"] not in shares for zone in zones):
            return None
        found.update(zone["name"] for zone in zones)
    fits = all(count + given[zone] <= shares[zone].maximum for zone, count in found.items())
    return found if fits else None


def _even_out(slices: Iterable[View], giving: Counter[str], taking: Counter[str]) -> None:
    """Let endpoints of zones that have too many serve zones that have too few."""
    for endpoint in _ready(slices):
        taker = next((zone for zone, count in taking.items() if count > 0), None)
        if taker is None:
            return
        if giving[endpoint["zone"]] > 0:
            giving[endpoint["zone"]] -= 1
            taking[taker] -= 1
            endpoint["hints"] = {"forZones": [{"name": taker}]}


def _ready(slices: Iterable[View]) -> Iterator[Object]:
    for one in slices:
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready"):
                yield endpoint
