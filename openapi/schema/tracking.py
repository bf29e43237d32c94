"""Field ownership: who set which field, kept in metadata.managedFields through creates, updates and patches.

Server-side apply is `openapi.schema.apply`. Objects are in canonical form here.
Follows: staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/{fieldmanager,managedfieldsupdater,
structuredmerge,stripmeta,skipnonapplied}.go, sigs.k8s.io/structured-merge-diff merge/update.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from openapi.meta.field import FieldError, invalid, too_long
from openapi.schema.fields import (
    FieldSet,
    difference,
    from_paths,
    keep_only,
    recursive_difference,
    union,
)
from openapi.schema.managed import (
    UPDATE,
    Entry,
    Identity,
    Managed,
    ManagedFieldsError,
    cap_updaters,
    identity,
    read,
    read_trusted,
    write,
)
from openapi.schema.node import Node
from openapi.schema.shape import ShapeError
from openapi.schema.typed import compare, refitted

Object = dict[str, Any]

# Gives an object and its schema in another version, or None if that version is no longer served.
Converter = Callable[[Object, str], tuple[Object, Node] | None]

# No reset fields, no filter.
ALL: tuple[tuple[str, ...], ...] = ()

# Fields that everyone who writes an object sends and nobody decides.
_UNOWNED_ROOTS = ("f:apiVersion", "f:kind")
_UNOWNED_METADATA = frozenset(
    "f:" + name
    for name in (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
_MANAGER_LIMIT = 128


class Scope:
    """What one request's ownership is about: its schema, version, and the fields that the request cannot set.

    `reset_fields` are the paths (of field names) that the endpoint resets; `only_fields`, paths in which `*` stands
    for any list item or key, are the only ones that it keeps. Both default to none.
    """

    __slots__ = ("api_version", "convert", "node", "only", "reset", "subresource")

    def __init__(
        self,
        node: Node,
        api_version: str,
        subresource: str,
        *,
        reset_fields: Sequence[tuple[str, ...]] = ALL,
        only_fields: Sequence[tuple[str, ...]] = ALL,
        convert: Converter | None = None,
    ) -> None:
        self.node = node
        self.api_version = api_version
        self.subresource = subresource
        self.reset = _reset_set(tuple(reset_fields))
        self.only = only_fields
        self.convert = convert

    def fitting(self, managed: Managed) -> Managed:
        """The entries as the schema would have them now; only that of custom resources changes between writes."""
        if self.node.name:
            return managed
        return {
            who: entry
            if entry.api_version != self.api_version
            else replace(entry, fields=refitted(self.node, entry.fields))
            for who, entry in managed.items()
        }

    def owned(self, fields: FieldSet) -> FieldSet:
        """The part of a set that this endpoint lets a manager own."""
        if self.only:
            return keep_only(fields, self.only)
        return recursive_difference(fields, self.reset)

    def compare(self, old: Object, new: Object) -> tuple[FieldSet, FieldSet]:
        changed, removed = compare(self.node, old, new)
        return self.owned(changed), self.owned(removed)


@lru_cache(maxsize=256)
def _reset_set(paths: tuple[tuple[str, ...], ...]) -> FieldSet:
    return from_paths(paths)


def track_update(
    new: Object,
    old: Object | None,
    *,
    manager: str,
    node: Node,
    api_version: str,
    subresource: str,
    now: str,
    reset_fields: Sequence[tuple[str, ...]] = ALL,
    only_fields: Sequence[tuple[str, ...]] = ALL,
    convert: Converter | None = None,
) -> None:
    """Set new's metadata.managedFields after a create (`old` None), update or patch by `manager`.

    Fields that changed become the manager's and nobody else's, fields that are gone nobody's. `now` is RFC 3339 in
    seconds; it is written only where the manager gained something. managedFields that the client sent count unless
    they are unreadable or meant for a subresource; `[]` and `[{}]` end the tracking. An object whose content does not
    fit its schema keeps the entries of `old`.
    """
    scope = Scope(
        node, api_version, subresource, reset_fields=reset_fields, only_fields=only_fields, convert=convert
    )
    sent = new["metadata"].pop("managedFields", None)
    live = old["metadata"].get("managedFields") if old is not None else None
    managed = _starting_point(sent, live, bool(subresource))
    if not managed and old is not None:
        return
    try:
        managed = updated(scope.fitting(managed), old or {}, new, scope, manager, now)
    except (ShapeError, AttributeError, TypeError, LookupError):
        # Only custom objects that validation is about to refuse come here: they cannot be walked by their schema.
        if live is not None:
            new["metadata"]["managedFields"] = live
        return
    if managed:
        new["metadata"]["managedFields"] = write(managed)


def _starting_point(sent: Any, live: Any, is_subresource: bool) -> Managed:
    if not is_subresource and sent is not None and sent != live:
        if sent in ([], [{}]):
            return {}
        try:
            managed = read(sent)
            if managed:
                return managed
        except (ManagedFieldsError, AttributeError, TypeError):
            # The client does not understand them, so it may not destroy them either.
            return _readable(live)
    return _readable(live)


def _readable(entries: Any) -> Managed:
    try:
        return read_trusted(entries)
    except (ManagedFieldsError, AttributeError, TypeError):
        return {}


def updated(managed: Managed, old: Object, new: Object, scope: Scope, manager: str, now: str) -> Managed:
    """The entries after `manager` turned `old` ({} if it was not there) into `new`."""
    changed, removed = scope.compare(without_managed_fields(old), new)
    who = identity(manager, UPDATE, scope.api_version, scope.subresource)
    if not changed and not removed:
        return managed
    managed = disowned(managed, None, (changed, removed), old, new, scope) if managed else {}
    gained = stripped(changed)
    if gained:
        previous = managed.get(who)
        fields = union(gained, previous.fields) if previous is not None else gained
        managed[who] = Entry(fields, scope.api_version, False, now)
    cap_updaters(managed)
    return managed


def disowned(
    managed: Managed,
    keeper: Identity | None,
    change: tuple[FieldSet, FieldSet],
    old: Object,
    new: Object,
    scope: Scope,
) -> Managed:
    """The entries without what changed or is gone, except for `keeper`'s, and without those that have nothing left."""
    changes = Changes(change, old, new, scope)
    out: Managed = {}
    for who, entry in managed.items():
        if who == keeper:
            fields: FieldSet | None = entry.fields
        else:
            theirs = changes.at(entry.api_version)
            fields = difference(entry.fields, union(*theirs)) if theirs is not None else None
        if fields:
            out[who] = entry if fields is entry.fields else Entry(fields, entry.api_version, entry.applied, entry.time)
    return out


