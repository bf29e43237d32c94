"""Which EndpointSlices a service should have: endpoints of its pods, packed into few slices with few changes. Pure.

Endpoints with the same ports share slices. A slice that loses endpoints is filled up first; what is left over goes into
one slice that has room for all of it, else into new ones.
Follows: staging/src/k8s.io/endpointslice/{reconciler,utils}.go
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controllers.endpoints.hints import hinted
from controllers.endpoints.pods import HEADLESS, addresses, belongs, find_port, hostname, is_headless, is_ready, target
from controllers.endpoints.triggers import ANNOTATION
from controllers.runtime.kinds import SERVICES
from controllers.runtime.objects import (
    Object,
    View,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    owners_of,
    uid_of,
)
from openapi.meta.names import name_is_dns_subdomain

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
CONTROLLER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
MAX_ENDPOINTS = 100
_RESERVED = (MANAGED_BY, SERVICE_NAME, HEADLESS)

Ports = Hashable
Identity = Hashable


@dataclass(slots=True)
class Wanted:
    """The endpoints that share the same ports."""

    ports: list[Object]
    endpoints: dict[Identity, Object] = field(default_factory=dict)


@dataclass(slots=True)
class SlicePlan:
    """Slices to create (without a name), to update (whole) and to delete (as they are), and those that stay."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    unchanged: list[View] = field(default_factory=list)

    def all(self) -> list[View]:
        """The slices that there will be."""
        return [*self.create, *self.update, *self.unchanged]


def address_types(service: View) -> list[str]:
    """The families for which the service has slices."""
    spec = service["spec"]
    if spec.get("ipFamilies"):
        return list(dict.fromkeys(spec["ipFamilies"]))
    address = spec.get("clusterIP")
    if address and address != "None":
        return ["IPv6" if ":" in address else "IPv4"]
    return ["IPv4", "IPv6"]


def wanted_endpoints(
    service: View, pods: Iterable[View], nodes: Mapping[str, View | None], family: str
) -> tuple[dict[Ports, Wanted], list[str]]:
    """The endpoints by their ports, and why pods were left out. `nodes` has each pod's node, None where it is not."""
    wanted: dict[Ports, Wanted] = {}
    skipped: list[str] = []
    for pod in pods:
        if not belongs(pod, even_terminating=True):
            continue
        ports = endpoint_ports(service, pod)
        group = wanted.setdefault(ports_key(ports), Wanted(ports))
        node_name = pod["spec"].get("nodeName", "")
        node = nodes.get(node_name)
        if node is None and not service["spec"].get("publishNotReadyAddresses"):
            namespace = service["metadata"]["namespace"]
            skipped.append(
                f"skipping Pod {name_of(pod)} for Service {namespace}/{name_of(service)}: Node {node_name} Not Found"
            )
            continue
        endpoint = endpoint_of(service, pod, node, family)
        if endpoint["addresses"]:
            group.endpoints[identity(endpoint)] = endpoint
    return wanted, skipped


