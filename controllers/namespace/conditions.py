"""What a namespace in deletion says about the progress of it. Pure.

Follows: pkg/controller/namespace/deletion/status_condition_utils.go
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controllers.runtime.objects import Object, View
from openapi.catalog import GroupResource

_FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
"""Reason and message of each condition as long as nothing is wrong, in the order in which they are listed."""


@dataclass(slots=True)
class Progress:
    """What one attempt to empty a namespace has found."""

    undiscovered: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)
    remaining: dict[GroupResource, int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)


def discovery_failure(undiscovered: Sequence[str]) -> str:
    """Why not all resources are known."""
    groups = ", ".join(f"{version}: stale GroupVersion discovery: {version}" for version in sorted(undiscovered))
    return f"unable to retrieve the complete list of server APIs: {groups}"


def plan_conditions(status: View, progress: Progress, now: str) -> list[Object] | None:
    """All conditions of the namespace after the attempt; None if they are what they were."""
    known = {condition["type"]: condition for condition in status.get("conditions") or ()}
    troubles = _troubles(progress)
    conditions = list(known.values())
    changed = False
    for kind, fine in _FINE.items():
        value, (reason, message) = ("True", troubles[kind]) if kind in troubles else ("False", fine)
        old = known.get(kind)
        new = {"type": kind, "status": value, "lastTransitionTime": now, "reason": reason, "message": message}
        if old is None:
            conditions.append(new)
            changed = True
        elif (old["status"], old.get("reason"), old.get("message")) != (value, reason, message):
            if old["status"] == value:
                new["lastTransitionTime"] = old.get("lastTransitionTime")
            conditions[conditions.index(old)] = new
            changed = True
    return conditions if changed else None


def _troubles(progress: Progress) -> Mapping[str, tuple[str, str]]:
    """Reason and message of what is wrong, by condition."""
    troubles: dict[str, tuple[str, str]] = {}
    if progress.undiscovered:
        count = len({version.partition("/")[0] for version in progress.undiscovered})
        text = f"Discovery failed for some groups, {count} failing: {discovery_failure(progress.undiscovered)}"
        troubles["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", text)
    if progress.failures:
        text = ", ".join(sorted(progress.failures))
        troubles["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(progress.failures)} remaining: {text}",
        )
    if progress.remaining:
        listed = sorted(
            f"{resource.resource}.{resource.group} has {count} resource instances"
            for resource, count in progress.remaining.items()
        )
        troubles["NamespaceContentRemaining"] = (
            "SomeResourcesRemain",
            "Some resources are remaining: " + ", ".join(listed),
        )
    if progress.finalizers:
        listed = sorted(f"{name} in {count} resource instances" for name, count in progress.finalizers.items())
        troubles["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: " + ", ".join(listed),
        )
    return troubles
