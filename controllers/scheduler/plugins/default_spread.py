"""The pods that count as one group where a pod says nothing about spreading: those of its services and its controller.

Follows: pkg/scheduler/framework/plugins/helper/spread.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.scheduler.pod import Template
from controllers.scheduler.world import Collection, World
from openapi.meta.selectors import EVERYTHING, LabelSelector, from_label_selector, from_labels


def group_of(template: Template, world: World) -> LabelSelector:
    """The selector of the pod's group; an empty one where it belongs to none."""
    owner = _owner_object(template, world)
    known = template.memo.get("group")
    if known is None or known[0] != world.services.version or known[1] is not owner:
        known = template.memo["group"] = (world.services.version, owner, _selector(template, world, owner))
    return known[2]


def _owner_object(template: Template, world: World) -> Mapping[str, Any] | None:
    owner = template.owner
    if owner is None:
        return None
    collections: Mapping[tuple[str, str], Collection] = {
        ("v1", "ReplicationController"): world.replication_controllers,
        ("apps/v1", "ReplicaSet"): world.replica_sets,
        ("apps/v1", "StatefulSet"): world.stateful_sets,
    }
    collection = collections.get((owner["apiVersion"], owner["kind"]))
    return None if collection is None else collection.get(template.namespace, owner["name"])


def _selector(template: Template, world: World, owner: Mapping[str, Any] | None) -> LabelSelector:
    labels: dict[str, str] = {}
    for service in world.services:
        if service["metadata"]["namespace"] != template.namespace:
            continue
        wanted = service["spec"].get("selector") or {}
        if wanted and all(template.labels.get(key) == value for key, value in wanted.items()):
            labels |= wanted
    selector = from_labels(labels) if labels else EVERYTHING
    if owner is None:
        return selector
    wanted = owner["spec"].get("selector") or {}
    if "matchLabels" not in wanted and "matchExpressions" not in wanted:
        return from_labels({**labels, **wanted})
    return LabelSelector((*selector.requirements, *from_label_selector(wanted).requirements))
