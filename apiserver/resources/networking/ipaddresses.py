"""IPAddresses: the claim of one service address. Its name is the address, its parent never changes.

Follows: pkg/registry/networking/ipaddress/strategy.go, pkg/apis/networking/validation/validation.go ValidateIPAddress
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from apiserver.resources.addresses import strict_ip
from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable, named
from apiserver.resources.go_values import GoField, go_struct
from apiserver.resources.networking import service_columns
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, required

_PARENT: tuple[GoField, ...] = (
    ("Group", "group", ""), ("Resource", "resource", ""), ("Namespace", "namespace", ""), ("Name", "name", ""),
)


class IPAddresses(Strategy):
    columns = service_columns.IP_ADDRESS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=_validate_name)
        parent = (obj.get("spec") or {}).get("parentRef")
        yield from _validate_parent(parent)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            before = (old.get("spec") or {}).get("parentRef")
            shown = None if parent is None else go_struct(parent, _PARENT)
            yield from immutable(parent, before, "spec.parentRef", shown)

    def fields(self, obj: Object) -> dict[str, str]:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        return {f"spec.parentRef.{name}": parent.get(name, "") for _, name, _ in _PARENT}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, parent = obj["metadata"], (obj.get("spec") or {}).get("parentRef")
        text = "<none>" if parent is None else _parent_cell(parent)
        return [meta["name"], text, age(meta.get("creationTimestamp"), now)]


def _validate_name(name: str, prefix: bool) -> list[str]:
    """The canonical form of an address; nothing may be generated."""
    problems = [error.detail for error in strict_ip(name, "")]
    canonical = name if problems else str(ip_address(name))
    return problems or ([] if canonical == name else [f'must be in canonical form ("{canonical}")'])


def _validate_parent(parent: Object | None) -> Iterator[FieldError]:
    path = "spec.parentRef"
    if parent is None:
        yield required(path)
        return
    if parent.get("group"):
        yield from named(names.is_dns1123_subdomain, parent["group"], f"{path}.group")
    for field in ("resource", "name"):
        if parent.get(field):
            yield from named(names.is_path_segment, parent[field], f"{path}.{field}")
        else:
            yield required(f"{path}.{field}")
    if parent.get("namespace"):
        yield from named(names.is_path_segment, parent["namespace"], f"{path}.namespace")


def _parent_cell(parent: Object) -> str:
    resource = parent.get("resource", "")
    if parent.get("group"):
        resource = f"{resource}.{parent['group']}"
    return "/".join(part for part in (resource, parent.get("namespace", ""), parent.get("name", "")) if part)
