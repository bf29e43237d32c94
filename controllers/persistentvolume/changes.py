"""Claims and volumes as they are once bound, unbound or in another phase: pure, and None where nothing changes.

Follows: pkg/controller/volume/persistentvolume/pv_controller.go, pkg/volume/persistentvolume (bind helpers)
"""

from __future__ import annotations

from controllers.persistentvolume.matching import BIND_COMPLETED, BOUND_BY_CONTROLLER, is_bound_to
from controllers.runtime.objects import Object, View, annotations_of, copy_of, uid_of

PROVISIONER, BETA_PROVISIONER = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)


def bound_volume(volume: View, claim: View) -> Object | None:
    """The volume reserved for exactly this claim."""
    was_bound = is_bound_to(volume, claim)
    has_uid = (volume["spec"].get("claimRef") or {}).get("uid", "") == uid_of(claim)
    has_mark = BOUND_BY_CONTROLLER in annotations_of(volume)
    if was_bound and has_uid:
        return None
    changed: Object = copy_of(volume)
    changed["spec"]["claimRef"] = {
        "kind": "PersistentVolumeClaim",
        "namespace": claim["metadata"]["namespace"],
        "name": claim["metadata"]["name"],
        "uid": uid_of(claim),
        "apiVersion": "v1",
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }
    if not was_bound and not has_mark:
        _annotate(changed, {BOUND_BY_CONTROLLER: "yes"})
    return changed


def bound_claim(claim: View, volume: View) -> Object | None:
    """The claim that names its volume and says that binding is complete."""
    name, annotations = volume["metadata"]["name"], annotations_of(claim)
    names_it = claim["spec"].get("volumeName", "") == name
    if names_it and BIND_COMPLETED in annotations:
        return None
    changed: Object = copy_of(claim)
    changed["spec"]["volumeName"] = name
    if not names_it and BOUND_BY_CONTROLLER not in annotations:
        _annotate(changed, {BOUND_BY_CONTROLLER: "yes"})
    if BIND_COMPLETED not in annotations:
        _annotate(changed, {BIND_COMPLETED: "yes"})
    return changed


def unbound_volume(volume: View) -> Object:
    """The volume free again, or still reserved for the claim if its maker wished so."""
    changed: Object = copy_of(volume)
    annotations = changed["metadata"].get("annotations") or {}
    if BOUND_BY_CONTROLLER in annotations:
        changed["spec"].pop("claimRef", None)
        del annotations[BOUND_BY_CONTROLLER]
        if not annotations:
            changed["metadata"].pop("annotations")
    elif changed["spec"].get("claimRef"):
        changed["spec"]["claimRef"].pop("uid", None)
    return changed


def volume_in_phase(volume: View, phase: str, message: str = "") -> Object | None:
    status = volume.get("status") or {}
    if status.get("phase") == phase:
        return None
    changed = {**status, "phase": phase}
    changed.pop("message", None)
    if message:
        changed["message"] = message
    return {**volume, "status": changed}


def claim_in_phase(claim: View, phase: str, volume: View | None) -> Object | None:
    """The claim's status for that phase; what it got is read from `volume`, and forgotten without one."""
    status = claim.get("status") or {}
    changed = {**status, "phase": phase}
    if volume is None:
        for field in ("accessModes", "capacity", "currentVolumeAttributesClassName"):
            changed.pop(field, None)
    else:
        changed["accessModes"] = volume["spec"].get("accessModes")
        # A bound claim may rightly tell another size than its volume: a file system grows after its device.
        if status.get("phase") != phase:
            changed["capacity"] = volume["spec"].get("capacity")
            attributes_class = volume["spec"].get("volumeAttributesClassName")
            if attributes_class:
                changed["currentVolumeAttributesClassName"] = attributes_class
    return None if changed == status else {**claim, "status": changed}


def provisioned_by(claim: View, provisioner: str) -> Object | None:
    """The claim that calls for an external provisioner."""
    if annotations_of(claim).get(PROVISIONER) == provisioner:
        return None
    changed: Object = copy_of(claim)
    _annotate(changed, {BETA_PROVISIONER: provisioner, PROVISIONER: provisioner})
    return changed


def _annotate(obj: Object, annotations: View) -> None:
    metadata = obj["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
