"""Volume attachments: the wish that a volume be attached to a node, and how far that is.

Follows: pkg/registry/storage/volumeattachment/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core.persistentvolumes import validate_access_modes
from apiserver.resources.core.volume_sources import validate_csi_driver_name, validate_volume_sources
from apiserver.resources.field_rules import IMMUTABLE, named
from apiserver.resources.node_selectors import validate_node_selector
from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.storage.columns import VOLUME_ATTACHMENT
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, required, too_long
from openapi.meta.names import is_dns1123_subdomain, name_is_dns_subdomain, range_text, size

Struct = Mapping[str, Any]

MAX_METADATA_BYTES = 256 * 1024
MAX_ERROR_BYTES = 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
_INLINE = "may not be specified in the context of inline volumes"


def _validate(obj: Struct) -> Iterator[FieldError]:
    spec, status = obj.get("spec") or EMPTY, obj.get("status") or EMPTY
    yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
    yield from validate_csi_driver_name(spec.get("attacher", ""), "spec.attacher")
    yield from _validate_source(spec.get("source") or EMPTY, "spec.source")
    yield from named(is_dns1123_subdomain, spec.get("nodeName", ""), "spec.nodeName")
    yield from _validate_status(status)


class VolumeAttachmentStatus(StatusOnly):
    allow_unconditional_update = False

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        return _validate(obj)


class VolumeAttachmentStrategy(WithStatus):
    allow_unconditional_update = False
    returns_deleted = True
    generation = False
    subresources = {"status": VolumeAttachmentStatus()}
    columns = VOLUME_ATTACHMENT

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"attached": False}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        yield from _validate(obj)
        if old is not None and spec != (old.get("spec") or EMPTY):
            yield invalid("spec", _shown(spec), IMMUTABLE)
        name = (spec.get("source") or EMPTY).get("persistentVolumeName")
        if old is None and name:
            yield from named(is_dns1123_subdomain, name, "spec.source.persistentVolumeName")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        return [
            meta.get("name", ""),
            spec.get("attacher", ""),
            (spec.get("source") or EMPTY).get("persistentVolumeName", ""),
            spec.get("nodeName", ""),
            (obj.get("status") or EMPTY).get("attached", False),
            age(meta.get("creationTimestamp"), now),
        ]


def _validate_source(source: Struct, path: str) -> Iterator[FieldError]:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        yield required(path, _ONE_SOURCE)
    elif name is not None and inline is not None:
        yield forbidden(path, _ONE_SOURCE)
    elif name is not None:
        if not name:
            yield required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif inline is not None:
        yield from _validate_inline(inline, f"{path}.inlineVolumeSpec")


def _validate_inline(spec: Object, path: str) -> Iterator[FieldError]:
    """The spec of a volume that has no object of its own."""
    if spec.get("claimRef") is not None:
        yield forbidden(f"{path}.claimRef", _INLINE)
    if spec.get("capacity"):
        yield forbidden(f"{path}.capacity", _INLINE)
    if spec.get("csi") is None:
        yield required(f"{path}.csi", "has to be specified in the context of inline volumes")
    if not spec.get("accessModes"):
        yield required(f"{path}.accessModes")
    yield from validate_access_modes(spec.get("accessModes") or (), f"{path}.accessModes")
    if spec.get("persistentVolumeReclaimPolicy"):
        yield forbidden(f"{path}.persistentVolumeReclaimPolicy", _INLINE)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            yield required(f"{path}.nodeAffinity.required", "must specify required node constraints")
        else:
            yield from validate_node_selector(affinity["required"], f"{path}.nodeAffinity.required")
    yield from validate_volume_sources(spec, "", path)
    if spec.get("storageClassName"):
        yield forbidden(f"{path}.storageClassName", _INLINE)
    if spec.get("volumeMode") is not None:
        yield forbidden(f"{path}.volumeMode", _INLINE)


def _validate_status(status: Struct) -> Iterator[FieldError]:
    metadata = status.get("attachmentMetadata") or {}
    if sum(size(k) + size(v) for k, v in metadata.items()) > MAX_METADATA_BYTES:
        yield too_long("status.attachmentMetadata", MAX_METADATA_BYTES)
    for name in ("attachError", "detachError"):
        error = status.get(name) or EMPTY
        if size(error.get("message", "")) > MAX_ERROR_BYTES:
            yield too_long(f"status.{name}.message", MAX_METADATA_BYTES)
        code = error.get("errorCode", 0)
        if code < 0:
            yield invalid(f"status.{name}.errorCode", code, range_text(0, 2**31 - 1))


def _shown(spec: Struct) -> Any:
    source = spec.get("source") or EMPTY
    names = {"PersistentVolumeName": source.get("persistentVolumeName")}
    shown = {**names, "InlineVolumeSpec": source.get("inlineVolumeSpec")}
    return verbatim({"Attacher": spec.get("attacher", ""), "Source": shown, "NodeName": spec.get("nodeName", "")})
