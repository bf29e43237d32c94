"""Controller revisions: an immutable snapshot of a workload's template.

Follows: pkg/registry/apps/controllerrevision/strategy.go, pkg/apis/apps/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.columns import CONTROLLER_REVISION
from apiserver.resources.field_rules import immutable
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import nonnegative_fields
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.catalog import split_api_version
from openapi.meta.field import FieldError, required
from openapi.meta.names import name_is_dns_subdomain


class ControllerRevisionStrategy(Strategy):
    columns = CONTROLLER_REVISION

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        yield from nonnegative_fields(obj, ("revision",), "")
        data = obj.get("data")
        if old is not None:
            yield from immutable(data, old.get("data"), "data")
        elif data is None:
            yield required("data", "data is mandatory")
        elif not isinstance(data, dict):
            yield required("data", "data must be a valid JSON object")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [
            meta.get("name", ""),
            _controller(meta),
            obj.get("revision", 0),
            age(meta.get("creationTimestamp"), now),
        ]


def _controller(meta: Mapping[str, Any]) -> str:
    """The owner that controls it: `statefulset.apps/web`."""
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    if owner is None:
        return "<none>"
    group, _ = split_api_version(owner.get("apiVersion", ""))
    kind = owner.get("kind", "").lower()
    return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
