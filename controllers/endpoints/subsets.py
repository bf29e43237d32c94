"""The subsets of an Endpoints object: addresses that share ports, together. Pure.

Follows: pkg/controller/endpoint/endpoints_controller.go, pkg/api/v1/endpoints/util.go RepackSubsets
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from controllers.endpoints.pods import HEADLESS, addresses, belongs, find_port, hostname, is_headless, is_ready, target
from controllers.runtime.objects import Object, View, labels_of

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MAX_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class Backend:
    """One pod at one port; without `port` for headless services that have none."""

    address: Object
    port: Object | None
    ready: bool


def backends(service: View, pods: Iterable[View]) -> Iterable[Backend]:
    """All that the service's pods offer, those that are not ready too."""
    spec = service["spec"]
    anyway = bool(spec.get("publishNotReadyAddresses"))
    for pod in pods:
        address = _address(service, pod) if belongs(pod, even_terminating=anyway) else None
        if address is None:
            continue
        ready = anyway or is_ready(pod)
        if not spec.get("ports") and spec.get("clusterIP") == "None":
            yield Backend(address, None, ready)
        for port in spec.get("ports") or ():
            number = find_port(pod, port)
            if number is not None:
                yield Backend(address, _port(port, number), ready)


def repack(offers: Iterable[Backend]) -> list[Object]:
    """Subsets in which every address has every port, in a stable order."""
    hosts: dict[Hashable, dict[Hashable, tuple[Object, bool]]] = {}
    ports: dict[Hashable, Object | None] = {}
    for offer in offers:
        key = _sort_key(offer.port)
        ports[key] = offer.port
        hosts.setdefault(key, {})[_address_key(offer.address)] = (offer.address, offer.ready)
    groups: dict[Hashable, list[Hashable]] = {}
    for key, found in hosts.items():
        same = frozenset((address, ready) for address, (_, ready) in found.items())
        groups.setdefault(same, []).append(key)
    subsets = []
    for keys in groups.values():
        shared = sorted(hosts[keys[0]].values(), key=lambda one: _address_key(one[0]))
        subset: Object = {
            "addresses": [address for address, ready in shared if ready],
            "notReadyAddresses": [address for address, ready in shared if not ready],
            "ports": [port for key in sorted(keys, key=repr) if (port := ports[key]) is not None],
        }
        subsets.append({name: value for name, value in subset.items() if value})
    return sorted(subsets, key=repr)


def truncated(subsets: Sequence[Object], maximum: int = MAX_ADDRESSES) -> tuple[list[Object], bool]:
    """At most so many addresses, ready ones before others, each subset its share; and whether any were left out."""
    ready = sum(len(subset.get("addresses", ())) for subset in subsets)
    others = sum(len(subset.get("notReadyAddresses", ())) for subset in subsets)
    if ready + others <= maximum:
        return list(subsets), False
    cut, total, room = (
        ("addresses", ready, maximum) if ready > maximum else ("notReadyAddresses", others, maximum - ready)
    )
    left, result = room, []
    for subset in subsets:
        before = subset.get(cut, [])
        share = min(math.ceil(len(before) / total * room), left)
        kept = {**subset, cut: before[:share]}
        if cut == "addresses":
            kept["notReadyAddresses"] = []
        left -= len(kept[cut])
        result.append({name: value for name, value in kept.items() if value})
    return result, True


def endpoints_labels(service: View) -> dict[str, str]:
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    return {**labels, MANAGED_BY: CONTROLLER}


def _address(service: View, pod: View) -> Object | None:
    """The pod's address in the service's first family; None if it has none."""
    families = service["spec"].get("ipFamilies")
    if families:
        family = families[0]
    else:
        address = service["spec"].get("clusterIP") or ""
        known = pod["status"].get("podIP", "") if address in ("", "None") else address
        family = "IPv6" if ":" in known else "IPv4"
    found = addresses(pod, family)
    if not found:
        return None
    entry: Object = {"ip": found[0], "targetRef": target(pod)}
    if pod["spec"].get("nodeName"):
        entry["nodeName"] = pod["spec"]["nodeName"]
    if name := hostname(pod, service):
        entry["hostname"] = name
    return entry


def _port(port: View, number: int) -> Object:
    found: Object = {"port": number, "protocol": port.get("protocol", "TCP")}
    for name in ("name", "appProtocol"):
        if port.get(name):
            found[name] = port[name]
    return found


def _address_key(address: View) -> tuple[str, str]:
    return (address["ip"], (address.get("targetRef") or {}).get("uid", ""))


def _sort_key(port: View | None) -> Hashable:
    return tuple(sorted((port or {}).items()))
