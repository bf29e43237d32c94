"""Running pods change only in ways that their node says it can follow.

Follows: plugin/pkg/admission/nodedeclaredfeatures/admission.go, component-helpers/nodedeclaredfeatures/features
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.admission.bound_pods import BoundPodPlugin
from apiserver.admission.plugin import Attributes, forbidden
from openapi.meta.field import quote

Object = dict[str, Any]


class NodeDeclaredFeatureValidator(BoundPodPlugin):
    name = "NodeDeclaredFeatureValidator"
    subresources = frozenset(("", "resize"))

    async def validate(self, attributes: Attributes) -> None:
        name = self.node_name(attributes)
        pod, old = attributes.obj, attributes.old
        assert pod is not None and old is not None
        needed = list(_needed(pod, old)) if name else []
        if not needed:
            return
        entry = await self.node(attributes, name)
        declared = (entry.object().get("status") or {}).get("declaredFeatures") or ()
        missing = [feature for feature in needed if feature not in declared]
        if missing:
            what = f"pod update requires features {', '.join(missing)}"
            raise forbidden(attributes, f"{what} which are not available on node {quote(name)}")


def _needed(pod: Object, old: Object) -> Iterator[str]:
    """The features that the node must have for the change, in order of names."""
    spec, before = pod["spec"], old["spec"]
    if spec.get("resources") != before.get("resources"):
        yield "InPlacePodLevelResourcesVerticalScaling"
    if _differ(spec, before, "initContainers", _resources_of_init_container):
        yield "InPlacePodResizeNonSidecarInitContainers"


def _differ(spec: Object, before: Object, field: str, of: Any) -> bool:
    # Neither subresource lets containers come or go.
    return any(of(new) != of(old) for new, old in zip(spec.get(field) or (), before.get(field) or (), strict=False))


def _resources_of_init_container(container: Object) -> Object | None:
    return None if container.get("restartPolicy") == "Always" else container.get("resources") or {}
