"""Gives pods the priority of their priority class, and keeps to one default class.

Follows: plugin/pkg/admission/priority/admission.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta import status

Object = dict[str, Any]

PODS = GroupResource("", "pods")
CLASSES = GroupResource("scheduling.k8s.io", "priorityclasses")
_NO_CLASS = ("", 0, "PreemptLowerPriority", False)
_Class = tuple[str, int, str, bool]
"""Name, value, preemption policy ('' if none), and whether it is the default."""


class Priority(Plugin):
    name = "Priority"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS, CLASSES))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._classes = Lookup(store, catalog, *CLASSES)

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.resource.gr != PODS:
            return
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        if attributes.old is not None:
            _keep(spec, attributes.old.get("spec") or {})
            return
        name, value, policy, _ = await self._class_of(attributes, spec.get("priorityClassName", ""))
        if name:
            spec["priorityClassName"] = name
        given = spec.get("priority")
        if given is not None and given != value:
            raise _differs(attributes, f"the integer value of priority ({given})", value)
        spec["priority"] = value
        if not policy:
            return
        given = spec.get("preemptionPolicy")
        if given is not None and given != policy:
            raise _differs(attributes, f"the string value of PreemptionPolicy ({given})", policy)
        spec["preemptionPolicy"] = policy

    async def validate(self, attributes: Attributes) -> None:
        if attributes.resource.gr != CLASSES:
            return
        assert attributes.obj is not None
        if not attributes.obj.get("globalDefault"):
            return
        name = self._default()[0]
        if name and (attributes.old is None or name != attributes.obj["metadata"]["name"]):
            why = f"PriorityClass {name} is already marked as default. Only one default can exist"
            raise forbidden(attributes, why)

    async def _class_of(self, attributes: Attributes, name: str) -> _Class:
        if not name:
            return self._default()
        entry = await self._classes.find("", name)
        if entry is None:
            raise forbidden(attributes, f"no PriorityClass with name {name} was found")
        return _read(entry)

    def _default(self) -> _Class:
        """The default class; of several the least one."""
        found = _NO_CLASS
        for entry in self._classes.all():
            each = _read(entry)
            if each[3] and (not found[0] or each[1] < found[1]):
                found = each
        return found


def _keep(spec: Object, old: Object) -> None:
    """An update that leaves out what was computed does not mean to remove it."""
    for field in ("priority", "preemptionPolicy"):
        if spec.get(field) is None and old.get(field) is not None:
            spec[field] = old[field]


def _differs(attributes: Attributes, what: str, computed: object) -> status.StatusError:
    return forbidden(
        attributes,
        f"{what} must not be provided in pod spec; priority admission controller computed {computed} from the given "
        "PriorityClass name",
    )


def _read(entry: Entry) -> _Class:
    return fact(entry, "admission.priority", _class)


def _class(obj: Object) -> _Class:
    return (
        obj["metadata"]["name"],
        obj.get("value", 0),
        obj.get("preemptionPolicy", ""),
        bool(obj.get("globalDefault")),
    )
