"""CSI nodes: which storage drivers run on a node, and what they call it.

Follows: pkg/registry/storage/csinode/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core.volume_sources import validate_csi_driver_name
from apiserver.resources.field_rules import IMMUTABLE, first_use, named, nonnegative
from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.storage.columns import CSI_NODE
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.names import is_qualified_name, name_is_dns_subdomain, size

Struct = Mapping[str, Any]

MAX_NODE_ID_BYTES = 256


class CsiNodeStrategy(Strategy):
    allow_unconditional_update = False
    returns_deleted = True
    columns = CSI_NODE

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        drivers = _drivers(obj)
        seen: set[str] = set()
        for i, driver in enumerate(drivers):
            yield from _validate_driver(driver, seen, f"spec.drivers[{i}]")
        if old is None:
            return
        for old_driver in _drivers(old):
            for driver in drivers:
                if driver.get("name") == old_driver.get("name") and _kept(driver) != _kept(old_driver):
                    yield invalid("spec.drivers", _shown(driver), IMMUTABLE)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), len(_drivers(obj)), age(meta.get("creationTimestamp"), now)]


def _drivers(obj: Struct) -> Sequence[Struct]:
    drivers: Sequence[Struct] = (obj.get("spec") or EMPTY).get("drivers") or ()
    return drivers


def _validate_driver(driver: Struct, seen: set[str], path: str) -> Iterator[FieldError]:
    name, node_id = driver.get("name", ""), driver.get("nodeID", "")
    yield from validate_csi_driver_name(name, f"{path}.name")
    if not node_id:
        yield required(f"{path}.nodeID")
    if size(node_id) > MAX_NODE_ID_BYTES:
        yield invalid(f"{path}.nodeID", node_id, f"must be {MAX_NODE_ID_BYTES} characters or less")
    count = (driver.get("allocatable") or EMPTY).get("count")
    if count is not None:
        yield from nonnegative(count, f"{path}.allocatable.count")
    yield from first_use(name, seen, f"{path}.name")
    keys: set[str] = set()
    for key in driver.get("topologyKeys") or ():
        if not key:
            yield required(path)
        yield from first_use(key, keys, path)
        yield from named(is_qualified_name, key, path)


def _kept(driver: Struct) -> Struct:
    """All but the limits of volumes, which a driver may correct."""
    return {k: v for k, v in driver.items() if k != "allocatable" and v is not None}


def _shown(driver: Struct) -> Any:
    keys = driver.get("topologyKeys")
    values = {"Name": driver.get("name", ""), "NodeID": driver.get("nodeID", ""), "TopologyKeys": keys}
    return verbatim({**values, "Allocatable": None})
