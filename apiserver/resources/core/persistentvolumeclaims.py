"""PersistentVolumeClaims: a wish for storage, which may grow once bound but hardly change otherwise.

Follows: pkg/registry/core/persistentvolumeclaim/strategy.go, pkg/api/persistentvolumeclaim/util.go,
pkg/apis/core/validation/validation.go ValidatePersistentVolumeClaim
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.core.changes import field_diff
from apiserver.resources.core.persistentvolumes import (
    OLD_CLASS,
    OLD_CLASS_WARNING,
    VOLUME_MODES,
    access_modes_cell,
    class_of,
    validate_access_modes,
)
from apiserver.resources.field_rules import immutable, named, one_of, required_texts
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource_names import (
    is_native,
    validate_amount,
    validate_basic,
    validate_positive,
)
from apiserver.resources.strategy import Object, StatusOf, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, Verbatim, forbidden, invalid, not_supported, required
from openapi.meta.quantity import Quantity
from openapi.meta.selectors import validate_label_selector

_RESIZE_STATES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
    "NodeResizeInfeasible",
)
_SPEC_FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_SNAPSHOT = ("VolumeSnapshot", "snapshot.storage.k8s.io")
_ZERO = Quantity.parse("0")
_ATTRIBUTES = "spec.volumeAttributesClassName"


class ClaimStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        if not obj["spec"].get("accessModes"):
            yield required("Spec.accessModes")
        status = obj.get("status") or {}
        capacity = status.get("capacity") or {}
        for name in sorted(capacity):
            yield from validate_basic(capacity[name], f"status.capacity[{name}]")
        states = status.get("allocatedResourceStatuses") or {}
        for name in sorted(states):
            yield from _validate_resource_key(name, "status.allocatedResourceStatus")
            if states[name] not in _RESIZE_STATES:
                yield not_supported("status.allocatedResourceStatus", name, _RESIZE_STATES)
        allocated = status.get("allocatedResources") or {}
        for name in sorted(allocated):
            path = "status.allocatedResources"
            problems = list(_validate_resource_key(name, path)) or list(
                validate_basic(allocated[name], f"{path}[{name}]")
            )
            yield from problems or validate_amount("storage", allocated[name], f"{path}[{name}]")


class PersistentVolumeClaims(Strategy):
    reset_fields = (("status",),)
    returns_deleted = True
    columns = columns.VOLUME_CLAIM
    subresources = {"status": ClaimStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj["spec"]
        if old is None:
            obj["status"] = {"phase": "Pending"}
        else:
            obj["status"] = old.get("status", {})
        before = None if old is None else old["spec"]
        drop_disabled_sources(spec, before)
        normalize_data_sources(spec)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        yield from validate_claim_spec(obj["spec"], "spec", None if old is None else old["spec"])
        if old is not None:
            yield from _validate_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        if OLD_CLASS in (obj["metadata"].get("annotations") or ()):
            yield OLD_CLASS_WARNING
        yield from claim_spec_warnings(obj["spec"], "spec")

    def fields(self, obj: Object) -> dict[str, str]:
        return {"name": obj["metadata"].get("name", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        bound = bool(spec.get("volumeName"))
        capacity = str(Quantity.parse((status.get("capacity") or {}).get("storage", "0"))) if bound else ""
        return [
            meta["name"],
            "Terminating" if "deletionTimestamp" in meta else status.get("phase", ""),
            spec.get("volumeName", ""),
            capacity,
            access_modes_cell(status.get("accessModes")) if bound else "",
            class_of(obj),
            spec.get("volumeAttributesClassName", "<unset>"),
            age(meta.get("creationTimestamp"), now),
            spec.get("volumeMode", "<unset>"),
        ]


def drop_disabled_sources(spec: Object, old: Object | None) -> None:
    """Sources in other namespaces are an alpha feature; foreign kinds are possible by dataSourceRef alone."""
    had_ref = old is not None and old.get("dataSourceRef") is not None
    if (spec.get("dataSourceRef") or {}).get("namespace") and not had_ref:
        del spec["dataSourceRef"]
    in_use = had_ref or (old is not None and old.get("dataSource") is not None)
    source = spec.get("dataSource")
    if source is None or in_use or spec.get("dataSourceRef") is not None:
        return
    kind, group = source.get("kind", ""), source.get("apiGroup") or ""
    if (kind, group) not in (("PersistentVolumeClaim", ""), _SNAPSHOT):
        del spec["dataSource"]


def normalize_data_sources(spec: Object) -> None:
    """dataSource and dataSourceRef say the same where only one is given."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = _local_reference(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = _local_reference(reference)


def _local_reference(reference: Object) -> Object:
    return {
        "apiGroup": reference.get("apiGroup"), "kind": reference.get("kind", ""), "name": reference.get("name", "")
    }


def validate_claim_spec(spec: Object, path: str, old: Object | None = None) -> Iterator[FieldError]:
    """The rules of a claim's spec, also of one in a template."""
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        stored = (old or {}).get("selector")
        lenient = stored is not None and any(True for _ in validate_label_selector(stored, ""))
        yield from validate_label_selector(spec["selector"], f"{path}.selector", allow_invalid_values=lenient)
    yield from validate_access_modes(modes, f"{path}.accessModes")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    where = f"{path}.resources[storage]"
    if storage is None:
        yield required(where)
    else:
        yield from list(validate_positive(storage, where)) or validate_amount("storage", storage, where)
    if spec.get("storageClassName"):
        yield from named(names.is_dns1123_subdomain, spec["storageClassName"], f"{path}.storageClassName")
    if spec.get("volumeMode") is not None:
        yield from one_of(spec["volumeMode"], VOLUME_MODES, f"{path}.volumeMode")
    yield from _validate_sources(spec, path, old)
    if spec.get("volumeAttributesClassName"):
        attributes = spec["volumeAttributesClassName"]
        yield from named(names.is_dns1123_subdomain, attributes, f"{path}.volumeAttributesClassName")


