"""What plugins ask about claims, volumes and classes of storage.

Follows: staging/src/k8s.io/component-helpers/storage/volume/{helpers,pv_helpers}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from controllers.scheduler.framework import Bools
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.resources import amount
from controllers.scheduler.selection import NodeColumns, NodeSelection, NodeTerm
from controllers.scheduler.world import World
from openapi.meta.selectors import from_label_selector

View = Mapping[str, Any]

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def class_of(obj: View) -> str:
    """The storage class of a claim or volume; '' for none."""
    old = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return str(old if old is not None else obj["spec"].get("storageClassName") or "")


def is_bound(claim: View) -> bool:
    """Whether claim and volume know each other for good."""
    annotations = claim["metadata"].get("annotations") or {}
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations


def waits_for_pod(claim: View, world: World) -> bool:
    """Whether the claim is bound only once a pod that uses it has a node."""
    storage_class = world.storage_classes.get("", class_of(claim))
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def requested_bytes(claim: View) -> int:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return amount("storage", requests["storage"]) if "storage" in requests else 0


def capacity_bytes(volume: View) -> int:
    capacity = volume["spec"].get("capacity") or {}
    return amount("storage", capacity["storage"]) if "storage" in capacity else 0


def claim_problem(pod: PodInfo, world: World) -> str:
    """Why a claim of the pod makes it impossible to run anywhere now; '' if none does."""
    for volume in pod.template.volumes:
        is_ephemeral = "ephemeral" in volume
        if is_ephemeral:
            name = f"{pod.name}-{volume['name']}"
        elif "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
        else:
            continue
        claim = world.claims.get(pod.namespace, name)
        problem = _problem(claim, name, pod if is_ephemeral else None)
        if problem:
            return problem
    return ""


def _problem(claim: View | None, name: str, owner: PodInfo | None) -> str:
    """`owner`: the pod that the claim must have been made for."""
    if claim is None:
        if owner is not None:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return f'persistentvolumeclaim "{name}" not found'
    if (claim.get("status") or {}).get("phase") == "Lost":
        volume = claim["spec"].get("volumeName") or ""
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if "deletionTimestamp" in claim["metadata"]:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if owner is not None:
        owners = claim["metadata"].get("ownerReferences") or ()
        if not any(reference.get("controller") and reference["uid"] == owner.uid for reference in owners):
            return f"PVC {owner.namespace}/{name} was not created for pod {owner.key} (pod is not owner)"
    return ""


def claims_of(pod: PodInfo, world: World) -> list[View]:
    """The claims of the pod that exist."""
    found = (world.claims.get(namespace, name) for namespace, name in pod.template.volume_claims)
    return [claim for claim in found if claim is not None]


def volume_mask(volume: View, columns: NodeColumns) -> Bools | None:
    """The rows that can reach the volume; None: all."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return None if required is None else NodeSelection.of_selector(required).mask(columns)


def topology_mask(terms: Sequence[View] | None, columns: NodeColumns) -> Bools | None:
    """The rows that one of the topology terms of a storage class allows; None: all."""
    if not terms:
        return None
    result = np.zeros(columns.size, dtype=np.bool_)
    for term in terms:
        expressions = term.get("matchLabelExpressions") or ()
        if not expressions:
            continue
        of_term = np.ones(columns.size, dtype=np.bool_)
        for expression in expressions:
            of_term &= columns.label_in(expression["key"], expression.get("values") or ())
        result |= of_term
    return result


def label_selector_mask(selector: View, columns: NodeColumns) -> Bools:
    """The rows whose node labels a `{matchLabels, matchExpressions}` selects."""
    expressions = [
        {"key": key, "operator": "In", "values": [value]} for key, value in (selector.get("matchLabels") or {}).items()
    ]
    expressions += selector.get("matchExpressions") or ()
    if not expressions:
        return np.ones(columns.size, dtype=np.bool_)
    return NodeTerm({"matchExpressions": expressions}).mask(columns)


def is_for(volume: View, claim: View) -> bool:
    """Whether the volume is reserved for the claim."""
    reference = volume["spec"].get("claimRef")
    if not reference:
        return False
    metadata = claim["metadata"]
    same = reference.get("name") == metadata["name"] and reference.get("namespace") == metadata["namespace"]
    return same and (not reference.get("uid") or reference["uid"] == metadata["uid"])


def candidates(claim: View, volumes: Iterable[View]) -> list[View]:
    """The volumes that the claim may be bound to, the best first: its own, then the smallest."""
    wanted_bytes, storage_class = requested_bytes(claim), class_of(claim)
    spec = claim["spec"]
    selector = from_label_selector(spec["selector"]) if spec.get("selector") else None
    modes = set(spec.get("accessModes") or ())
    found: list[tuple[int, str, View]] = []
    for volume in volumes:
        offered = volume["spec"]
        if class_of(volume) != storage_class or capacity_bytes(volume) < wanted_bytes:
            continue
        if (offered.get("volumeMode") or "Filesystem") != (spec.get("volumeMode") or "Filesystem"):
            continue
        if (offered.get("volumeAttributesClassName") or "") != (spec.get("volumeAttributesClassName") or ""):
            continue
        if "deletionTimestamp" in volume["metadata"]:
            continue
        if is_for(volume, claim):
            return [volume]
        if offered.get("claimRef") or (volume.get("status") or {}).get("phase") != "Available":
            continue
        if selector is not None and not selector.matches(volume["metadata"].get("labels")):
            continue
        if modes <= set(offered.get("accessModes") or ()):
            found.append((capacity_bytes(volume), volume["metadata"]["name"], volume))
    return [volume for *_, volume in sorted(found, key=lambda entry: entry[:2])]
