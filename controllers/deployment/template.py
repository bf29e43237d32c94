"""Pod templates of Deployments: when two are the same, and the ReplicaSet for one."""

from __future__ import annotations

from typing import Any

from controllers.runtime.kinds import DEPLOYMENTS
from controllers.runtime.objects import Object, View, controller_reference, name_of, namespace_of
from controllers.workloads.hashing import hash_of

HASH_LABEL = "pod-template-hash"

LONGEST_NAME = 253


def same_template(one: View, other: View) -> bool:
    """Whether two templates make the same pods; the hash label does not count."""
    return one["spec"] == other["spec"] and _metadata(one) == _metadata(other)


def _metadata(template: View) -> dict[str, Any]:
    metadata = dict(template.get("metadata") or {})
    labels = {name: text for name, text in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata["labels"] = labels
    return {field: value for field, value in metadata.items() if value}


def new_replica_set(deployment: View) -> Object:
    """The ReplicaSet of the present template, without pods yet."""
    spec = deployment["spec"]
    template = spec["template"]
    digest = hash_of(template, (deployment.get("status") or {}).get("collisionCount"))
    metadata = dict(template.get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = spec["selector"]
    made: Object = {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": _name(name_of(deployment), digest),
            "namespace": namespace_of(deployment),
            "labels": labels,
            "ownerReferences": [controller_reference(DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": 0,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return made


def _name(deployment: str, digest: str) -> str:
    return f"{deployment[: LONGEST_NAME - len(digest) - 1]}-{digest}"
