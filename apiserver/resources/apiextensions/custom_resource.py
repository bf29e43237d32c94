"""Objects of custom kinds at one version: status and generation as the definition says, validated by its schema.

Follows: apiextensions-apiserver/pkg/registry/customresource/{strategy,status_strategy,validator}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.apiextensions.custom_columns import CustomColumns
from apiserver.resources.object_meta import STANDARD_FINALIZERS
from apiserver.resources.scale import ScaleFields
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.custom.kind import CustomKind
from openapi.meta.field import FieldError, quote
from openapi.meta.metadata import validate_object_meta
from openapi.meta.names import name_is_dns_subdomain
from openapi.meta.status import StatusError

_UNQUALIFIED = (
    "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other "
    "finalizer writers"
)
_ENDING = "create not allowed while custom resource definition is terminating"


class CustomResourceStrategy(Strategy):
    """The main resource. Nothing new comes to a kind whose definition `is_ending`."""

    allow_unconditional_update = False

    def __init__(self, kind: CustomKind, *, namespaced: bool, is_ending: bool = False) -> None:
        self.kind = kind
        self.namespaced = namespaced
        self.is_ending = is_ending
        table = CustomColumns(kind.version.get("additionalPrinterColumns"))
        self.columns = table.columns
        self._table = table
        self.reset_fields = (("status",),) if kind.has_status else ()
        self.subresources = {"status": CustomStatusStrategy(kind)} if kind.has_status else {}
        self.scale = scale_fields(kind.scale)

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        if old is None and self.is_ending:
            raise StatusError(405, "MethodNotAllowed", _ENDING, details={})
        if self.kind.has_status:
            obj.pop("status", None)
        if old is None:
            obj["metadata"]["generation"] = 1
            return
        if self.kind.has_status and "status" in old:
            obj["status"] = old["status"]
        ignored = ("metadata", "status") if self.kind.has_status else ("metadata",)
        if _without(obj, ignored) != _without(old, ignored):
            obj["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=self.namespaced, name=name_is_dns_subdomain)
        yield from self.kind.validate(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        """New finalizers should say whose they are."""
        before = (old or {}).get("metadata", {}).get("finalizers") or ()
        for name in sorted({*(obj["metadata"].get("finalizers") or ())}.difference(before)):
            if "/" not in name and name not in STANDARD_FINALIZERS:
                yield f"metadata.finalizers: {quote(name)}: {_UNQUALIFIED}"
        if old is not None:
            yield from self.kind.tolerated(obj, old)

    def fields(self, obj: Object) -> dict[str, str]:
        return self.kind.fields(obj)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        return self._table.cells(obj, now)


class CustomStatusStrategy(Strategy):
    """The `status` subresource: nothing else changes."""

    allow_unconditional_update = False
    only_fields = (("status",),)

    def __init__(self, kind: CustomKind) -> None:
        self.kind = kind

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        sent, meta = dict(obj), dict(old["metadata"])
        for name in ("managedFields", "resourceVersion"):
            meta.pop(name, None)
            if name in sent["metadata"]:
                meta[name] = sent["metadata"][name]
        obj.clear()
        obj.update(old)
        obj["metadata"] = meta
        obj.pop("status", None)
        if "status" in sent:
            obj["status"] = sent["status"]

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        return self.kind.validate(obj, old, of_status=True)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return () if old is None else self.kind.tolerated(obj, old)

    def fields(self, obj: Object) -> dict[str, str]:
        return self.kind.fields(obj)


def _without(obj: Object, names: tuple[str, ...]) -> Object:
    return {name: value for name, value in obj.items() if name not in names}


def scale_fields(scale: Mapping[str, str] | None) -> ScaleFields | None:
    """Where a custom object keeps its scale; None if it has none."""
    if scale is None:
        return None
    return ScaleFields(
        spec_replicas=_names(scale["specReplicasPath"]),
        status_replicas=_names(scale["statusReplicasPath"]),
        selector=_names(scale.get("labelSelectorPath") or ""),
        text=True,
        needs_spec=scale["specReplicasPath"],
    )


def _names(path: str) -> tuple[str, ...]:
    return tuple(path[1:].split(".")) if path else ()
