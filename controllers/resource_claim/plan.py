"""What a pod's resource claims are called, which it still lacks, and which of a claim's reservations are over: pure.

Follows: pkg/controller/resourceclaim/controller.go, staging/src/k8s.io/dynamic-resource-allocation/resourceclaim
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.runtime.kinds import PODS
from controllers.runtime.objects import Object, View, controller_of, controller_reference, is_deleting, namespace_of

POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
FINALIZER = "resource.kubernetes.io/delete-protection"
MOST_CONSUMERS = 256
_LONGEST_BASE = 57


def pod_claims(pod: View) -> Iterator[View]:
    return iter(pod["spec"].get("resourceClaims") or ())


def claim_name(pod: View, pod_claim: View) -> tuple[str | None, bool]:
    """The claim's name, None while it is not known, and whether it was generated; ('', True): none is needed."""
    if pod_claim.get("resourceClaimName") is not None:
        return str(pod_claim["resourceClaimName"]), False
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status["name"] == pod_claim["name"]:
            return str(status.get("resourceClaimName") or ""), True
    return None, True


def claim_names(pod: View) -> Iterator[str]:
    """`namespace/name` of the pod's claims as far as they are known, that of extended resources included."""
    extended = ((pod.get("status") or {}).get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    if extended:
        yield f"{namespace_of(pod)}/{extended}"
    for pod_claim in pod_claims(pod):
        name, _ = claim_name(pod, pod_claim)
        if name:
            yield f"{namespace_of(pod)}/{name}"


def is_done(pod: View) -> bool:
    """Whether none of its containers runs or ever will."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    return is_deleting(pod) and not pod["spec"].get("nodeName")


def owning_pod(claim: View) -> View | None:
    """The reference to the pod that the claim was made for."""
    reference = controller_of(claim)
    is_pod = reference is not None and reference.get("kind") == "Pod" and reference.get("apiVersion") == "v1"
    return reference if is_pod else None


def claim_from_template(pod: View, pod_claim: View, template: View) -> Object:
    """The claim that the template describes, for this pod."""
    name, claim = pod["metadata"]["name"], pod_claim["name"]
    base = f"{name}-{claim}-"
    if len(base) > _LONGEST_BASE:
        # Both names are shortened in proportion, so that something of each remains.
        size = len(base)
        base = f"{name[: len(name) * _LONGEST_BASE // size]}-{claim[: len(claim) * _LONGEST_BASE // size]}"
    wanted = template["spec"].get("metadata") or {}
    metadata: Object = {
        "generateName": base,
        "namespace": namespace_of(pod),
        "annotations": {**(wanted.get("annotations") or {}), POD_CLAIM: claim},
        "ownerReferences": [controller_reference(PODS, pod)],
    }
    if wanted.get("labels"):
        metadata["labels"] = wanted["labels"]
    return {
        "kind": "ResourceClaim",
        "apiVersion": "resource.k8s.io/v1",
        "metadata": metadata,
        "spec": template["spec"]["spec"],
    }


def reserved_for(pod: View, claim: View) -> Object | None:
    """The claim with the pod among its consumers; None if it is, or may not be."""
    status = claim.get("status") or {}
    consumers = list(status.get("reservedFor") or ())
    uid = pod["metadata"]["uid"]
    if any(consumer.get("uid") == uid for consumer in consumers):
        return None
    if status.get("allocation") is None or len(consumers) >= MOST_CONSUMERS:
        return None
    consumers.append({"resource": "pods", "name": pod["metadata"]["name"], "uid": uid})
    return {**claim, "status": {**status, "reservedFor": consumers}}


def released_claim(claim: View, remaining: list[View]) -> Object:
    """The claim with these consumers only; the last one's end frees what was allocated."""
    status = {**(claim.get("status") or {})}
    status.pop("reservedFor", None)
    if remaining:
        status["reservedFor"] = remaining
    elif FINALIZER in (claim["metadata"].get("finalizers") or ()):
        status.pop("allocation", None)
    return {**claim, "status": status}


def unprotected_claim(claim: View) -> Object:
    """The claim without the finalizer that an allocation needs."""
    finalizers = [found for found in claim["metadata"].get("finalizers") or () if found != FINALIZER]
    return {**claim, "metadata": {**claim["metadata"], "finalizers": finalizers}}