def _validate_sources(spec: Object, path: str, old: Object | None) -> Iterator[FieldError]:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    stored = [(old or {}).get(name) or {} for name in ("dataSource", "dataSourceRef")]
    any_group = any(one.get("apiGroup") is not None for one in stored)
    for name, one in (("dataSource", source), ("dataSourceRef", reference)):
        if one is not None:
            yield from _validate_source(one, f"{path}.{name}", any_group=any_group)
    if source is None or reference is None:
        return
    if reference.get("namespace"):
        yield invalid(path, Verbatim("{}"), "may not be specified when dataSourceRef.namespace is specified")
    elif _local_reference(source) != _local_reference(reference):
        yield invalid(path, Verbatim("{}"), "must match dataSourceRef")


def _validate_source(source: Object, path: str, *, any_group: bool) -> Iterator[FieldError]:
    yield from required_texts(source, path, "name", "kind")
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        yield invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group and not any_group:
        yield from named(names.is_dns1123_subdomain, group, f"{path}.apiGroup")
    if source.get("namespace"):
        yield from named(names.is_dns1123_label, source["namespace"], f"{path}.namespace")


def _validate_update(obj: Object, old: Object) -> Iterator[FieldError]:
    yield from _validate_class_annotation(obj, old)
    spec, before = _comparable(obj, old)
    if spec != before:
        yield forbidden("spec", f"{_SPEC_FIXED}\n{field_diff(before, spec)}")
    size, old_size = (_storage((o["spec"].get("resources") or {}).get("requests")) for o in (obj, old))
    if size < old_size and size <= _storage((old.get("status") or {}).get("capacity")):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    yield from immutable(obj["spec"].get("volumeMode"), old["spec"].get("volumeMode"), "volumeMode")
    if obj["spec"].get("volumeAttributesClassName") == "" and old["spec"].get("volumeAttributesClassName"):
        yield forbidden(_ATTRIBUTES, "update from non-nil value to an empty string is forbidden")


def _storage(amounts: dict[str, str] | None) -> Quantity:
    return Quantity.parse((amounts or {}).get("storage", "0")) if amounts else _ZERO


def _class_annotations(obj: Object, old: Object) -> tuple[str | None, str | None]:
    new_annotations, old_annotations = (o["metadata"].get("annotations") or {} for o in (obj, old))
    return new_annotations.get(OLD_CLASS), old_annotations.get(OLD_CLASS)


def _moves_class(obj: Object, old: Object) -> bool:
    """The class moves from the old annotation into the field."""
    annotation, old_annotation = _class_annotations(obj, old)
    return (
        old_annotation is not None
        and "storageClassName" not in old["spec"]
        and obj["spec"].get("storageClassName") == old_annotation
        and annotation in (None, old_annotation)
    )


def _validate_class_annotation(obj: Object, old: Object) -> Iterator[FieldError]:
    annotation, old_annotation = _class_annotations(obj, old)
    if annotation != old_annotation and not _moves_class(obj, old):
        yield invalid(f"metadata.annotations[{OLD_CLASS}]", annotation or "", "field is immutable")


def _comparable(obj: Object, old: Object) -> tuple[Object, Object]:
    """Both specs with what may change made equal."""
    spec, before = dict(obj["spec"]), dict(old["spec"])
    normalize_data_sources(before)
    if not before.get("volumeName"):
        _same(before, spec, "volumeName")
    _, old_annotation = _class_annotations(obj, old)
    if _moves_class(obj, old):
        spec.pop("storageClassName", None)
    elif (
        "storageClassName" in spec
        and "storageClassName" not in before
        and old_annotation in (None, spec["storageClassName"])
    ):
        del spec["storageClassName"]
    if (obj.get("status") or {}).get("phase") == "Bound":
        requests = (spec.get("resources") or {}).get("requests")
        if requests is not None:
            old_requests = (before.get("resources") or {}).get("requests") or {}
            spec["resources"] = {**spec["resources"], "requests": {**requests, **_only_storage(old_requests)}}
        _same(spec, before, "volumeAttributesClassName")
    return spec, before


def _same(target: Object, source: Object, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _only_storage(requests: dict[str, str]) -> dict[str, str]:
    return {"storage": requests["storage"]} if "storage" in requests else {}


def _validate_resource_key(name: str, path: str) -> Iterator[FieldError]:
    problems = names.is_qualified_name(name)
    for text in problems:
        yield invalid(path, name, text)
    if not problems and is_native(name) and name != "storage":
        yield not_supported(path, name, ("storage",))


def claim_spec_warnings(spec: Object, path: str) -> Iterator[str]:
    """Amounts of bytes must be whole."""
    for kind in ("requests", "limits"):
        text = ((spec.get("resources") or {}).get(kind) or {}).get("storage")
        if text is not None and Quantity.parse(text).milli % 1000:
            amount = str(Quantity.parse(text))
            yield f'{path}.resources.{kind}[storage]: fractional byte value "{amount}" is invalid, must be an integer'
