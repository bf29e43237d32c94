"""Namespaces: they end only when their content is gone and nobody holds `spec.finalizers` any more.

Follows: pkg/registry/core/namespace/strategy.go, pkg/registry/core/namespace/storage/storage.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.field_rules import named
from apiserver.resources.object_meta import validate_finalizer_name, validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, StatusOf, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, invalid

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"
ACTIVE, TERMINATING = "Active", "Terminating"


class NamespaceStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        phase = (obj.get("status") or {}).get("phase", "")
        deleted = "deletionTimestamp" in obj["metadata"]
        if phase != (TERMINATING if deleted else ACTIVE):
            text = (
                "may only be 'Terminating' if `deletionTimestamp` is not empty"
                if deleted
                else "may only be 'Active' if `deletionTimestamp` is empty"
            )
            yield invalid("status.Phase", phase, text)

    def ends_on_update(self, obj: Object, old: Object) -> bool:
        return is_released(obj)


class NamespaceFinalize(StatusOf):
    """The `finalize` subresource, the only way to change `spec.finalizers`."""

    reset_fields = (("status",),)
    kept = ("status",)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        for i, finalizer in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
            yield from _validate_finalizer(finalizer, f"spec.finalizers[{i}]")

    def ends_on_update(self, obj: Object, old: Object) -> bool:
        return is_released(obj)


class Namespaces(Strategy):
    reset_fields = (("status",),)
    returns_deleted = True
    is_emptied_first = True
    columns = columns.NAMESPACE
    subresources = {"status": NamespaceStatus(), "finalize": NamespaceFinalize()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj.setdefault("spec", {})
        if old is None:
            obj["status"] = {"phase": ACTIVE}
            finalizers = spec.get("finalizers") or []
            if FINALIZER not in finalizers:
                spec["finalizers"] = [*finalizers, FINALIZER]
            return
        finalizers = (old.get("spec") or {}).get("finalizers")
        if finalizers:
            spec["finalizers"] = finalizers
        else:
            spec.pop("finalizers", None)
        obj["status"] = old.get("status", {})

    def canonicalize(self, obj: Object) -> None:
        """A generated name is known only now."""
        meta = obj["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), NAME_LABEL: meta["name"]}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=names.name_is_dns_label)
        for finalizer in obj["spec"].get("finalizers") or ():
            yield from _validate_finalizer(finalizer, "spec.finalizers")
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.phase": (obj.get("status") or {}).get("phase", ""), "name": obj["metadata"].get("name", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        phase = (obj.get("status") or {}).get("phase", "")
        return [meta["name"], phase, age(meta.get("creationTimestamp"), now)]

    def ends_on_update(self, obj: Object, old: Object) -> bool:
        return is_released(obj)

    def is_held(self, obj: Object) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def mark_deleted(self, obj: Object) -> None:
        obj.setdefault("status", {})["phase"] = TERMINATING


def is_released(obj: Object) -> bool:
    """Nobody holds the namespace any more."""
    return not (obj.get("spec") or {}).get("finalizers") and not obj["metadata"].get("finalizers")


def _validate_finalizer(name: str, path: str) -> Iterator[FieldError]:
    yield from named(names.is_qualified_name, name, path)
    yield from validate_finalizer_name(name, path)