def endpoint_of(service: View, pod: View, node: View | None, family: str) -> Object:
    serving, terminating = is_ready(pod), is_deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: Object = {
        "addresses": addresses(pod, family),
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target(pod),
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    zone = labels_of(node).get(ZONE) if node is not None else None
    if zone:
        endpoint["zone"] = zone
    if name := hostname(pod, service):
        endpoint["hostname"] = name
    return endpoint


def endpoint_ports(service: View, pod: View) -> list[Object]:
    """The service's ports as the pod serves them."""
    ports = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is None:
            continue
        found = {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": number}
        if port.get("appProtocol"):
            found["appProtocol"] = port["appProtocol"]
        ports.append(found)
    return ports


def ports_key(ports: Iterable[View] | None) -> Ports:
    """Equal for the same ports in any order."""
    rows = ((p.get("name") or "", p.get("protocol"), p.get("port"), p.get("appProtocol") or "") for p in ports or ())
    return tuple(sorted(rows, key=repr))


def identity(endpoint: View) -> Identity:
    """What makes it the same endpoint, though it may have changed."""
    referred = endpoint.get("targetRef") or {}
    name = (referred.get("namespace", ""), referred.get("name", ""))
    return (tuple(sorted(endpoint["addresses"])), endpoint.get("hostname", ""), *name)


def plan_slices(
    service: View, wanted: Mapping[Ports, Wanted], existing: Sequence[View], family: str, maximum: int = MAX_ENDPOINTS
) -> SlicePlan:
    """The changes that lead from the `existing` slices of that family to the wanted endpoints; hints are left alone."""
    by_ports: dict[Ports, list[View]] = {}
    plan = SlicePlan()
    foreign: list[View] = []
    for one in existing:
        if _is_owned(one, service):
            by_ports.setdefault(ports_key(one.get("ports")), []).append(one)
        else:
            foreign.append(one)
    superfluous: list[View] = []
    for key, group in wanted.items():
        plan.unchanged += _plan_group(service, group, by_ports.pop(key, []), family, maximum, plan, superfluous)
    superfluous += (one for slices in by_ports.values() for one in slices)
    if len(superfluous) + len(foreign) == len(existing) and not plan.create:
        _keep_placeholder(service, family, superfluous, plan)
    _recycle(plan, superfluous)
    plan.delete += [dict(one) for one in (*superfluous, *foreign)]
    return plan


def hint(plan: SlicePlan, distribution: str | None) -> None:
    """Give the plan's endpoints the hints of a traffic distribution; without one they have none."""
    for one in (*plan.create, *plan.update):
        one["endpoints"] = [hinted(endpoint, distribution) for endpoint in one["endpoints"]]
    for other in list(plan.unchanged):
        before = other.get("endpoints") or ()
        endpoints = [hinted(endpoint, distribution) for endpoint in before]
        if any(new is not old for new, old in zip(endpoints, before, strict=True)):
            plan.unchanged.remove(other)
            plan.update.append({**other, "endpoints": endpoints})


def new_slice(service: View, ports: list[Object], family: str) -> Object:
    """An empty slice of the service."""
    metadata: Object = {
        "generateName": slice_prefix(name_of(service)),
        "namespace": service["metadata"]["namespace"],
        "labels": slice_labels(service),
        "ownerReferences": [controller_reference(SERVICES, service)],
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
        "endpoints": [],
        "ports": ports,
    }


def slice_prefix(name: str) -> str:
    prefix = f"{name}-"
    return name if name_is_dns_subdomain(prefix, True) else prefix


def slice_labels(service: View) -> dict[str, str]:
    labels = {key: value for key, value in labels_of(service).items() if key not in _RESERVED}
    if is_headless(service):
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME: name_of(service), MANAGED_BY: CONTROLLER}


def with_trigger_time(endpoint_slice: Object, moment: str) -> Object:
    """The slice as it is written: it says since when it was out of date, if that is known."""
    metadata = endpoint_slice["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ANNOTATION}
    if moment:
        annotations[ANNOTATION] = moment
    return {**endpoint_slice, "metadata": {**metadata, "annotations": annotations}}


def _plan_group(
    service: View,
    group: Wanted,
    existing: Sequence[View],
    family: str,
    maximum: int,
    plan: SlicePlan,
    superfluous: list[View],
) -> list[View]:
    """Plan the slices of one set of ports; those that stay as they are come back."""
    left = dict(group.endpoints)
    labels = slice_labels(service)
    unchanged: list[View] = []
    updated: list[Object] = []
    for one in existing:
        endpoints, changed = _still_wanted(one, left)
        if changed and not endpoints:
            superfluous.append(one)
        elif changed or labels_of(one) != labels:
            updated.append({**one, "metadata": {**one["metadata"], "labels": labels}, "endpoints": endpoints})
        else:
            unchanged.append(one)
    for one in sorted(updated, key=lambda filled: -len(filled["endpoints"])):
        _fill(one, left, maximum)
    while left:
        roomy = _closest_fit(unchanged, len(left), maximum)
        if roomy is None:
            fresh = new_slice(service, group.ports, family)
            plan.create.append(fresh)
        else:
            unchanged.remove(roomy)
            fresh = {**roomy, "endpoints": list(roomy.get("endpoints") or ())}
            updated.append(fresh)
        _fill(fresh, left, maximum)
    plan.update += updated
    return unchanged


def _still_wanted(existing: View, left: dict[Identity, Object]) -> tuple[list[Object], bool]:
    """The endpoints that stay in a slice, taken out of `left`, and whether that changes it."""
    endpoints: list[Object] = []
    before = existing.get("endpoints") or ()
    changed = False
    for endpoint in before:
        found = left.pop(identity(endpoint), None)
        if found is None:
            changed = True
            continue
        plain = {name: value for name, value in endpoint.items() if name != "hints"}
        changed = changed or plain != found
        endpoints.append(endpoint if plain == found else found)
    return endpoints, changed


def _fill(one: Object, left: dict[Identity, Object], maximum: int) -> None:
    for key in list(left)[: max(maximum - len(one["endpoints"]), 0)]:
        one["endpoints"].append(left.pop(key))


def _closest_fit(slices: Sequence[View], count: int, maximum: int) -> View | None:
    """The slice that will be fullest with so many more."""
    if count >= maximum:
        return None
    fitting = [one for one in slices if len(one.get("endpoints") or ()) + count <= maximum]
    return max(fitting, key=lambda one: len(one.get("endpoints") or ()), default=None)


def _keep_placeholder(service: View, family: str, superfluous: list[View], plan: SlicePlan) -> None:
    """A service without endpoints has one empty slice."""
    placeholder = new_slice(service, [], family)
    if len(superfluous) == 1 and _is_placeholder(superfluous[0], placeholder):
        plan.unchanged.append(superfluous.pop())
    else:
        plan.create.append(placeholder)


def _is_placeholder(one: View, placeholder: View) -> bool:
    return not one.get("endpoints") and not one.get("ports") and labels_of(one) == labels_of(placeholder)


def _recycle(plan: SlicePlan, superfluous: list[View]) -> None:
    """Where one slice is to be created and another to be deleted, the latter becomes the former."""
    while plan.create and superfluous:
        old, fresh = superfluous.pop(0), plan.create.pop()
        names = {name: old["metadata"][name] for name in ("name", "resourceVersion") if name in old["metadata"]}
        plan.update.append({**fresh, "metadata": {**fresh["metadata"], **names}})


def _is_owned(one: View, service: View) -> bool:
    return any(owner["uid"] == uid_of(service) and owner["kind"] == "Service" for owner in owners_of(one))
