"""ServiceCIDRs: ranges that service addresses are taken from, one a family.

Follows: pkg/registry/networking/servicecidr/strategy.go, pkg/apis/networking/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from apiserver.resources.addresses import strict_cidr
from apiserver.resources.age import age
from apiserver.resources.networking import service_columns
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, Verbatim, invalid, required

_ONE_EACH = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
_FIXED = "field is immutable"


class ServiceCidrStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])


class ServiceCidrs(WithStatus):
    generation = False
    columns = service_columns.SERVICE_CIDR
    subresources = {"status": ServiceCidrStatus()}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        cidrs = (obj.get("spec") or {}).get("cidrs") or []
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from _validate_change(cidrs, (old.get("spec") or {}).get("cidrs") or [])
            return
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=names.name_is_dns_subdomain)
        yield from _validate_cidrs(cidrs)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        cidrs = (obj.get("spec") or {}).get("cidrs") or ()
        return [meta["name"], ",".join(cidrs), age(meta.get("creationTimestamp"), now)]


def _validate_cidrs(cidrs: list[str]) -> Iterator[FieldError]:
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
        return
    if len(cidrs) > 2:
        shown = Verbatim(orjson.dumps({"CIDRs": cidrs}).decode())
        yield invalid("spec.cidrs", shown, "may only hold up to 2 values")
        return
    for i, cidr in enumerate(cidrs):
        problems = list(strict_cidr(cidr, f"spec.cidrs[{i}]"))
        yield from problems
        canonical = str(names.parse_cidr(cidr))
        if not problems and cidr != canonical:
            yield invalid(f"spec.cidrs[{i}]", cidr, f'must be in canonical form ("{canonical}")')
    versions = [network.version for network in map(names.parse_cidr, cidrs) if network is not None]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield invalid("spec.cidrs", cidrs, _ONE_EACH)


def _validate_change(cidrs: list[str], old: list[str]) -> Iterator[FieldError]:
    """A range may get one of the other family, and keeps what it has."""
    if len(old) == 1 and len(cidrs) == 2:
        if cidrs[0] != old[0]:
            yield invalid("spec.cidrs[0]", cidrs[0], _FIXED)
        yield from _validate_cidrs(cidrs)
    elif len(cidrs) != len(old):
        yield invalid("spec.cidrs", cidrs or None, _FIXED)
    else:
        for i, (cidr, before) in enumerate(zip(cidrs, old, strict=True)):
            if cidr != before:
                yield invalid(f"spec.cidrs[{i}]", cidr, _FIXED)
