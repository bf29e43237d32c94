"""Services: their strategy, with addresses and ports from the allocator that it is built with.

`prepare` settles everything that needs no other object (doubled fields, families, what a changed type leaves behind);
`begin_write` then takes addresses and ports, for invalid services too, to tell first what cannot be had.
Follows: pkg/registry/core/service/strategy.go, pkg/api/service/warnings.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.addresses import cidr_warnings, ip_warnings
from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.core.allocation import ServiceAllocator
from apiserver.resources.core.node_ports import TAKEN
from apiserver.resources.core.service_families import align_cluster_ips, keep_allocated, settle_families
from apiserver.resources.core.service_spec import (
    NONE,
    cluster_ips,
    families,
    is_external,
    kind_of,
    may_have_node_ports,
    needs_cluster_ip,
    needs_health_port,
    node_ports,
)
from apiserver.resources.core.service_validation import (
    TOPOLOGY_HINTS,
    TOPOLOGY_MODE,
    validate_balancer_status,
    validate_service,
    validate_service_change,
)
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Finish, Object, StatusOf, Strategy, WriteContext
from openapi.meta import names, status
from openapi.meta.field import FieldError, invalid


class Services(Strategy):
    allow_create_on_update = True
    returns_deleted = True
    reset_fields = (("status",),)
    columns = columns.SERVICE

    def __init__(self, allocator: ServiceAllocator) -> None:
        self._allocator = allocator
        self.subresources = {"status": ServiceStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj.setdefault("spec", {})
        before = None if old is None else old["spec"]
        if before is not None:
            keep_allocated(spec, before)
        align_cluster_ips(spec, before)
        settle_families(obj, old, self._allocator.families)
        if before is None:
            refuse_shared_node_ports(obj)
            obj["status"] = {"loadBalancer": {}}
            return
        assert old is not None
        obj["status"] = old.get("status") or {"loadBalancer": {}}
        drop_by_type(spec, before)
        if kind_of(spec) != "LoadBalancer" and obj["status"].get("loadBalancer"):
            obj["status"] = {**obj["status"], "loadBalancer": {}}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        stored = None
        if old is not None:
            stored = old["spec"]
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from validate_service_change(obj["spec"], stored)
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_label)
        yield from validate_service(obj, stored)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return service_warnings(obj)

    def fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj["spec"]
        ips = cluster_ips(spec)
        selector = spec.get("selector") or {}
        return [
            meta["name"],
            kind_of(spec),
            ips[0] if ips else "<none>",
            _external_cell(obj),
            _ports_cell(spec),
            age(meta.get("creationTimestamp"), now),
            ",".join(f"{key}={selector[key]}" for key in sorted(selector)) or "<none>",
        ]

    async def begin_write(self, obj: Object, old: Object | None, context: WriteContext) -> Finish | None:
        return await self._allocator.allocate(obj, old, context)

    async def after_delete(self, obj: Object) -> None:
        await self._allocator.release(obj)


def build_services(allocator: ServiceAllocator) -> Services:
    return Services(allocator)


class ServiceStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        balancer = (obj.get("status") or {}).get("loadBalancer") or {}
        stored = (old.get("status") or {}).get("loadBalancer")
        yield from validate_balancer_status(balancer, kind_of(obj["spec"]), stored)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        balancer = (obj.get("status") or {}).get("loadBalancer") or {}
        for i, point in enumerate(balancer.get("ingress") or ()):
            yield from ip_warnings(point.get("ip", ""), f"status.loadBalancer.ingress[{i}]")


def refuse_shared_node_ports(service: Object) -> None:
    """A new service gets each port of the nodes for one port number only; that is found out before anything else."""
    spec = service["spec"]
    if not may_have_node_ports(spec):
        return
    owners: dict[int, int] = {}
    for i, port in enumerate(spec.get("ports") or ()):
        wanted = port.get("nodePort", 0)
        if wanted and owners.setdefault(wanted, port.get("port", 0)) != port.get("port", 0):
            error = invalid(f"spec.ports[{i}].nodePort", wanted, TAKEN)
            raise status.invalid("", "Service", service["metadata"].get("name", ""), [error])


def drop_by_type(spec: Object, old: Object) -> None:
    """What the server filled in for the old type and the new one has no use for goes, unless the client changed it."""
    if needs_cluster_ip(old) and not needs_cluster_ip(spec):
        if old.get("clusterIP") == spec.get("clusterIP") and cluster_ips(old) == cluster_ips(spec):
            _drop(spec, "clusterIP", "clusterIPs")
        if families(old) == families(spec):
            _drop(spec, "ipFamilies")
        if old.get("ipFamilyPolicy") == spec.get("ipFamilyPolicy"):
            _drop(spec, "ipFamilyPolicy")
    if may_have_node_ports(old) and not may_have_node_ports(spec) and set(node_ports(spec)) <= set(node_ports(old)):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    applies: tuple[tuple[str, bool], ...] = (
        ("healthCheckNodePort", needs_health_port(old) and not needs_health_port(spec)),
        ("allocateLoadBalancerNodePorts", kind_of(old) == "LoadBalancer" != kind_of(spec)),
        ("loadBalancerClass", kind_of(old) == "LoadBalancer" != kind_of(spec)),
        ("externalTrafficPolicy", is_external(old) and not is_external(spec)),
        ("internalTrafficPolicy", needs_cluster_ip(old) and not needs_cluster_ip(spec)),
    )
    for field, dropped in applies:
        if dropped and old.get(field) == spec.get(field):
            _drop(spec, field)


def _drop(spec: Object, *fields: str) -> None:
    for field in fields:
        spec.pop(field, None)


def service_warnings(service: Object) -> Iterator[str]:
    spec = service["spec"]
    kind, external = kind_of(spec), spec.get("externalIPs") or ()
    if TOPOLOGY_HINTS in (service["metadata"].get("annotations") or ()):
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    if spec.get("clusterIP") not in (None, "", NONE):
        for i, ip in enumerate(cluster_ips(spec)):
            yield from ip_warnings(ip, f"spec.clusterIPs[{i}]")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == NONE
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if external:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for i, ip in enumerate(external):
        yield from ip_warnings(ip, f"spec.externalIPs[{i}]")
    if external and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("loadBalancerIP"):
        yield from ip_warnings(spec["loadBalancerIP"], "spec.loadBalancerIP")
    for i, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from cidr_warnings(cidr, f"spec.loadBalancerSourceRanges[{i}]")
    if kind == "ExternalName" and external:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _external_cell(service: Object) -> str:
    spec = service["spec"]
    kind, external = kind_of(spec), spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or "<none>"
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return "<unknown>"
    ingresses = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = [ingress.get("ip") or ingress.get("hostname") for ingress in ingresses]
    if external:
        return ",".join([*sorted({name for name in balanced if name}), *external])
    return ",".join(sorted({name for name in balanced if name})) or "<pending>"


def _ports_cell(spec: Object) -> str:
    return ",".join(_port_cell(port) for port in spec.get("ports") or ()) or "<none>"


def _port_cell(port: Object) -> str:
    number = f"{port.get('port', 0)}:{port['nodePort']}" if port.get("nodePort") else str(port.get("port", 0))
    return f"{number}/{port.get('protocol', '')}"
