"""What is wrong with a service, alone and against its stored form.

Follows: pkg/apis/core/validation/validation.go ValidateService, ValidateServiceUpdate, ValidateLoadBalancerStatus
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from apiserver.resources.addresses import is_ipv6_text, non_special_ip, strict_cidr, strict_ip
from apiserver.resources.core.service_spec import (
    IPV4,
    IPV6,
    NONE,
    PREFER,
    REQUIRE,
    SINGLE,
    cluster_ips,
    families,
    is_external,
    is_headless,
    kind_of,
    needs_health_port,
)
from apiserver.resources.field_rules import first_use, named, one_of, port_number, port_number_or_name, protocol
from apiserver.resources.go_values import GoField, go_struct
from openapi.meta import names
from openapi.meta.field import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    not_supported_listed,
    required,
)
from openapi.meta.metadata import validate_labels

Object = dict[str, Any]

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
MAX_AFFINITY_S = 86400
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_BALANCED_ONLY = "may only be used when `type` is 'LoadBalancer'"
_SET = "may not change once set"
_PORT_KEY: tuple[GoField, ...] = (
    ("Name", "", ""),
    ("Protocol", "protocol", ""),
    ("AppProtocol", "", None),
    ("Port", "port", 0),
    ("TargetPort", "", 0),
    ("NodePort", "", 0),
)


def validate_service(service: Object, stored: Object | None = None) -> Iterator[FieldError]:
    """The rules besides metadata; `stored` is the old spec, whose addresses may stay in an older form."""
    spec = service.get("spec") or {}
    annotations = service["metadata"].get("annotations") or {}
    mode, hints = annotations.get(TOPOLOGY_MODE), annotations.get(TOPOLOGY_HINTS)
    if mode is not None and hints is not None and mode != hints:
        text = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        yield invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", mode, text)
    kind = kind_of(spec)
    ports = spec.get("ports") or ()
    if not ports and not is_headless(spec) and kind != "ExternalName":
        yield required("spec.ports")
    yield from _validate_by_type(spec, kind)
    seen: set[str] = set()
    for i, port in enumerate(ports):
        yield from _validate_port(port, f"spec.ports[{i}]", seen, need_name=len(ports) > 1)
    if spec.get("selector"):
        yield from validate_labels(spec["selector"], "spec.selector")
    yield from _validate_affinity(spec)
    yield from validate_cluster_ips(spec, () if stored is None else cluster_ips(stored))
    old_external = () if stored is None else stored.get("externalIPs") or ()
    for i, ip in enumerate(spec.get("externalIPs") or ()):
        problems = list(strict_ip(ip, f"spec.externalIPs[{i}]", old_external))
        yield from problems or non_special_ip(ip, f"spec.externalIPs[{i}]")
    if not kind:
        yield required("spec.type")
    elif kind not in TYPES:
        yield not_supported("spec.type", kind, TYPES)
    yield from _validate_port_numbers(ports, kind)
    yield from _validate_source_ranges(spec, annotations, kind, stored)
    yield from _validate_balancer(spec, kind)
    yield from _validate_traffic(spec, kind)


def _validate_by_type(spec: Object, kind: str) -> Iterator[FieldError]:
    if kind in ("LoadBalancer", "NodePort"):
        if is_headless(spec):
            yield invalid("spec.clusterIPs[0]", NONE, f"may not be set to 'None' for {kind} services")
        return
    if kind != "ExternalName":
        return
    for field in ("clusterIPs", "ipFamilies"):
        if spec.get(field):
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    if "ipFamilyPolicy" in spec:
        yield forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if name:
        yield from named(names.is_dns1123_subdomain, name, "spec.externalName")
    else:
        yield required("spec.externalName")


def _validate_port(port: Object, path: str, seen: set[str], *, need_name: bool) -> Iterator[FieldError]:
    name = port.get("name", "")
    if name:
        yield from named(names.is_dns1123_label, name, f"{path}.name")
        yield from first_use(name, seen, f"{path}.name")
    elif need_name:
        yield required(f"{path}.name")
    yield from port_number(port.get("port", 0), f"{path}.port")
    yield from protocol(port.get("protocol", ""), f"{path}.protocol")
    yield from port_number_or_name(port.get("targetPort", 0), f"{path}.targetPort")
    if port.get("appProtocol") is not None:
        yield from named(names.is_qualified_name, port["appProtocol"], f"{path}.appProtocol")


def _validate_affinity(spec: Object) -> Iterator[FieldError]:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        yield required("spec.sessionAffinity")
    elif affinity not in ("ClientIP", "None"):
        yield not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        yield forbidden(path, "must not be set when session affinity is None")
    if affinity != "ClientIP":
        return
    if config is None:
        yield required(path, "when session affinity type is ClientIP")
    elif config.get("clientIP") is None:
        yield required(f"{path}.clientIP", "when session affinity type is ClientIP")
    elif config["clientIP"].get("timeoutSeconds") is None:
        yield required(f"{path}.clientIP.timeoutSeconds", "when session affinity type is ClientIP")
    else:
        timeout = config["clientIP"]["timeoutSeconds"]
        if not 0 < timeout <= MAX_AFFINITY_S:
            text = f"must be greater than 0 and less than {MAX_AFFINITY_S}"
            yield invalid(f"{path}.clientIP.timeoutSeconds", timeout, text)


def validate_cluster_ips(spec: Object, stored: Container[str] = ()) -> Iterator[FieldError]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy among themselves."""
    if kind_of(spec) == "ExternalName":
        return
    path, ips = "spec.clusterIPs", cluster_ips(spec)
    yield from _first_ip(spec.get("clusterIP", ""), ips, path)
    seen: set[str] = set()
    for i, family in enumerate(families(spec)):
        yield from one_of(family, (IPV4, IPV6), f"spec.ipFamilies[{i}]")
        yield from first_use(family, seen, f"spec.ipFamilies[{i}]")
    if "ipFamilyPolicy" in spec:
        yield from one_of(spec["ipFamilyPolicy"], (SINGLE, PREFER, REQUIRE), "spec.ipFamilyPolicy")
    broken = False
    for i, value in enumerate(ips):
        if i == 0 and value == NONE:
            if len(ips) > 1:
                broken = True
                yield invalid(path, ips, "'None' must be the first and only value")
            continue
        problems = list(strict_ip(value, f"{path}[{i}]", stored))
        broken = broken or bool(problems)
        yield from problems
    if len(ips) > 2:
        yield invalid(path, ips, "may only hold up to 2 values")
    if broken:
        return
    if len(ips) > 1 and len({is_ipv6_text(value) for value in ips}) < 2:
        yield invalid(path, ips, "may specify no more than one IP for each IP family")
    if not is_headless(spec):
        for i, (value, family) in enumerate(zip(ips, families(spec), strict=False)):
            if family in (IPV4, IPV6) and (family == IPV6) != is_ipv6_text(value):
                text = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
                yield invalid(f"{path}[{i}]", value, text)


