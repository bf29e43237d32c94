"""Cluster IPs and IP families of a service before addresses are allocated: keep doubled fields in step, take over what
was allocated before, and settle which families the service has.

Nothing here waits or reads other objects; `settle_families` refuses with the same Status as an invalid object.
Follows: pkg/registry/core/service/storage/{storage,alloc}.go
"""

from __future__ import annotations

from typing import Any

from apiserver.resources.addresses import is_ipv6_text
from apiserver.resources.core.service_spec import (
    IPV4,
    IPV6,
    NONE,
    PREFER,
    REQUIRE,
    SINGLE,
    cluster_ips,
    families,
    kind_of,
    may_have_node_ports,
    needs_cluster_ip,
    needs_health_port,
    node_ports,
)
from apiserver.resources.core.service_validation import validate_cluster_ips
from openapi.meta import status
from openapi.meta.field import FieldError, invalid

Object = dict[str, Any]


def keep_allocated(spec: Object, old: Object) -> None:
    """What an update does not mention and was allocated before stays: a resubmitted manifest is no change."""
    if needs_cluster_ip(old) and needs_cluster_ip(spec):
        if not spec.get("clusterIP") and old.get("clusterIP"):
            spec["clusterIP"] = old["clusterIP"]
        if not cluster_ips(spec) and cluster_ips(old):
            spec["clusterIPs"] = list(old["clusterIPs"])
    if may_have_node_ports(old) and may_have_node_ports(spec):
        _keep_node_ports(spec, old)
    if needs_health_port(old) and needs_health_port(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old.get("healthCheckNodePort", 0)


def _keep_node_ports(spec: Object, old: Object) -> None:
    used = set(node_ports(old)) & set(node_ports(spec))
    by_name = {port.get("name", ""): port.get("nodePort", 0) for port in old.get("ports") or ()}
    for port in spec.get("ports") or ():
        before = by_name.get(port.get("name", ""), 0)
        if before and not port.get("nodePort") and before not in used:
            port["nodePort"] = before
            used.add(before)


def align_cluster_ips(spec: Object, old: Object | None) -> None:
    """clusterIP is the first of clusterIPs; a client that knows only one of them means both."""
    ip = spec.get("clusterIP", "")
    if old is None:
        if ip and not cluster_ips(spec):
            spec["clusterIPs"] = [ip]
        return
    old_ip = old.get("clusterIP", "")
    if cluster_ips(old) and not cluster_ips(spec) and old_ip == ip:
        spec["clusterIPs"] = list(old["clusterIPs"])
    if old_ip != ip and cluster_ips(old) == cluster_ips(spec):
        if old_ip and not ip:
            spec.pop("clusterIPs", None)
        else:
            spec["clusterIPs"] = [ip]


def unchanged_preference(spec: Object, old: Object | None) -> bool:
    """Services that merely prefer two families follow no later change of the cluster."""
    return (
        old is not None
        and spec.get("ipFamilyPolicy") == PREFER == old.get("ipFamilyPolicy")
        and kind_of(spec) == kind_of(old)
        and needs_cluster_ip(spec)
        and cluster_ips(spec) == cluster_ips(old)
        and families(spec) == families(old)
    )


def settle_families(service: Object, old_service: Object | None, configured: tuple[str, ...]) -> None:
    """Fill ipFamilyPolicy and ipFamilies in place; `configured` are the cluster's families, the default one first."""
    spec = service["spec"]
    old = None if old_service is None else old_service["spec"]
    if kind_of(spec) == "ExternalName" or unchanged_preference(spec, old):
        return
    headless_alone = spec.get("clusterIP") == NONE and not spec.get("selector")
    if "ipFamilyPolicy" not in spec:
        spec["ipFamilyPolicy"] = (old or {}).get("ipFamilyPolicy") or (REQUIRE if headless_alone else SINGLE)
    policy = spec["ipFamilyPolicy"]
    stored = () if old is None else cluster_ips(old)
    _refuse(service, list(validate_cluster_ips(spec, stored)))
    errors: list[FieldError] = []
    if old is not None:
        errors += _reductions(spec, old, policy)
    errors += _too_many_for_single(spec, policy)
    errors += _infer_from_ips(spec, configured)
    _refuse(service, errors)
    if headless_alone:
        have = families(spec) or [configured[0]]
        spec["ipFamilies"] = [*have, _other(have[0])] if len(have) < 2 and policy != SINGLE else have
        return
    if policy == REQUIRE and len(configured) < 2:
        errors.append(
            invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")
        )
    for i, family in enumerate(families(spec)):
        if family not in configured:
            errors.append(invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    _refuse(service, errors)
    have = families(spec) or [configured[0]]
    if policy != SINGLE and len(have) == 1 and len(configured) == 2:
        have = [*have, _other(have[0])]
    spec["ipFamilies"] = have


def _refuse(service: Object, errors: list[FieldError]) -> None:
    if errors:
        raise status.invalid("", "Service", service["metadata"].get("name", ""), errors)


def _other(family: str) -> str:
    return IPV6 if family == IPV4 else IPV4


def _reductions(spec: Object, old: Object, policy: str) -> list[FieldError]:
    """Giving up the second family must be said by the policy."""
    if policy == SINGLE:
        if cluster_ips(old) == cluster_ips(spec) and len(cluster_ips(spec)) > 1:
            spec["clusterIPs"] = spec["clusterIPs"][:1]
        if families(old) == families(spec) and len(families(spec)) > 1:
            spec["ipFamilies"] = spec["ipFamilies"][:1]
        return []
    errors = []
    if 0 < len(cluster_ips(spec)) < len(cluster_ips(old)):
        text = "must be 'SingleStack' to release the secondary cluster IP"
        errors.append(invalid("spec.ipFamilyPolicy", policy, text))
    if 0 < len(families(spec)) < len(families(old)):
        text = "must be 'SingleStack' to release the secondary IP family"
        errors.append(invalid("spec.ipFamilyPolicy", policy, text))
    return errors


def _too_many_for_single(spec: Object, policy: str) -> list[FieldError]:
    errors = []
    wanted = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
    if policy == SINGLE:
        if len(cluster_ips(spec)) == 2:
            errors.append(invalid("spec.ipFamilyPolicy", policy, f"{wanted} cluster IPs are specified"))
        if len(families(spec)) == 2:
            errors.append(invalid("spec.ipFamilyPolicy", policy, f"{wanted} IP families are specified"))
    return errors


def _infer_from_ips(spec: Object, configured: tuple[str, ...]) -> list[FieldError]:
    """A given address names its family."""
    errors = []
    have = list(families(spec))
    for i, ip in enumerate(cluster_ips(spec)):
        if ip == NONE:
            break
        if i < len(have):
            continue
        family = IPV6 if is_ipv6_text(ip) else IPV4
        if family in configured:
            have.append(family)
        else:
            text = f"{family} is not configured on this cluster"
            errors.append(invalid(f"spec.clusterIPs[{i}]", cluster_ips(spec), text))
    if have:
        spec["ipFamilies"] = have
    return errors
