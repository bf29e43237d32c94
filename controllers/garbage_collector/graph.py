"""Who owns whom: the graph of all objects by uid, and what each change of it calls for. No I/O.

Owners that nobody has seen are no nodes: whatever refers to one is named for checking, and the check asks the server.
Follows: pkg/controller/garbagecollector/graph_builder.go
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from controllers.runtime.objects import View, is_deleting, namespace_of, owners_of, uid_of
from openapi.catalog import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

MEMORY = 10_000
"""How many owners are remembered as gone. A uid never comes back, so an entry is never wrong, only unneeded."""


class Node:
    """One object as it was last seen."""

    __slots__ = ("obj", "resource")

    def __init__(self, resource: Resource, obj: View) -> None:
        self.resource = resource
        self.obj = obj

    @property
    def uid(self) -> str:
        return uid_of(self.obj)

    @property
    def namespace(self) -> str:
        return namespace_of(self.obj)

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def owners(self) -> Sequence[View]:
        return owners_of(self.obj)

    @property
    def waits_for_dependents(self) -> bool:
        """Whether it is being deleted in the foreground."""
        return waits_for_dependents(self.obj)


def has_finalizer(obj: View, finalizer: str) -> bool:
    return finalizer in (obj["metadata"].get("finalizers") or ())


def waits_for_dependents(obj: View) -> bool:
    return is_deleting(obj) and has_finalizer(obj, FOREGROUND)


@dataclass(slots=True)
class Todo:
    """What a change calls for: uids to look at, uids whose dependents to release, references across namespaces."""

    check: list[str] = field(default_factory=list)
    orphan: list[str] = field(default_factory=list)
    misplaced: list[tuple[Node, View]] = field(default_factory=list)


class Standing(Enum):
    """What an owner reference is worth."""

    SOLID = "solid"
    WAITING = "waiting"
    DANGLING = "dangling"
    UNKNOWN = "unknown"


class _Memory:
    """The last so many values."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, None] = OrderedDict()

    def add(self, value: Hashable) -> None:
        self._values[value] = None
        if len(self._values) > MEMORY:
            self._values.popitem(last=False)

    def __contains__(self, value: Hashable) -> bool:
        return value in self._values


