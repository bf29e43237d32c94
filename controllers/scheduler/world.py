"""What the scheduler knows of the cluster: the nodes and pods as a snapshot, and every other object its rules read.

Plain data, changed only by the event handlers of `intake`; what the scheduler has decided but the API server has not
yet confirmed is laid over it (`assume`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controllers.scheduler.snapshot import Snapshot

View = Mapping[str, Any]
Name = tuple[str, str]
"""Namespace ('' for cluster-scoped objects) and name."""


def name_of(obj: View) -> Name:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Collection:
    """The objects of one resource by name, with assumed newer versions laid over those from the API server."""

    def __init__(self) -> None:
        self._objects: dict[Name, View] = {}
        self._assumed: dict[Name, View] = {}
        self.version = 0
        """Changes with every change of the collection."""

    def get(self, namespace: str, name: str) -> View | None:
        key = (namespace, name)
        return self._assumed.get(key) or self._objects.get(key)

    def stored(self, namespace: str, name: str) -> View | None:
        """The object as the API server has it, without what is only assumed."""
        return self._objects.get((namespace, name))

    def __iter__(self) -> Iterator[View]:
        if not self._assumed:
            return iter(self._objects.values())
        return iter({**self._objects, **self._assumed}.values())

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, obj: View) -> None:
        """Take over the state from the API server; an assumption that is older than it ends."""
        key = name_of(obj)
        self._objects[key] = obj
        assumed = self._assumed.get(key)
        if assumed is not None and _revision(obj) > _revision(assumed):
            del self._assumed[key]
        self.version += 1

    def drop(self, obj: View) -> None:
        key = name_of(obj)
        self._objects.pop(key, None)
        self._assumed.pop(key, None)
        self.version += 1

    def assume(self, obj: View) -> None:
        """Show this version until the API server has a newer one, or `restore`."""
        self._assumed[name_of(obj)] = obj
        self.version += 1

    def restore(self, namespace: str, name: str) -> None:
        """Take an assumption back."""
        if self._assumed.pop((namespace, name), None) is not None:
            self.version += 1


def _revision(obj: View) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


class World:
    """All collections, by the names that plugins use."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.next_row = 0
        """Where the search for feasible nodes goes on, if only some of them are ranked."""
        self.preempting: set[str] = set()
        """The uids of pods for which others are being deleted right now."""
        self.evicted: set[str] = set()
        """The uids of pods that were deleted for others and are not known to be gone."""
        self.claims = Collection()
        self.volumes = Collection()
        self.storage_classes = Collection()
        self.csi_nodes = Collection()
        self.csi_drivers = Collection()
        self.csi_capacities = Collection()
        self.volume_attachments = Collection()
        self.budgets = Collection()
        self.services = Collection()
        self.replication_controllers = Collection()
        self.replica_sets = Collection()
        self.stateful_sets = Collection()
        self.resource_claims = Collection()
        self.resource_slices = Collection()
        self.device_classes = Collection()