def _first_ip(ip: str, ips: list[str], path: str) -> Iterator[FieldError]:
    """clusterIP is the first of clusterIPs."""
    if ip:
        if not ips:
            yield required(path)
        elif ips[0] != ip:
            yield invalid(path, ips, "first value must match `clusterIP`")
    elif ips:
        yield invalid(path, ips, "must be empty when `clusterIP` is not specified")


def _validate_port_numbers(ports: Any, kind: str) -> Iterator[FieldError]:
    if kind == "ClusterIP":
        for i, port in enumerate(ports):
            if port.get("nodePort"):
                yield forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        number = port.get("nodePort", 0)
        if number:
            key = (port.get("protocol", ""), number)
            if key in seen:
                yield duplicate(f"spec.ports[{i}].nodePort", number)
            seen.add(key)
    seen.clear()
    for i, port in enumerate(ports):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in seen:
            yield duplicate(f"spec.ports[{i}]", go_struct(port, _PORT_KEY))
        seen.add(key)


def _validate_source_ranges(
    spec: Object, annotations: Object, kind: str, stored: Object | None
) -> Iterator[FieldError]:
    ranges = spec.get("loadBalancerSourceRanges")
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if kind != "LoadBalancer":
            yield forbidden(path, _BALANCED_ONLY)
        old = {text.strip() for text in (stored or {}).get("loadBalancerSourceRanges") or ()}
        for i, text in enumerate(ranges):
            yield from strict_cidr(text.strip(), f"{path}[{i}]", old)
    elif SOURCE_RANGES in annotations:
        path = f"metadata.annotations[{SOURCE_RANGES}]"
        if kind != "LoadBalancer":
            yield forbidden(path, _BALANCED_ONLY)
        value = annotations[SOURCE_RANGES].strip()
        for text in value.split(",") if value else ():
            for problem in names.is_cidr(text.strip()):
                yield invalid(path, text.strip(), problem)


def _validate_balancer(spec: Object, kind: str) -> Iterator[FieldError]:
    if "allocateLoadBalancerNodePorts" in spec:
        if kind != "LoadBalancer":
            yield forbidden("spec.allocateLoadBalancerNodePorts", _BALANCED_ONLY)
    elif kind == "LoadBalancer":
        yield required("allocateLoadBalancerNodePorts")
    balancer = spec.get("loadBalancerClass")
    if balancer is None:
        return
    if kind == "LoadBalancer":
        yield from named(names.is_qualified_name, balancer, "spec.loadBalancerClass")
    else:
        yield forbidden("spec.loadBalancerClass", _BALANCED_ONLY)


