"""Storage classes: how volumes are provisioned. Little of a class may change.

Follows: pkg/registry/storage/storageclass/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import first_use, immutable, one_of
from apiserver.resources.node_selectors import DEPRECATED_LABELS
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.storage.columns import STORAGE_CLASS
from apiserver.resources.storage.parameters import validate_parameters, validate_provisioner
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, duplicate, required
from openapi.meta.metadata import validate_label_name
from openapi.meta.names import name_is_dns_subdomain

Struct = Mapping[str, Any]

DEFAULT_CLASS_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_RECLAIM_POLICIES = ("Delete", "Retain")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_IMMUTABLE = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


class StorageClassStrategy(Strategy):
    returns_deleted = True
    columns = STORAGE_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        yield from validate_provisioner(obj.get("provisioner", ""), "provisioner")
        yield from validate_parameters(obj.get("parameters"), "parameters", allow_empty=True)
        policy = obj.get("reclaimPolicy", "")
        if policy:
            yield from one_of(policy, _RECLAIM_POLICIES, "reclaimPolicy")
        yield from one_of(obj.get("volumeBindingMode", ""), _BINDING_MODES, "volumeBindingMode")
        yield from _validate_topologies(obj.get("allowedTopologies") or ())
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            for name in _IMMUTABLE:
                yield from immutable(obj.get(name), old.get(name), name)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return [
            f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {DEPRECATED_LABELS[expression['key']]}"
            for i, term in enumerate(obj.get("allowedTopologies") or ())
            for j, expression in enumerate(term.get("matchLabelExpressions") or ())
            if expression.get("key") in DEPRECATED_LABELS
        ]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        name = meta.get("name", "")
        return [
            f"{name} (default)" if is_default_class(meta) else name,
            obj.get("provisioner", ""),
            obj.get("reclaimPolicy", "Delete"),
            obj.get("volumeBindingMode", "Immediate"),
            obj.get("allowVolumeExpansion", False),
            age(meta.get("creationTimestamp"), now),
        ]


def is_default_class(meta: Struct) -> bool:
    annotations = meta.get("annotations") or EMPTY
    return any(annotations.get(name) == "true" for name in DEFAULT_CLASS_ANNOTATIONS)


def _validate_topologies(terms: Sequence[Struct]) -> Iterator[FieldError]:
    known: list[dict[str, set[str]]] = []
    for i, term in enumerate(terms):
        path = f"allowedTopologies[{i}]"
        values: dict[str, set[str]] = {}
        seen: set[str] = set()
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            where, key = f"{path}.matchLabelExpressions[{j}]", expression.get("key", "")
            yield from _validate_expression(expression, where)
            yield from first_use(key, seen, f"{where}.key")
            values[key] = set(expression.get("values") or ())
        if values in known:
            yield duplicate(f"{path}.matchLabelExpressions", "")
        known.append(values)


def _validate_expression(expression: Struct, path: str) -> Iterator[FieldError]:
    values = expression.get("values") or ()
    if not values:
        yield required(f"{path}.values")
    seen: set[str] = set()
    for k, value in enumerate(values):
        yield from first_use(value, seen, f"{path}.values[{k}]")
    yield from validate_label_name(expression.get("key", ""), f"{path}.key")
