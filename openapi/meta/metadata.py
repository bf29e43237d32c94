"""The rules of `metadata`, the same for every kind.

Follows: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go,
pkg/apis/meta/v1/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from openapi.meta.field import FieldError, Verbatim, duplicate, forbidden, invalid, not_supported, required, too_long
from openapi.meta.names import (
    NameValidator,
    is_label_value,
    is_qualified_name,
    name_is_dns_label,
    name_is_dns_subdomain,
    name_is_path_segment,
    regex_text,
    size,
)

__all__ = [
    "IMMUTABLE",
    "NameValidator",
    "name_is_dns_label",
    "name_is_dns_subdomain",
    "name_is_path_segment",
    "validate_annotations",
    "validate_conditions",
    "validate_field_manager",
    "validate_immutable",
    "validate_label_name",
    "validate_labels",
    "validate_object_meta",
    "validate_object_meta_update",
]

Meta = Mapping[str, Any]

IMMUTABLE = "field is immutable"
MAX_ANNOTATIONS_BYTES = 256 * 1024
MAX_MANAGER_BYTES = 128
MAX_SUBRESOURCE_BYTES = 256
_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_REFERENCE_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_IMMUTABLE_TEXTS = ("name", "namespace", "uid")
_IMMUTABLE_VALUES = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate_object_meta(
    meta: Meta, *, namespaced: bool, name: NameValidator, path: str = "metadata"
) -> Iterator[FieldError]:
    """What is wrong with the metadata of an object about to be created, its name already generated."""
    prefix = meta.get("generateName", "")
    if prefix:
        for problem in name(prefix, True):
            yield invalid(f"{path}.generateName", prefix, problem)
    own_name = meta.get("name", "")
    if not own_name:
        yield required(f"{path}.name", "name or generateName is required")
    else:
        for problem in name(own_name, False):
            yield invalid(f"{path}.name", own_name, problem)
    namespace = meta.get("namespace", "")
    if not namespaced:
        if namespace:
            yield forbidden(f"{path}.namespace", "not allowed on this type")
    elif not namespace:
        yield required(f"{path}.namespace")
    else:
        for problem in name_is_dns_label(namespace, False):
            yield invalid(f"{path}.namespace", namespace, problem)
    yield from _common(meta, path)


def _common(meta: Meta, path: str) -> Iterator[FieldError]:
    generation = meta.get("generation", 0)
    if generation < 0:
        yield invalid(f"{path}.generation", generation, "must be greater than or equal to 0")
    if "labels" in meta:
        yield from validate_labels(meta["labels"], f"{path}.labels")
    if "annotations" in meta:
        yield from validate_annotations(meta["annotations"], f"{path}.annotations")
    if "ownerReferences" in meta:
        yield from validate_owner_references(meta["ownerReferences"], f"{path}.ownerReferences")
    if "finalizers" in meta:
        yield from validate_finalizers(meta["finalizers"], f"{path}.finalizers")
    if "managedFields" in meta:
        yield from validate_managed_fields(meta["managedFields"], f"{path}.managedFields")


def validate_object_meta_update(meta: Meta, old_meta: Meta, path: str = "metadata") -> Iterator[FieldError]:
    """What an update may not do to the metadata."""
    if "deletionTimestamp" in old_meta:
        kept = set(old_meta.get("finalizers") or ())
        added = sorted(set(meta.get("finalizers") or ()) - kept)
        if added:
            shown = "[]string{" + ", ".join(f'"{finalizer}"' for finalizer in added) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
            yield forbidden(f"{path}.finalizers", text)
    if not meta.get("resourceVersion"):
        yield invalid(f"{path}.resourceVersion", "", "must be specified for an update")
    generation = meta.get("generation", 0)
    if generation < old_meta.get("generation", 0):
        yield invalid(f"{path}.generation", generation, "must not be decremented")
    for field in _IMMUTABLE_TEXTS:
        yield from validate_immutable(meta.get(field, ""), old_meta.get(field, ""), f"{path}.{field}")
    for field in _IMMUTABLE_VALUES:
        yield from validate_immutable(meta.get(field), old_meta.get(field), f"{path}.{field}")
    if "labels" in meta:
        yield from validate_labels(meta["labels"], f"{path}.labels")
    if "annotations" in meta:
        yield from validate_annotations(meta["annotations"], f"{path}.annotations")
    if "ownerReferences" in meta:
        yield from validate_owner_references(meta["ownerReferences"], f"{path}.ownerReferences")
    if "managedFields" in meta:
        yield from validate_managed_fields(meta["managedFields"], f"{path}.managedFields")


def validate_immutable(value: Any, old_value: Any, path: str) -> Iterator[FieldError]:
    """The field may not change once the object exists."""
    if value != old_value:
        yield invalid(path, value, IMMUTABLE)


def validate_label_name(key: str, path: str) -> Iterator[FieldError]:
    for problem in is_qualified_name(key):
        yield invalid(path, key, problem)


def validate_labels(labels: Mapping[str, str] | None, path: str) -> Iterator[FieldError]:
    for key, value in (labels or {}).items():
        for problem in is_qualified_name(key):
            yield invalid(path, key, problem)
        for problem in is_label_value(value):
            yield invalid(path, value, problem)


def validate_annotations(annotations: Mapping[str, str] | None, path: str) -> Iterator[FieldError]:
    total = 0
    for key, value in (annotations or {}).items():
        for problem in is_qualified_name(key.lower()):
            yield invalid(path, key, problem)
        total += size(key) + size(value)
    if total > MAX_ANNOTATIONS_BYTES:
        yield too_long(path, MAX_ANNOTATIONS_BYTES)


def validate_owner_references(references: Sequence[Meta] | None, path: str) -> Iterator[FieldError]:
    controller = ""
    for reference in references or ():
        yield from _owner_reference(reference, path)
        if reference.get("controller") is not True:
            continue
        name = f"{reference.get('kind', '')}/{reference.get('name', '')}"
        if controller:
            text = (
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{controller} and {name}"
            )
            shown = orjson.dumps([_in_order(r) for r in references or ()]).decode()
            yield invalid(path, Verbatim(shown), text)
        else:
            controller = name


def _in_order(reference: Meta) -> dict[str, Any]:
    return {field: reference[field] for field in _REFERENCE_FIELDS if field in reference}


def _owner_reference(reference: Meta, path: str) -> Iterator[FieldError]:
    api_version = reference.get("apiVersion", "")
    if api_version.count("/") > 1 or not api_version.rpartition("/")[2]:
        yield invalid(f"{path}.apiVersion", api_version, "version must not be empty")
    for field in ("kind", "name", "uid"):
        if not reference.get(field):
            yield invalid(f"{path}.{field}", reference.get(field, ""), "must not be empty")
    if api_version == "v1" and reference.get("kind") == "Event":
        shown = Verbatim(orjson.dumps(_in_order(reference)).decode())
        yield invalid(path, shown, "/v1, Kind=Event is disallowed from being an owner")


def validate_finalizers(finalizers: Sequence[str] | None, path: str) -> Iterator[FieldError]:
    names = finalizers or ()
    for finalizer in names:
        for problem in is_qualified_name(finalizer):
            yield invalid(path, finalizer, problem)
    if _ORPHAN in names and _FOREGROUND in names:
        yield invalid(path, list(names), f"finalizer {_ORPHAN} and {_FOREGROUND} cannot be both set")


def validate_managed_fields(entries: Sequence[Meta] | None, path: str) -> Iterator[FieldError]:
    for index, entry in enumerate(entries or ()):
        operation, fields_type = entry.get("operation", ""), entry.get("fieldsType", "")
        if operation not in ("Apply", "Update"):
            yield invalid(f"{path}[{index}].operation", operation, "must be `Apply` or `Update`")
        if fields_type and fields_type != "FieldsV1":
            yield invalid(f"{path}[{index}].fieldsType", fields_type, "must be `FieldsV1`")
        yield from validate_field_manager(entry.get("manager", ""), f"{path}[{index}].manager")
        if size(entry.get("subresource", "")) > MAX_SUBRESOURCE_BYTES:
            yield too_long(f"{path}[{index}].subresource", MAX_SUBRESOURCE_BYTES)


def validate_field_manager(manager: str, path: str) -> Iterator[FieldError]:
    """A field manager's name: printable and not too long; '' is fine."""
    if size(manager) > MAX_MANAGER_BYTES:
        yield too_long(path, MAX_MANAGER_BYTES)
    if manager.isprintable():
        return
    place = 0
    for character in manager:
        if not character.isprintable():
            text = f"invalid character U+{ord(character):04X} (at position {place})"
            yield invalid(path, manager, text)
        place += size(character)