class Changes:
    """One change of an object, as (changed, removed) sets in every version that entries are written in."""

    def __init__(self, change: tuple[FieldSet, FieldSet], old: Object, new: Object, scope: Scope) -> None:
        self._by_version: dict[str, tuple[FieldSet, FieldSet] | None] = {scope.api_version: change}
        self._old = old
        self._new = new
        self._scope = scope

    def at(self, api_version: str) -> tuple[FieldSet, FieldSet] | None:
        """None if the version is no longer served."""
        if api_version not in self._by_version:
            self._by_version[api_version] = self._converted(api_version)
        return self._by_version[api_version]

    def _converted(self, api_version: str) -> tuple[FieldSet, FieldSet] | None:
        if self._scope.convert is None:
            return self._by_version[self._scope.api_version]
        new = self._scope.convert(self._new, api_version)
        if new is None:
            return None
        old = self._scope.convert(self._old, api_version) if self._old else ({}, new[1])
        if old is None:
            return None
        changed, removed = compare(new[1], old[0], new[0])
        return self._scope.owned(changed), self._scope.owned(removed)


def stripped(fields: FieldSet) -> FieldSet:
    """A set without the fields that are nobody's: kind, apiVersion, and metadata that the server or the path gives."""
    out = dict(fields)
    for key in _UNOWNED_ROOTS:
        child = out.get(key)
        if child is not None:
            del out[key]
    metadata = out.get("f:metadata")
    if metadata is not None:
        rest = {key: child for key, child in metadata.items() if key != "." and (child or key not in _UNOWNED_METADATA)}
        if rest:
            out["f:metadata"] = rest
        else:
            del out["f:metadata"]
    return out


def without_managed_fields(obj: Object) -> Object:
    """The object as ownership compares it; shares everything with `obj`, which is not changed."""
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def restore_times(new: Object, old: Object) -> None:
    """Give `new` the managedFields of `old` if it differs from it in nothing but their times.

    To be called after mutating admission, so that a write without effect is one.
    Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager/equality.go
    """
    ours, theirs = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not theirs or not ours or ours == theirs or len(ours) != len(theirs):
        return
    if any(_timeless(a) != _timeless(b) for a, b in zip(ours, theirs, strict=True)):
        return
    if without_managed_fields(new) == without_managed_fields(old):
        new["metadata"]["managedFields"] = theirs


def _timeless(entry: Object) -> Object:
    return {key: value for key, value in entry.items() if key != "time"}


# Manager names


@lru_cache(maxsize=1024)
def manager_from_user_agent(user_agent: str) -> str:
    """The manager of a request that names none: its program's name, printable, at most 128 bytes."""
    name = user_agent.split("/", 1)[0]
    size = 0
    kept = []
    for char in name:
        if not char.isprintable():
            continue
        size += len(char.encode())
        if size > _MANAGER_LIMIT:
            break
        kept.append(char)
    return "".join(kept)


def validate_manager(manager: str, path: str = "fieldManager") -> Iterator[FieldError]:
    """What is wrong with a manager's name; that it is missing is for the caller to find."""
    if len(manager.encode()) > _MANAGER_LIMIT:
        yield too_long(path, _MANAGER_LIMIT)
    position = 0
    for char in manager:
        if not char.isprintable():
            yield invalid(path, manager, f"invalid character U+{ord(char):04X} (at position {position})")
        position += len(char.encode())
