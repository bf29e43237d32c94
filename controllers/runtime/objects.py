"""Reading API objects as plain JSON: names, owners, times. Nothing here changes an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from openapi.catalog import Resource

Object = dict[str, Any]
View = Mapping[str, Any]
"""An object that is not ours to change: everything that comes from a store."""


class Key(NamedTuple):
    """What is reconciled: an object's namespace ('' for cluster-scoped ones) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: View) -> Key:
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def name_of(obj: View) -> str:
    return str(obj["metadata"]["name"])


def namespace_of(obj: View) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: View) -> str:
    return str(obj["metadata"].get("uid", ""))


def labels_of(obj: View) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: View) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision_of(obj: View) -> int:
    """The resourceVersion as the number it is; 0 where there is none."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def is_deleting(obj: View) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def owners_of(obj: View) -> Sequence[View]:
    return obj["metadata"].get("ownerReferences") or ()


def controller_of(obj: View) -> View | None:
    """The owner reference that is marked as controller."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference  # type: ignore[no-any-return]
    return None


def is_controlled_by(obj: View, owner: View) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def controller_reference(resource: Resource, owner: View) -> Object:
    """The owner reference by which `owner` controls what it makes."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition_of(obj: View, kind: str) -> View | None:
    """The status condition of that type."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return condition  # type: ignore[no-any-return]
    return None


def copy_of(value: Any) -> Any:
    """A deep copy of JSON data, much faster than `copy.deepcopy`."""
    return orjson.loads(orjson.dumps(value))


def unversioned(obj: View) -> Object:
    """The object as some events name it: by name and uid, whatever its version."""
    metadata = obj["metadata"]
    named = {field: metadata[field] for field in ("namespace", "name", "uid") if metadata.get(field)}
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": named}
