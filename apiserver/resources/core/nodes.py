"""Nodes: created with their status, which only the `status` subresource changes afterwards.

Follows: pkg/registry/core/node/strategy.go, pkg/apis/core/validation/validation.go ValidateNode, ValidateNodeUpdate
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from apiserver.resources.addresses import cidr_warnings, strict_cidr
from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.core.node_config import validate_config_source, validate_config_status
from apiserver.resources.go_values import GoField, go_struct
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource_names import validate_amounts
from apiserver.resources.strategy import Object, StatusOf, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import (
    DUPLICATE,
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported_listed,
    required,
)
from openapi.meta.metadata import validate_label_name

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
_CIDR_SET = 'node updates may not change podCIDR except from "" to valid'
_PROVIDER_SET = 'node updates may not change providerID except from "" to valid'
_TAINT: tuple[GoField, ...] = (
    ("Key", "key", ""), ("Value", "value", ""), ("Effect", "effect", ""), ("TimeAdded", "timeAdded", None),
)
_ADDRESS: tuple[GoField, ...] = (("Type", "type", ""), ("Address", "address", ""))


class NodeStatus(StatusOf):
    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        assert old is not None
        if "config" not in (old.get("status") or ()):
            obj.get("status", {}).pop("config", None)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from _validate_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return node_warnings(obj)


class Nodes(Strategy):
    reset_fields = (("status",),)
    columns = columns.NODE
    subresources = {"status": NodeStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj.setdefault("spec", {})
        if old is not None:
            obj["status"] = old.get("status", {})
        if old is None or "configSource" not in (old.get("spec") or ()):
            spec.pop("configSource", None)
        if old is None:
            obj.get("status", {}).pop("config", None)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from _validate_node(obj, old)
        if old is not None:
            yield from _validate_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return node_warnings(obj)

    def fields(self, obj: Object) -> dict[str, str]:
        unschedulable = (obj.get("spec") or {}).get("unschedulable", False)
        return {"spec.unschedulable": "true" if unschedulable else "false"}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, status = obj["metadata"], obj.get("status") or {}
        info = status.get("nodeInfo") or {}
        addresses = status.get("addresses") or ()
        kernel, machine = info.get("kernelVersion", ""), info.get("architecture", "")
        return [
            meta["name"],
            _status_cell(obj),
            _roles_cell(meta.get("labels") or {}),
            age(meta.get("creationTimestamp"), now),
            info.get("kubeletVersion", ""),
            _address(addresses, "InternalIP"),
            _address(addresses, "ExternalIP"),
            info.get("osImage") or "<unknown>",
            (f"{kernel} ({machine})" if machine else kernel) if kernel else "<unknown>",
            info.get("containerRuntimeVersion") or "<unknown>",
        ]


def validate_taints(taints: Iterable[Object], path: str) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        where, key, value = f"{path}[{i}]", taint.get("key", ""), taint.get("value", "")
        effect = taint.get("effect", "")
        yield from validate_label_name(key, f"{where}.key")
        problems = names.is_label_value(value)
        if problems:
            yield invalid(f"{where}.value", value, ";".join(problems))
        if not effect:
            yield required(f"{where}.effect")
        elif effect not in TAINT_EFFECTS:
            yield not_supported_listed(f"{where}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            shown, text = go_struct(taint, _TAINT), "taints must be unique by key and effect pair"
            yield FieldError(DUPLICATE, where, shown, text)
        seen.add((key, effect))


def _validate_node(node: Object, old: Object | None) -> Iterator[FieldError]:
    yield from validate_object_meta(node["metadata"], namespaced=False, name=names.name_is_dns_subdomain)
    spec = node.get("spec") or {}
    if spec.get("taints"):
        yield from validate_taints(spec["taints"], "metadata.taints")
    yield from _validate_amounts(node)
    cidrs = spec.get("podCIDRs") or ()
    stored = ((old or {}).get("spec") or {}).get("podCIDRs") or ()
    for i, cidr in enumerate(cidrs):
        yield from strict_cidr(cidr, f"spec.podCIDRs[{i}]", stored)
    if len(cidrs) < 2:
        return
    versions = [_version(cidr) for cidr in cidrs]
    if 0 in versions:
        broken = cidrs[versions.index(0)]
        text = f"invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR address: {broken}"
        yield FieldError("InternalError", "spec.podCIDRs", detail=text)
    if len(set(versions)) < 2 or len(cidrs) > 2 or 0 in versions:
        yield invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")
    seen: set[str] = set()
    for i, cidr in enumerate(cidrs):
        if cidr in seen:
            yield duplicate(f"spec.podCIDRs[{i}]", cidr)
        seen.add(cidr)


def _version(cidr: str) -> int:
    """4 or 6; 0 for what is no CIDR."""
    try:
        return ip_network(cidr, strict=False).version
    except ValueError:
        return 0


def _validate_amounts(node: Object) -> Iterator[FieldError]:
    status = node.get("status") or {}
    yield from validate_amounts(status.get("capacity"), "status.capacity")
    yield from validate_amounts(status.get("allocatable"), "status.allocatable")


def _validate_update(node: Object, old: Object) -> Iterator[FieldError]:
    yield from validate_object_meta_update(node["metadata"], old["metadata"])
    yield from _validate_amounts(node)
    spec, status, before = node.get("spec") or {}, node.get("status") or {}, old.get("spec") or {}
    seen: set[tuple[str, str]] = set()
    for i, address in enumerate(status.get("addresses") or ()):
        key = (address.get("type", ""), address.get("address", ""))
        if key in seen:
            yield duplicate(f"status.addresses[{i}]", go_struct(address, _ADDRESS))
        seen.add(key)
    cidrs, old_cidrs = spec.get("podCIDRs") or (), before.get("podCIDRs") or ()
    if old_cidrs and len(cidrs) != len(old_cidrs):
        yield forbidden("spec.podCIDRs", _CIDR_SET)
    elif old_cidrs:
        for cidr, old_cidr in zip(cidrs, old_cidrs, strict=True):
            if cidr != old_cidr:
                yield forbidden("spec.podCIDRs", _CIDR_SET)
    if before.get("providerID") and before["providerID"] != spec.get("providerID"):
        yield forbidden("spec.providerID", _PROVIDER_SET)
    if spec.get("configSource") is not None:
        yield from validate_config_source(spec["configSource"], "spec.configSource")
    if status.get("config") is not None:
        yield from validate_config_status(status["config"], "status.config")
    if spec.get("taints"):
        yield from validate_taints(spec["taints"], "metadata.taints")
    if spec.get("externalID", "") != before.get("externalID", ""):
        yield forbidden("spec.externalID", "may not be updated")


def node_warnings(node: Object) -> Iterator[str]:
    spec = node.get("spec") or {}
    if spec.get("configSource") is not None:
        yield "spec.configSource: the feature is removed"
    if spec.get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        yield from cidr_warnings(cidr, f"spec.podCIDRs[{i}]")


def _status_cell(node: Object) -> str:
    words = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in (node.get("status") or {}).get("conditions") or ()
        if condition.get("type") == "Ready"
    ][-1:]
    words = words or ["Unknown"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles_cell(labels: dict[str, str]) -> str:
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE_LABEL, ""))
    return ",".join(sorted(role for role in roles if role)) or "<none>"


def _address(addresses: Iterable[Object], kind: str) -> str:
    return next((str(a.get("address", "")) for a in addresses if a.get("type") == kind), "<none>")
