"""The claims of a StatefulSet's pods: what they look like, and whom they belong to by the retention policy.

Follows: pkg/controller/statefulset/stateful_set_utils.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.runtime.kinds import PODS, STATEFUL_SETS
from controllers.runtime.objects import (
    Object,
    View,
    controller_of,
    controller_reference,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)
from controllers.statefulset.identity import claim_name, claim_templates, is_in_range, ordinal_of

RETAIN, DELETE = "Retain", "Delete"


def claims_of(stateful_set: View, pod: View) -> list[Object]:
    """The claims that the pod needs, one for each template."""
    selector: Mapping[str, str] = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    ordinal, made = ordinal_of(pod), []
    for template in claim_templates(stateful_set):
        metadata = {
            **template["metadata"],
            "name": claim_name(stateful_set, template, ordinal),
            "namespace": namespace_of(stateful_set),
            "labels": {**labels_of(template), **selector},
        }
        claim = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", **template, "metadata": metadata}
        claim.pop("status", None)
        made.append(claim)
    return made


def policy_of(stateful_set: View) -> tuple[str, str]:
    """What becomes of claims: when the set is deleted, and when it is scaled down."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted", RETAIN), policy.get("whenScaled", RETAIN)


def _is(reference: View, resource_kind: str, owner: View) -> bool:
    return bool(reference["kind"] == resource_kind and reference["name"] == name_of(owner))


def has_foreign_controller(claim: View, stateful_set: View, pod: View) -> bool:
    """Whether something else controls the claim; then the policy leaves it alone."""
    reference = controller_of(claim)
    if reference is None or reference["uid"] in (uid_of(stateful_set), uid_of(pod)):
        return False
    return not (_is(reference, STATEFUL_SETS.kind, stateful_set) or _is(reference, PODS.kind, pod))


def wanted_owners(claim: View, stateful_set: View, pod: View) -> Sequence[Object]:
    """The owner references that the policy gives the claim; references of others stay."""
    kept: list[Object] = [
        dict(reference)
        for reference in owners_of(claim)
        if not (_is(reference, STATEFUL_SETS.kind, stateful_set) or _is(reference, PODS.kind, pod))
    ]
    if has_foreign_controller(claim, stateful_set, pod):
        return kept
    when_deleted, when_scaled = policy_of(stateful_set)
    is_condemned = not is_in_range(stateful_set, pod)
    if when_scaled == DELETE and is_condemned:
        return [*kept, controller_reference(PODS, pod)]
    if when_deleted == DELETE:
        return [*kept, controller_reference(STATEFUL_SETS, stateful_set)]
    return kept


def are_owners_right(claim: View, stateful_set: View, pod: View) -> bool:
    def identities(references: Sequence[View]) -> set[tuple[str, bool]]:
        return {(reference["uid"], bool(reference.get("controller"))) for reference in references}

    return identities(owners_of(claim)) == identities(wanted_owners(claim, stateful_set, pod))


def is_stale(claim: View, pod_name: str, pod_uid: str) -> bool:
    """Whether the claim belongs to an earlier pod of that name, so that it is about to go with it."""
    return any(
        reference["kind"] == PODS.kind and reference["name"] == pod_name and reference["uid"] != pod_uid
        for reference in owners_of(claim)
    )