def _validate_traffic(spec: Object, kind: str) -> Iterator[FieldError]:
    external = spec.get("externalTrafficPolicy", "")
    if not is_external(spec):
        if external:
            text = "may only be set for externally-accessible services"
            yield invalid("spec.externalTrafficPolicy", external, text)
    elif not external:
        yield required("spec.externalTrafficPolicy")
    else:
        yield from one_of(external, _POLICIES, "spec.externalTrafficPolicy")
    health = spec.get("healthCheckNodePort", 0)
    if needs_health_port(spec):
        if health:
            yield from port_number(health, "spec.healthCheckNodePort")
    elif health:
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", health, text)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None:
        yield from one_of(internal, _POLICIES, "spec.internalTrafficPolicy")
    elif kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        yield required("spec.internalTrafficPolicy")
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        yield not_supported_listed("spec.trafficDistribution", distribution, _DISTRIBUTIONS)


def validate_service_change(spec: Object, old: Object) -> Iterator[FieldError]:
    """What an update may not change."""
    if "ExternalName" not in (kind_of(spec), kind_of(old)):
        headless, was_headless = is_headless(spec), is_headless(old)
        if not (headless and was_headless):
            yield from _changed_ips(spec, old)
        if not headless and not was_headless:
            yield from _changed_families(spec, old)
    if kind_of(spec) == kind_of(old) == "LoadBalancer":
        balancer = spec.get("loadBalancerClass")
        if balancer != old.get("loadBalancerClass"):
            yield invalid("spec.loadBalancerClass", balancer, _SET)
    if kind_of(spec) == "LoadBalancer" and spec.get("loadBalancerClass") is not None:
        yield from named(names.is_qualified_name, spec["loadBalancerClass"], "spec.loadBalancerClass")
    elif kind_of(spec) != "LoadBalancer" and spec.get("loadBalancerClass") is not None:
        yield forbidden("spec.loadBalancerClass", _BALANCED_ONLY)
    health, old_health = spec.get("healthCheckNodePort", 0), old.get("healthCheckNodePort", 0)
    if needs_health_port(spec) and needs_health_port(old) and health != old_health:
        yield forbidden("spec.healthCheckNodePort", "field is immutable")


def _changed_ips(spec: Object, old: Object) -> Iterator[FieldError]:
    ips, old_ips = cluster_ips(spec), cluster_ips(old)
    if len(ips) == len(old_ips):
        for i, (ip, old_ip) in enumerate(zip(ips, old_ips, strict=True)):
            if ip != old_ip:
                yield invalid(f"spec.clusterIPs[{i}]", ips, _SET)
        return
    if len(old_ips) > len(ips) and not ips:
        yield invalid("spec.clusterIPs[0]", None, "primary clusterIP can not be unset")
    if ips and old_ips and ips[0] != old_ips[0]:
        yield invalid("spec.clusterIPs[0]", ips, _SET)
    if len(old_ips) > len(ips) == 1 and spec.get("ipFamilyPolicy") != SINGLE:
        text = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        yield invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), text)


def _changed_families(spec: Object, old: Object) -> Iterator[FieldError]:
    have, before, ips = families(spec), families(old), cluster_ips(spec)
    if len(have) == len(before):
        for family, old_family in zip(have, before, strict=True):
            if family != old_family:
                yield invalid("spec.ipFamilies[0]", have, _SET)
        return
    if len(before) > len(have) and not ips:
        yield invalid("spec.ipFamilies[0]", have or None, "primary ipFamily can not be unset")
    if have and before and have[0] != before[0]:
        yield invalid("spec.ipFamilies[0]", ips, _SET)
    if len(before) > len(have) == 1 and spec.get("ipFamilyPolicy") != SINGLE:
        text = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        yield invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), text)


def validate_balancer_status(status: Object, kind: str, old: Object | None) -> Iterator[FieldError]:
    """`status.loadBalancer`, which only load balancers have."""
    path = "status.loadBalancer.ingress"
    ingresses = status.get("ingress") or ()
    if kind != "LoadBalancer" and ingresses:
        yield forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    stored = {ingress.get("ip", "") for ingress in (old or {}).get("ingress") or ()}
    for i, ingress in enumerate(ingresses):
        yield from _validate_ingress(ingress, f"{path}[{i}]", stored)


def _validate_ingress(ingress: Object, path: str, stored: set[str]) -> Iterator[FieldError]:
    ip, mode, host = ingress.get("ip", ""), ingress.get("ipMode"), ingress.get("hostname", "")
    if ip:
        yield from strict_ip(ip, f"{path}.ip", stored)
    if mode is None:
        if ip:
            yield required(f"{path}.ipMode", "must be specified when `ip` is set")
    elif not ip:
        yield forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set")
    else:
        yield from one_of(mode, ("VIP", "Proxy"), f"{path}.ipMode")
    if host:
        yield from named(names.is_dns1123_subdomain, host, f"{path}.hostname")
        if names.parse_ip(host) is not None:
            yield invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address")
