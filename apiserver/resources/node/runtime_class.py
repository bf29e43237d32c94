"""Runtime classes: a handler of the container runtime, what it costs and where it runs.

Follows: pkg/registry/node/runtimeclass/strategy.go, pkg/apis/node/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable, named
from apiserver.resources.go_values import GoField, go_struct
from apiserver.resources.node.columns import RUNTIME_CLASS
from apiserver.resources.node_selectors import DEPRECATED_LABELS
from apiserver.resources.pods.options import options_for
from apiserver.resources.pods.resources import check_requirements
from apiserver.resources.pods.scheduling import check_tolerations
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, duplicate, required
from openapi.meta.metadata import validate_labels, validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1123_label, name_is_dns_subdomain

_TOLERATION: tuple[GoField, ...] = (
    ("Key", "key", ""),
    ("Operator", "operator", ""),
    ("Value", "value", ""),
    ("Effect", "effect", ""),
    ("TolerationSeconds", "tolerationSeconds", None),
)


class RuntimeClassStrategy(Strategy):
    allow_unconditional_update = False
    columns = RUNTIME_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from immutable(obj.get("handler", ""), old.get("handler", ""), "handler")
            return
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        handler = obj.get("handler", "")
        if not handler:
            yield required("handler")
        else:
            yield from named(is_dns1123_label, handler, "handler")
        overhead, scheduling = obj.get("overhead"), obj.get("scheduling")
        if overhead is not None:
            yield from _validate_overhead(overhead)
        if scheduling is not None:
            yield from validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
            yield from _validate_tolerations(scheduling.get("tolerations") or (), "scheduling.tolerations")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        selector = (obj.get("scheduling") or EMPTY).get("nodeSelector") or EMPTY
        return [f"scheduling.nodeSelector: {DEPRECATED_LABELS[key]}" for key in selector if key in DEPRECATED_LABELS]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), obj.get("handler", ""), age(meta.get("creationTimestamp"), now)]


def _validate_overhead(overhead: Mapping[str, Any]) -> Iterator[FieldError]:
    errors: list[FieldError] = []
    limits = {"limits": overhead.get("podFixed") or EMPTY}
    check_requirements(limits, frozenset(), "overhead", options_for(None, None, is_pod=False), errors)
    yield from errors


def _validate_tolerations(tolerations: Sequence[Object], path: str) -> Iterator[FieldError]:
    errors: list[FieldError] = []
    check_tolerations(tolerations, path, errors)
    yield from errors
    for index, toleration in enumerate(tolerations):
        if toleration in tolerations[:index]:
            yield duplicate(f"{path}[{index}]", go_struct(toleration, _TOLERATION))
