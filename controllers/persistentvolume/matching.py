"""Which volume fits a claim: pure functions over the claim, the volumes and nothing else.

Follows: staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go and the index beside upstream's binder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a claim asks of volumes, read once for many of them."""

    claim: View
    size: Quantity
    access_modes: frozenset[str]
    class_name: str
    selector: LabelSelector | None

    def fits(self, volume: View) -> bool:
        """Whether the volume could serve, be it free or not."""
        if volume["spec"].get("claimRef") and not is_bound_to(volume, self.claim):
            return False
        if is_deleting(volume) or modes_differ(self.claim, volume) or not self.access_modes <= _access_modes(volume):
            return False
        return capacity_of(volume) >= self.size and _attributes_class(self.claim) == _attributes_class(volume)

    def takes(self, volume: View) -> bool:
        """Whether a volume that nobody has reserved may be taken."""
        if phase_of(volume) != "Available" or class_of(volume) != self.class_name:
            return False
        return self.selector is None or self.selector.matches(labels_of(volume))


def best_match(claim: View, volumes: Iterable[Object], *, is_delayed: bool) -> Object | None:
    """The volume to bind: of those with the fewest access modes one reserved for the claim, else the smallest free one.

    With `is_delayed` only a reserved volume counts, for the scheduler chooses among the free ones.
    """
    selector = claim["spec"].get("selector")
    wish = _Wish(
        claim,
        requested(claim),
        _access_modes(claim),
        class_of(claim),
        None if selector is None else from_label_selector(selector),
    )
    best: Object | None = None
    best_rank: tuple[int, bool, Quantity, str] | None = None
    for volume in volumes:
        if not wish.fits(volume):
            continue
        is_free = not is_bound_to(volume, claim)
        if is_free and (is_delayed or not wish.takes(volume)):
            continue
        rank = (len(_access_modes(volume)), is_free, capacity_of(volume) if is_free else ZERO, name_of(volume))
        if best_rank is None or rank < best_rank:
            best, best_rank = volume, rank
    return best


def _access_modes(obj: View) -> frozenset[str]:
    return frozenset(obj["spec"].get("accessModes") or ())


def _attributes_class(obj: View) -> str:
    return obj["spec"].get("volumeAttributesClassName") or ""


def _mode(obj: View) -> Any:
    return obj["spec"].get("volumeMode") or "Filesystem"


def _storage(amounts: View | None) -> Quantity:
    text = (amounts or {}).get("storage")
    return ZERO if text is None else Quantity.parse(text)