_CONDITION_STATUSES = ("True", "False", "Unknown")
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_is_reason = re.compile(_REASON).fullmatch
_REASON_PROBLEM = regex_text(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)


def validate_conditions(conditions: Sequence[Meta] | None, path: str) -> Iterator[FieldError]:
    """Conditions of the common form: types once each, and every condition complete."""
    seen: set[str] = set()
    for index, condition in enumerate(conditions or ()):
        kind = condition.get("type", "")
        if kind in seen:
            yield duplicate(f"{path}[{index}].type", kind)
        seen.add(kind)
        yield from _condition(condition, f"{path}[{index}]")


def _condition(condition: Meta, path: str) -> Iterator[FieldError]:
    yield from validate_label_name(condition.get("type", ""), f"{path}.type")
    status = condition.get("status", "")
    if status not in _CONDITION_STATUSES:
        yield not_supported(f"{path}.status", status, _CONDITION_STATUSES)
    if condition.get("observedGeneration", 0) < 0:
        text = "must be greater than or equal to zero"
        yield invalid(f"{path}.observedGeneration", condition["observedGeneration"], text)
    if not condition.get("lastTransitionTime"):
        yield required(f"{path}.lastTransitionTime", "must be set")
    reason = condition.get("reason", "")
    if not reason:
        yield required(f"{path}.reason", "must be set")
    else:
        if not _is_reason(reason):
            yield invalid(f"{path}.reason", reason, _REASON_PROBLEM)
        if size(reason) > 1024:
            yield too_long(f"{path}.reason", 1024)
    if size(condition.get("message", "")) > 32 * 1024:
        yield too_long(f"{path}.message", 32 * 1024)
