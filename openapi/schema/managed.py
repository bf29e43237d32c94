"""managedFields entries: reading, writing, ordering and capping them.

An entry belongs to an identity: manager, operation and subresource, and for updates the version they were sent in.
Follows: staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/{managedfields,capmanagers}.go
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from openapi.meta.field import quote
from openapi.schema.fields import FieldSet, FieldSetError, parse, union

Object = dict[str, Any]

APPLY = "Apply"
UPDATE = "Update"

# Objects would otherwise grow with every client that ever touched them.
MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"


class ManagedFieldsError(ValueError):
    """managedFields that cannot be read."""


class Identity(NamedTuple):
    """Who an entry belongs to. `api_version` is '' for appliers: they own what they apply in whatever version."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def text(self) -> str:
        """As conflict messages name it."""
        words = quote(self.manager)
        if self.subresource:
            words += f" with subresource {quote(self.subresource)}"
        if self.operation == UPDATE:
            words += f" using {self.api_version}"
        return words


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns, written in `api_version`. `time` is RFC 3339 or None."""

    fields: FieldSet
    api_version: str
    applied: bool
    time: str | None


Managed = dict[Identity, Entry]


def identity(manager: str, operation: str, api_version: str, subresource: str) -> Identity:
    return Identity(manager or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def read_trusted(entries: list[Object] | None) -> Managed:
    """Entries that this server wrote, so that their field sets are canonical already. Raises ManagedFieldsError."""
    managed: Managed = {}
    for index, entry in enumerate(entries or ()):
        _check(entry, index)
        managed[_identity_of(entry)] = _entry(entry, entry.get("fieldsV1") or {})
    return managed


def read(entries: list[Object] | None) -> Managed:
    """Entries from anywhere. Raises ManagedFieldsError."""
    managed: Managed = {}
    for index, entry in enumerate(entries or ()):
        _check(entry, index)
        try:
            fields = parse(entry.get("fieldsV1"))
        except FieldSetError as error:
            raise ManagedFieldsError(f"error decoding versioned set: error decoding set: {error}") from error
        managed[_identity_of(entry)] = _entry(entry, fields)
    return managed


def _check(entry: Object, index: int) -> None:
    if entry.get("operation") not in (APPLY, UPDATE):
        raise ManagedFieldsError("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise ManagedFieldsError("apiVersion must not be empty")
    fields_type = entry.get("fieldsType")
    if not fields_type:
        raise ManagedFieldsError(f"missing fieldsType in managed fields entry {index}")
    if fields_type != "FieldsV1":
        raise ManagedFieldsError(f"invalid fieldsType {quote(fields_type)} in managed fields entry {index}")


def _identity_of(entry: Object) -> Identity:
    operation = entry["operation"]
    version = "" if operation == APPLY else entry["apiVersion"]
    return Identity(entry.get("manager") or "", operation, version, entry.get("subresource") or "")


def _entry(entry: Object, fields: FieldSet) -> Entry:
    return Entry(fields, entry["apiVersion"], entry["operation"] == APPLY, entry.get("time"))


def write(managed: Managed) -> list[Object]:
    """The entries of managedFields: appliers first, then by time, manager, version and subresource."""
    if len(managed) > 1:
        ordered = sorted(managed.items(), key=_order)
    else:
        ordered = list(managed.items())
    return [_written(who, entry) for who, entry in ordered]


def _order(item: tuple[Identity, Entry]) -> tuple[str, str, str, str, str]:
    who, entry = item
    # Times are all UTC of one width, so their texts sort as they do; those without one come first.
    return APPLY if entry.applied else who.operation, entry.time or "", who.manager, entry.api_version, who.subresource


def _written(who: Identity, entry: Entry) -> Object:
    out: Object = {}
    if who.manager:
        out["manager"] = who.manager
    out["operation"] = APPLY if entry.applied else who.operation
    out["apiVersion"] = entry.api_version
    if entry.time is not None:
        out["time"] = entry.time
    out["fieldsType"] = "FieldsV1"
    out["fieldsV1"] = entry.fields
    if who.subresource:
        out["subresource"] = who.subresource
    return out


def cap_updaters(managed: Managed) -> None:
    """Merge the oldest update entries of a version into one until there are at most ten update entries."""
    if len(managed) <= MAX_UPDATE_MANAGERS:
        return
    updaters = [who for who, entry in managed.items() if not entry.applied]
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return
    updaters.sort(key=lambda who: (managed[who].time or "", who))
    first_of: dict[str, Identity] = {}
    for who in updaters:
        if excess == 0:
            return
        entry = managed[who]
        first = first_of.setdefault(entry.api_version, who)
        if first is who:
            continue
        bucket = Identity(ANCIENT, UPDATE, entry.api_version, "")
        if bucket not in managed:
            managed[bucket] = managed.pop(first)
        # The bucket is as old as the youngest in it.
        merged = union(entry.fields, managed[bucket].fields)
        managed[bucket] = Entry(merged, entry.api_version, entry.applied, entry.time)
        managed.pop(who)
        excess -= 1
