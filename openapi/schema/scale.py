"""Field ownership through the scale subresource, whose object is a view of another one.

Follows: staging/src/k8s.io/apimachinery/pkg/util/managedfields/scalehandler.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openapi.schema.fields import difference, from_paths, has
from openapi.schema.managed import Entry, Managed, read_trusted, write

Object = dict[str, Any]

# Where the replicas are in each version of the parent (`apps/v1` -> `spec.replicas` as a tuple of names); None for a
# version without a scale subresource.
ReplicasPaths = Mapping[str, Sequence[str] | None]

_SCALE_VERSION = "autoscaling/v1"
_IN_SCALE = from_paths([("spec", "replicas")])
_SCALE_ELEMENTS = ("f:spec", "f:replicas")


def scale_entries(parent: list[Object] | None, paths: ReplicasPaths) -> list[Object]:
    """The managedFields of a Scale: of the parent's entries those that own its replicas."""
    managed: Managed = {}
    for who, entry in read_trusted(parent).items():
        path = paths.get(entry.api_version)
        if path is not None and has(entry.fields, _elements(path)):
            managed[who] = Entry(_IN_SCALE, _SCALE_VERSION, entry.applied, entry.time)
    return write(managed)


def with_scale_entries(
    parent: list[Object] | None, scale: list[Object] | None, *, api_version: str, paths: ReplicasPaths
) -> list[Object]:
    """The parent's managedFields after a write to its Scale left that with the entries `scale`.

    Who lost the replicas there loses them in the parent. New owners come without a time, as in Kubernetes.
    """
    before = read_trusted(parent)
    owners = read_trusted(scale)
    managed: Managed = {}
    for who, entry in before.items():
        if entry.api_version not in paths:
            continue
        path = paths[entry.api_version]
        if path is None or not has(entry.fields, _elements(path)):
            managed[who] = entry
        elif who in owners:
            managed[who] = entry
            del owners[who]
        else:
            rest = difference(entry.fields, from_paths([path]))
            if rest:
                managed[who] = Entry(rest, entry.api_version, entry.applied, entry.time)
    path = paths.get(api_version)
    for who, entry in owners.items():
        if path is not None and has(entry.fields, _SCALE_ELEMENTS):
            time = before[who].time if who in before else None
            managed[who] = Entry(from_paths([path]), api_version, entry.applied, time)
    return write(managed)


def _elements(path: Sequence[str]) -> list[str]:
    return ["f:" + name for name in path]
