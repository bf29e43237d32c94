"""Which volume fits a claim: pure functions over the claim, the volumes and nothing else.

Follows: staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go and the index beside upstream's binder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controllers.runtime.objects import Object, View, annotations_of, is_deleting, labels_of, name_of, uid_of
from openapi.meta.quantity import ZERO, Quantity
from openapi.meta.selectors import LabelSelector, from_label_selector

CLASS = "volume.beta.kubernetes.io/storage-class"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def class_of(obj: View) -> str:
    """The class of a claim or a volume; '' for none. The old annotation wins."""
    annotation = annotations_of(obj).get(CLASS)
    return annotation if annotation is not None else obj["spec"].get("storageClassName") or ""


def has_class(claim: View) -> bool:
    """Whether the claim says anything about its class, even that it wants none."""
    return CLASS in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


def phase_of(obj: View) -> str:
    return str((obj.get("status") or {}).get("phase", ""))


def requested(claim: View) -> Quantity:
    return _storage((claim["spec"].get("resources") or {}).get("requests"))


def capacity_of(volume: View) -> Quantity:
    return _storage(volume["spec"].get("capacity"))


def is_bound_to(volume: View, claim: View) -> bool:
    """Whether the volume is reserved for this claim, with or without its uid."""
    reference = volume["spec"].get("claimRef")
    if not reference:
        return False
    metadata = claim["metadata"]
    if reference.get("name") != metadata["name"] or reference.get("namespace") != metadata["namespace"]:
        return False
    return reference.get("uid", "") in ("", uid_of(claim))


def modes_differ(claim: View, volume: View) -> bool:
    """Whether one is a block device and the other a file system."""
    return bool(_mode(claim) != _mode(volume))


def mismatch(claim: View, volume: View) -> str:
    """Why the volume that the claim names does not satisfy it; '' if it does."""
    if capacity_of(volume) < requested(claim):
        return "requested PV is too small"
    if class_of(claim) != class_of(volume):
        return "storageClassName does not match"
    if _attributes_class(claim) != _attributes_class(volume):
        return "volumeAttributesClassName does not match"
    if modes_differ(claim, volume):
        return "incompatible volumeMode"
    if not _access_modes(claim) <= _access_modes(volume):
        return "incompatible accessMode"
    return ""


def best_match(claim: View, volumes: Iterable[Object], *, is_delayed: bool) -> Object | None:
    """The volume to bind: one reserved for the claim, else the smallest free one with the fewest access modes.

    With `is_delayed` only a reserved volume counts, for the scheduler chooses among the free ones.
    """
    wanted = _access_modes(claim)
    groups: dict[frozenset[str], list[Object]] = {}
    for volume in sorted(volumes, key=name_of):
        modes = _access_modes(volume)
        if wanted <= modes:
            groups.setdefault(modes, []).append(volume)
    for modes in sorted(groups, key=len):
        found = _best_of(claim, groups[modes], is_delayed)
        if found is not None:
            return found
    return None


def _best_of(claim: View, volumes: Iterable[Object], is_delayed: bool) -> Object | None:
    size, class_name = requested(claim), class_of(claim)
    selector = _selector(claim)
    best: Object | None = None
    for volume in volumes:
        if volume["spec"].get("claimRef") and not is_bound_to(volume, claim):
            continue
        if capacity_of(volume) < size or not _may_hold(claim, volume):
            continue
        if is_bound_to(volume, claim):
            return volume
        if is_delayed or not _is_free(volume, class_name, selector):
            continue
        if best is None or capacity_of(volume) < capacity_of(best):
            best = volume
    return best


def _may_hold(claim: View, volume: View) -> bool:
    if modes_differ(claim, volume) or is_deleting(volume):
        return False
    return _attributes_class(claim) == _attributes_class(volume)


def _is_free(volume: View, class_name: str, selector: LabelSelector | None) -> bool:
    if phase_of(volume) != "Available" or class_of(volume) != class_name:
        return False
    return selector is None or selector.matches(labels_of(volume))


def _selector(claim: View) -> LabelSelector | None:
    spec = claim["spec"].get("selector")
    return None if spec is None else from_label_selector(spec)


def _access_modes(obj: View) -> frozenset[str]:
    return frozenset(obj["spec"].get("accessModes") or ())


def _attributes_class(obj: View) -> str:
    return obj["spec"].get("volumeAttributesClassName") or ""


def _mode(obj: View) -> Any:
    return obj["spec"].get("volumeMode") or "Filesystem"


def _storage(amounts: View | None) -> Quantity:
    text = (amounts or {}).get("storage")
    return ZERO if text is None else Quantity.parse(text)
