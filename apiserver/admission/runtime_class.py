"""Gives pods the overhead and the scheduling constraints of their runtime class.

Follows: plugin/pkg/admission/runtimeclass/admission.go, pkg/util/tolerations/tolerations.go
"""

from __future__ import annotations

import copy
from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import CREATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.quota.amounts import amounts

Object = dict[str, Any]

_DIFFERS = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_UNFOUNDED = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass(Plugin):
    name = "RuntimeClass"
    operations = frozenset((CREATE,))
    resources = frozenset((GroupResource("", "pods"),))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._classes = Lookup(store, catalog, "node.k8s.io", "runtimeclasses")

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        if spec.get("runtimeClassName") is None:
            return
        found = await self._class(attributes, spec["runtimeClassName"])
        fixed = _fixed(found)
        if fixed is not None:
            if spec.get("overhead") is not None and amounts(spec["overhead"]) != amounts(fixed):
                raise forbidden(attributes, _DIFFERS)
            if fixed:
                spec["overhead"] = dict(fixed)
        if found.get("scheduling") is not None:
            _constrain(attributes, spec, found["scheduling"])

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        name, overhead = spec.get("runtimeClassName"), spec.get("overhead")
        if name is None and not overhead:
            return
        fixed = None if name is None else _fixed(await self._class(attributes, name))
        if fixed is None:
            if overhead is not None:
                raise forbidden(attributes, _UNFOUNDED)
        elif amounts(fixed) != amounts(overhead):
            raise forbidden(attributes, _DIFFERS)

    async def _class(self, attributes: Attributes, name: str) -> Object:
        entry = await self._classes.find("", name)
        if entry is None:
            raise forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return entry.object()


def _fixed(runtime_class: Object) -> Object | None:
    """The overhead of a class; None if it says nothing of overhead."""
    overhead = runtime_class.get("overhead")
    return None if overhead is None else overhead.get("podFixed") or {}


def _constrain(attributes: Attributes, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in sorted((scheduling.get("nodeSelector") or {}).items()):
        given = selector.setdefault(key, value)
        if given != value:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {given}"
            )
            raise forbidden(attributes, why)
    if selector:
        spec["nodeSelector"] = selector
    tolerations = merged_tolerations(spec.get("tolerations") or [], scheduling.get("tolerations") or [])
    if tolerations:
        spec["tolerations"] = tolerations


def merged_tolerations(first: list[Object], second: list[Object]) -> list[Object]:
    """Both lists, without what another toleration covers; of equal ones the first stays."""
    every = [*first, *copy.deepcopy(second)]
    merged: list[Object] = []
    for i, each in enumerate(every):
        if any(_covers(kept, each) for kept in merged):
            continue
        if any(later != each and _covers(later, each) for later in every[i + 1 :]):
            continue
        merged.append(each)
    return merged


def _covers(wide: Object, narrow: Object) -> bool:
    """Whether `wide` tolerates all that `narrow` does."""
    if wide == narrow:
        return True
    exists = wide.get("operator") == "Exists"
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or not exists):
        return False
    if wide.get("effect") and wide["effect"] != narrow.get("effect", ""):
        return False
    if wide.get("effect") == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > wide["tolerationSeconds"]:
            return False
    if exists:
        return True
    if wide.get("operator", "Equal") not in ("Equal", ""):
        return False
    return bool(
        narrow.get("operator", "") == wide.get("operator", "") and narrow.get("value", "") == wide.get("value", "")
    )
