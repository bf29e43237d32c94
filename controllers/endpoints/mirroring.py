"""Which slices mirror Endpoints made by hand: one per subset and address family. Pure.

Follows: pkg/controller/endpointslicemirroring/{reconciler,reconciler_helpers,utils}.go
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, SlicePlan, identity, ports_key, slice_prefix
from controllers.endpoints.triggers import ANNOTATION
from controllers.runtime.kinds import ENDPOINTS
from controllers.runtime.objects import Object, View, annotations_of, controller_reference, labels_of, name_of
from openapi.meta.names import parse_ip

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_PER_SUBSET = 1000


@dataclass(slots=True)
class _Group:
    family: str
    ports: list[Object]
    endpoints: dict[Hashable, Object] = field(default_factory=dict)


def is_mirrored(endpoints: View, service: View | None) -> bool:
    """Whether the Endpoints are made by hand, for a service that has no selector."""
    if service is None or service["spec"].get("selector") is not None:
        return False
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


def plan_mirrors(endpoints: View, existing: Sequence[View]) -> tuple[SlicePlan, int]:
    """The changes of the mirror slices, and how many addresses are too many to be mirrored."""
    groups, skipped = _groups(endpoints)
    plan = SlicePlan()
    left: dict[Hashable, list[View]] = {}
    for one in existing:
        left.setdefault((one.get("addressType"), ports_key(one.get("ports"))), []).append(one)
    for key, group in groups.items():
        fresh = _mirror(endpoints, group)
        old = left[key].pop(0) if left.get(key) else None
        if old is None:
            plan.create.append(fresh)
        elif not _is_same(old, fresh):
            plan.update.append(_renamed(fresh, old))
    plan.delete = [dict(one) for slices in left.values() for one in slices]
    _recycle(plan)
    return plan, skipped


def _groups(endpoints: View) -> tuple[dict[Hashable, _Group], int]:
    groups: dict[Hashable, _Group] = {}
    skipped = 0
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        added = 0
        entries = [(address, True) for address in subset.get("addresses") or ()]
        entries += [(address, False) for address in subset.get("notReadyAddresses") or ()]
        for address, ready in entries:
            if added >= MAX_PER_SUBSET:
                skipped += 1
                continue
            ip = parse_ip(address["ip"])
            if ip is None:
                continue
            family = f"IPv{ip.version}"
            group = groups.setdefault((family, ports_key(ports)), _Group(family, ports))
            # Slices want the usual form, Endpoints may have any.
            endpoint = _endpoint({**address, "ip": str(ip)}, ready)
            group.endpoints[identity(endpoint)] = endpoint
            added += 1
    return groups, skipped


def _mirror(endpoints: View, group: _Group) -> Object:
    name = name_of(endpoints)
    metadata: Object = {
        "generateName": slice_prefix(name),
        "namespace": endpoints["metadata"]["namespace"],
        "labels": {**labels_of(endpoints), SERVICE_NAME: name, MANAGED_BY: CONTROLLER},
        "ownerReferences": [controller_reference(ENDPOINTS, endpoints)],
    }
    annotations = {k: v for k, v in annotations_of(endpoints).items() if k not in (ANNOTATION, _LAST_APPLIED)}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": group.family,
        "endpoints": list(group.endpoints.values()),
        "ports": group.ports,
    }


def _is_same(old: View, fresh: View) -> bool:
    """Whether the slice says what it should; the order of endpoints does not matter."""
    if labels_of(old) != labels_of(fresh) or annotations_of(old) != annotations_of(fresh):
        return False
    before = {identity(endpoint): endpoint for endpoint in old.get("endpoints") or ()}
    return before == {identity(endpoint): endpoint for endpoint in fresh["endpoints"]}


def _renamed(fresh: Object, old: View) -> Object:
    """The fresh slice in place of an old one."""
    metadata = {name: value for name, value in fresh["metadata"].items() if name != "generateName"}
    metadata |= {name: old["metadata"][name] for name in ("name", "resourceVersion")}
    return {**fresh, "metadata": metadata}


def _recycle(plan: SlicePlan) -> None:
    """Where one slice is to be created and another of its family to be deleted, the latter becomes the former."""
    for old in list(plan.delete):
        fresh = next((one for one in plan.create if one["addressType"] == old.get("addressType")), None)
        if fresh is not None:
            plan.create.remove(fresh)
            plan.delete.remove(old)
            plan.update.append(_renamed(fresh, old))


def _endpoint(address: View, ready: bool) -> Object:
    endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint


def _port(port: View) -> Object:
    found: Object = {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
    if port.get("appProtocol"):
        found["appProtocol"] = port["appProtocol"]
    return found
