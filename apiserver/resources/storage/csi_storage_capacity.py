"""CSI storage capacities: how much a driver can still provision, per class and topology.

Follows: pkg/registry/storage/csistoragecapacity/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import IMMUTABLE, NEGATIVE, immutable, named
from apiserver.resources.node_selectors import DEPRECATED_LABELS
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY, has_invalid_values, show_selector
from apiserver.resources.storage.columns import STORAGE_CAPACITY
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, invalid
from openapi.meta.names import is_dns1123_subdomain, name_is_dns_subdomain
from openapi.meta.quantity import Quantity
from openapi.meta.selectors import validate_label_selector


class CsiStorageCapacityStrategy(Strategy):
    allow_unconditional_update = False
    columns = STORAGE_CAPACITY

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        name, topology = obj.get("storageClassName", ""), obj.get("nodeTopology")
        lax = old is not None and has_invalid_values(old.get("nodeTopology"))
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        yield from validate_label_selector(topology, "nodeTopology", allow_invalid_values=lax)
        yield from named(is_dns1123_subdomain, name, "storageClassName")
        capacity = obj.get("capacity")
        if capacity is not None and Quantity.parse(capacity).sign < 0:
            yield invalid("capacity", capacity, NEGATIVE)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            if topology != old.get("nodeTopology"):
                yield invalid("nodeTopology", show_selector(topology), IMMUTABLE)
            yield from immutable(name, old.get("storageClassName", ""), "storageClassName")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return [
            f"nodeTopology.matchExpressions[{i}].key: {DEPRECATED_LABELS[expression['key']]}"
            for i, expression in enumerate((obj.get("nodeTopology") or EMPTY).get("matchExpressions") or ())
            if expression.get("key") in DEPRECATED_LABELS
        ]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        capacity, created = obj.get("capacity", "<unset>"), age(meta.get("creationTimestamp"), now)
        return [meta.get("name", ""), obj.get("storageClassName", ""), capacity, created]