class Graph:
    """All objects that were seen and are not yet seen to be gone."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._dependents: dict[str, dict[str, Node]] = {}
        self._gone = _Memory()
        self._absent = _Memory()

    def dependents(self, uid: str) -> list[Node]:
        """Those that refer to the uid as an owner."""
        return list(self._dependents.get(uid, {}).values())

    def blocking(self, uid: str) -> list[Node]:
        """The dependents for which an owner in the foreground waits."""
        return [node for node in self.dependents(uid) if _blocks(node, uid)]

    def put(self, resource: Resource, obj: View) -> Todo:
        """An object was added or has changed."""
        todo = Todo()
        uid = uid_of(obj)
        node = self.nodes.get(uid)
        if node is None:
            node = self.nodes[uid] = Node(resource, obj)
            self._link(node, node.owners, todo)
            self._find_misled(node, todo)
            self._note_deletion(node, None, todo)
            return todo
        old, node.obj, node.resource = node.obj, obj, resource
        if owners_of(old) != owners_of(obj):
            self._relink(node, owners_of(old), todo)
        self._note_deletion(node, old, todo)
        return todo

    def remove(self, uid: str) -> Todo:
        """An object is gone."""
        todo = Todo()
        self._gone.add(uid)
        node = self.nodes.pop(uid, None)
        if node is None:
            return todo
        self._unlink(node, (owner["uid"] for owner in node.owners))
        todo.check += self._dependents.get(uid, ())
        todo.check += (owner for owner in _uids(node.owners) if self._is_waiting(owner))
        return todo

    def forget(self, resource: Resource) -> None:
        """Objects of the resource cannot be seen any more, which says nothing about whether they exist."""
        for uid, node in list(self.nodes.items()):
            if node.resource.gvr == resource.gvr:
                del self.nodes[uid]
                self._unlink(node, _uids(node.owners))

    def standing(self, node: Node, reference: View) -> Standing:
        """What a reference of `node` is worth as far as the graph can tell."""
        uid = reference["uid"]
        if uid in self._gone or coordinates(node.namespace, reference) in self._absent:
            return Standing.DANGLING
        owner = self.nodes.get(uid)
        if owner is None or not _is_at(owner, reference) or owner.namespace not in ("", node.namespace):
            return Standing.UNKNOWN
        return Standing.WAITING if owner.waits_for_dependents else Standing.SOLID

    def note_absent(self, node: Node, reference: View) -> None:
        """The server has no such owner for `node`."""
        self._absent.add(coordinates(node.namespace, reference))

    def _is_waiting(self, uid: str) -> bool:
        node = self.nodes.get(uid)
        return node is not None and node.waits_for_dependents

    def _link(self, node: Node, references: Iterable[View], todo: Todo) -> None:
        """Make `node` a dependent of these; name it for checking where that cannot be right."""
        doubtful = False
        for reference in references:
            self._dependents.setdefault(reference["uid"], {})[node.uid] = node
            owner = self.nodes.get(reference["uid"])
            if owner is None:
                doubtful = True
                continue
            if owner.namespace not in ("", node.namespace):
                doubtful = True
                todo.misplaced.append((node, reference))
            elif not _is_at(owner, reference):
                doubtful = True
        if doubtful:
            todo.check.append(node.uid)

    def _find_misled(self, owner: Node, todo: Todo) -> None:
        """Dependents that were there before their owner, and have it elsewhere or otherwise than it is."""
        for node in self.dependents(owner.uid):
            reference = _reference_to(node, owner.uid)
            if reference is None:
                continue
            if owner.namespace not in ("", node.namespace):
                todo.misplaced.append((node, reference))
                todo.check.append(node.uid)
            elif not _is_at(owner, reference):
                todo.check.append(node.uid)

    def _relink(self, node: Node, old: Sequence[View], todo: Todo) -> None:
        before = {reference["uid"]: reference for reference in old}
        after = {reference["uid"]: reference for reference in node.owners}
        for uid, reference in before.items():
            unblocked = reference.get("blockOwnerDeletion") and not after.get(uid, {}).get("blockOwnerDeletion")
            if unblocked and uid in self.nodes:
                todo.check.append(uid)
        self._unlink(node, before.keys() - after.keys())
        self._link(node, (after[uid] for uid in after if uid not in before), todo)

    def _unlink(self, node: Node, owners: Iterable[str]) -> None:
        for owner in owners:
            siblings = self._dependents.get(owner)
            if siblings is not None:
                siblings.pop(node.uid, None)
                if not siblings:
                    del self._dependents[owner]

    def _note_deletion(self, node: Node, old: View | None, todo: Todo) -> None:
        """Look whether the deletion has begun that waits for dependents, or for their release."""
        if not is_deleting(node.obj):
            return
        if _begins(old, node.obj, ORPHAN):
            todo.orphan.append(node.uid)
        elif _begins(old, node.obj, FOREGROUND):
            todo.check += self._dependents.get(node.uid, ())
            todo.check.append(node.uid)


def coordinates(namespace: str, reference: View) -> tuple[str, ...]:
    """An owner as a dependent in `namespace` means it."""
    return (namespace, reference["apiVersion"], reference["kind"], reference["name"], reference["uid"])


def _begins(old: View | None, obj: View, finalizer: str) -> bool:
    if not has_finalizer(obj, finalizer):
        return False
    return old is None or not is_deleting(old) or not has_finalizer(old, finalizer)


def _is_at(owner: Node, reference: View) -> bool:
    """Whether the reference names the owner as it is."""
    named = (reference["apiVersion"], reference["kind"], reference["name"])
    return named == (owner.resource.api_version, owner.resource.kind, owner.name)


def _reference_to(node: Node, uid: str) -> View | None:
    return next((reference for reference in node.owners if reference["uid"] == uid), None)


def _blocks(node: Node, uid: str) -> bool:
    reference = _reference_to(node, uid)
    return reference is not None and bool(reference.get("blockOwnerDeletion"))


def _uids(references: Iterable[View]) -> Iterator[str]:
    return (reference["uid"] for reference in references)
