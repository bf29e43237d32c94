"""PersistentVolumes: storage of a cluster. Its source never changes, its phase has a time.

Follows: pkg/registry/core/persistentvolume/strategy.go, pkg/api/persistentvolume/util.go,
pkg/apis/core/validation/validation.go ValidatePersistentVolume
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.core.changes import field_diff
from apiserver.resources.core.volume_sources import source_of, validate_volume_sources
from apiserver.resources.field_rules import immutable, named, one_of
from apiserver.resources.node_selectors import (
    DEPRECATED_LABELS,
    has_invalid_label_values,
    node_selector_term_warnings,
    validate_node_selector,
)
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource_names import validate_basic, validate_positive
from apiserver.resources.strategy import Object, StatusOf, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, Verbatim, forbidden, format_value, invalid, not_supported, required
from openapi.meta.quantity import Quantity
from openapi.meta.times import format_time

ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
OLD_CLASS_WARNING = (
    f'metadata.annotations[{OLD_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
)
MOUNTABLE = frozenset(
    (
        "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "cinder", "cephfs",
        "azureFile", "vsphereVolume", "azureDisk", "storageos",
    )
)
_RETIRED = (
    ("cephfs", "spec.cephfs: deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "spec.scaleIO: deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "spec.storageOS: deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "spec.rbd: deprecated in v1.28, non-functional in v1.31+"),
)
_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach "
    "is to use dynamic provisioning."
)
_ANNOTATION_WARNINGS = {
    OLD_CLASS: OLD_CLASS_WARNING,
    MOUNT_OPTIONS: (
        f'metadata.annotations[{MOUNT_OPTIONS}]: deprecated since v1.31; use "mountOptions" attribute instead'
    ),
}
_ROOTS = ("/", "//")
_SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


class VolumeStatus(StatusOf):
    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """The time of the last change of phase is kept here, unless the client sets one."""
        super().prepare(obj, old, context)
        assert old is not None
        new_status, old_status = obj.setdefault("status", {}), old.get("status") or {}
        time, old_time = new_status.get("lastPhaseTransitionTime"), old_status.get("lastPhaseTransitionTime")
        if new_status.get("phase", "") == old_status.get("phase", ""):
            if time is None and old_time is not None:
                new_status["lastPhaseTransitionTime"] = old_time
        elif time is None or time == old_time:
            new_status["lastPhaseTransitionTime"] = format_time(context.now)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])


class PersistentVolumes(Strategy):
    reset_fields = (("status",),)
    returns_deleted = True
    columns = columns.VOLUME
    subresources = {"status": VolumeStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        if old is None:
            obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": format_time(context.now)}
        else:
            obj["status"] = old.get("status", {})

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        stored = None if old is None else old["spec"]
        of_any = list(_validate_volume(obj, stored))
        yield from of_any
        yield from _validate_mount_options(obj)
        if stored is not None:
            # An update is checked as a new object and as a change, which begins with the same rules.
            yield from of_any
            yield from _validate_update(obj["spec"], stored)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return volume_warnings(obj)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"name": obj["metadata"].get("name", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        claim = spec.get("claimRef")
        deleted = "deletionTimestamp" in meta
        return [
            meta["name"],
            str(Quantity.parse((spec.get("capacity") or {}).get("storage", "0"))),
            access_modes_cell(spec.get("accessModes")),
            spec.get("persistentVolumeReclaimPolicy", ""),
            "Terminating" if deleted else status.get("phase", ""),
            "" if claim is None else f"{claim.get('namespace', '')}/{claim.get('name', '')}",
            class_of(obj),
            spec.get("volumeAttributesClassName", "<unset>"),
            status.get("reason", ""),
            age(meta.get("creationTimestamp"), now),
            spec.get("volumeMode", "<unset>"),
        ]


def class_of(obj: Object) -> str:
    """The storage class of a volume or claim; the old annotation counts first."""
    annotations = obj["metadata"].get("annotations") or {}
    return str(annotations.get(OLD_CLASS, obj["spec"].get("storageClassName", "")))


def access_modes_cell(modes: Iterable[str] | None) -> str:
    have = set(modes or ())
    return ",".join(short for mode, short in _SHORT_MODES.items() if mode in have)


def validate_access_modes(modes: Iterable[str], path: str) -> Iterator[FieldError]:
    have = list(modes)
    for mode in have:
        yield from one_of(mode, ACCESS_MODES, path)
    if "ReadWriteOncePod" in have and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in have):
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def validate_volume_spec(volume: Object, old_spec: Object | None) -> Iterator[FieldError]:
    spec = volume["spec"]
    if not spec.get("accessModes"):
        yield required("spec.accessModes")
    yield from validate_access_modes(spec.get("accessModes") or (), "spec.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        yield not_supported("spec.capacity", capacity or None, ("storage",))
    for name in sorted(capacity):
        yield from validate_basic(capacity[name], f"spec.capacity[{name}]")
        yield from validate_positive(capacity[name], f"spec.capacity[{name}]")
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy:
        yield from one_of(policy, ("Delete", "Recycle", "Retain"), "spec.persistentVolumeReclaimPolicy")
    yield from _validate_affinity(spec.get("nodeAffinity"), old_spec)
    yield from validate_volume_sources(spec, volume["metadata"].get("name", ""), "spec")
    host_path = (spec.get("hostPath") or {}).get("path")
    if host_path is not None and policy == "Recycle" and posixpath.normpath(host_path) in _ROOTS:
        text = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", text)
    if spec.get("storageClassName"):
        yield from named(names.is_dns1123_subdomain, spec["storageClassName"], "spec.storageClassName")
    if spec.get("volumeMode") is not None:
        yield from one_of(spec["volumeMode"], VOLUME_MODES, "spec.volumeMode")
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        if attributes:
            yield from named(names.is_dns1123_subdomain, attributes, "spec.volumeAttributesClassName")
        else:
            yield required("spec.volumeAttributesClassName", "an empty string is disallowed")
        if spec.get("csi") is None:
            yield required("spec.csi", "has to be specified when using volumeAttributesClassName")


def _validate_volume(volume: Object, old_spec: Object | None) -> Iterator[FieldError]:
    yield from validate_object_meta(volume["metadata"], namespaced=False, name=names.name_is_dns_subdomain)
    yield from validate_volume_spec(volume, old_spec)


def _validate_affinity(affinity: Object | None, old_spec: Object | None) -> Iterator[FieldError]:
    if affinity is None:
        return
    selector = affinity.get("required")
    if selector is None:
        yield required("spec.nodeAffinity.required", "must specify required node constraints")
        return
    stored = ((old_spec or {}).get("nodeAffinity") or {}).get("required") or {}
    lenient = has_invalid_label_values(stored.get("nodeSelectorTerms"))
    yield from validate_node_selector(selector, "spec.nodeAffinity.required", allow_invalid_values=lenient)


def _validate_mount_options(volume: Object) -> Iterator[FieldError]:
    annotations = volume["metadata"].get("annotations") or ()
    if MOUNT_OPTIONS in annotations and not MOUNTABLE & source_of(volume["spec"]).keys():
        yield forbidden(f"metadata.annotations.{MOUNT_OPTIONS}", "may not specify mount options for this volume type")


def _validate_update(spec: Object, old: Object) -> Iterator[FieldError]:
    new_source, old_source = source_of(spec), source_of(old)
    csi, old_csi = new_source.get("csi"), old_source.get("csi")
    if csi is not None and old_csi is not None and "controllerExpandSecretRef" not in old_csi:
        new_source["csi"] = {k: v for k, v in csi.items() if k != "controllerExpandSecretRef"}
    if new_source != old_source:
        text = "spec.persistentvolumesource is immutable after creation\n" + field_diff(old_source, new_source)
        yield forbidden("spec.persistentvolumesource", text)
    yield from immutable(spec.get("volumeMode"), old.get("volumeMode"), "volumeMode")
    affinity, old_affinity = spec.get("nodeAffinity"), old.get("nodeAffinity")
    if old_affinity is not None and not _same_affinity(affinity, old_affinity):
        text = "field is immutable, except for updating from beta label to GA"
        yield invalid("nodeAffinity", _shown_affinity(affinity), text)


_NEW_LABELS = {old: text.split('"')[1] for old, text in DEPRECATED_LABELS.items()}


def _same_affinity(new: Object | None, old: Object) -> bool:
    """Equal but for labels that were replaced by their newer names."""
    return new == old or (new is not None and _renamed(old, new) == new)


def _renamed(old: Object, new: Object) -> Object:
    """`old` with the newer name of each label that `new` has in its place."""
    terms, new_terms = (a.get("required", {}).get("nodeSelectorTerms") or [] for a in (old, new))
    if len(terms) != len(new_terms):
        return old
    renamed = [{**term, **_renamed_term(term, new_term)} for term, new_term in zip(terms, new_terms, strict=True)]
    return {**old, "required": {**old["required"], "nodeSelectorTerms": renamed}}


def _renamed_term(term: Object, new_term: Object) -> Object:
    expressions, wanted = term.get("matchExpressions") or [], new_term.get("matchExpressions") or []
    if not expressions or len(expressions) != len(wanted):
        return {}
    return {
        "matchExpressions": [
            {**one, "key": other["key"]} if _NEW_LABELS.get(one.get("key", "")) == other.get("key") else one
            for one, other in zip(expressions, wanted, strict=True)
        ]
    }


def _shown_affinity(affinity: Object | None) -> Any:
    if affinity is None:
        return None
    terms = ",".join(
        f'{{"MatchExpressions":{_shown_requirements(term.get("matchExpressions"))},'
        f'"MatchFields":{_shown_requirements(term.get("matchFields"))}}}'
        for term in (affinity.get("required") or {}).get("nodeSelectorTerms") or ()
    )
    return Verbatim('{"Required":{"NodeSelectorTerms":[' + terms + "]}}")


def _shown_requirements(requirements: list[Object] | None) -> str:
    if not requirements:
        return "null"
    shown = (
        f'{{"Key":{format_value(one.get("key", ""))},"Operator":{format_value(one.get("operator", ""))},'
        f'"Values":{format_value(one.get("values"))}}}'
        for one in requirements
    )
    return "[" + ",".join(shown) + "]"


def volume_warnings(volume: Object) -> Iterator[str]:
    spec = volume["spec"]
    annotations = volume["metadata"].get("annotations") or ()
    yield from (text for name, text in _ANNOTATION_WARNINGS.items() if name in annotations)
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield _RECYCLE
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for i, term in enumerate(terms):
        yield from node_selector_term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
    for field, text in _RETIRED:
        if spec.get(field) is not None:
            yield text
