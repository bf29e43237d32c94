"""What is particular to a kind on its way into the store: the base every kind starts from.

The hooks run in Kubernetes' fixed order: `prepare` (system-owned fields), `validate`, `warnings`, then the store;
`fields`, `columns` and `cells` serve reads. A kind overrides only where it differs, in
`apiserver/resources/<group>/<kind>.py`, and is listed in `apiserver/resources/table.py`.
Follows: staging/src/k8s.io/apiserver/pkg/registry/rest/{create,update,delete}.go
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openapi.meta.field import FieldError

Object = dict[str, Any]
FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `extra` maps a key to its values."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class WriteContext:
    """What a strategy may know of the request, to read only. `now` is UTC."""

    user: User
    now: datetime
    namespace: str = ""
    name: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    """Texts of Warning headers that go out even if the write fails; `prepare` may add to them."""


@dataclass(frozen=True, slots=True)
class Column:
    """A Table column definition. priority 0 is always shown, 1 with -o wide."""

    name: str
    type: str
    description: str
    format: str = ""
    priority: int = 0


NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
CREATED_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
NAME_COLUMN = Column("Name", "string", NAME_DESCRIPTION, "name")
AGE_COLUMN = Column("Age", "string", CREATED_DESCRIPTION)
CREATED_AT_COLUMN = Column("Created At", "date", CREATED_DESCRIPTION)

Finish = Callable[[bool], Awaitable[None]]


class Strategy:
    """A plain kind: no status, no generation, generic columns. One instance serves all requests; it keeps no state."""

    allow_create_on_update = False
    """PUT to a name that is not there creates it."""
    allow_unconditional_update = True
    """An update without resourceVersion is accepted."""
    graceful = False
    """Deletion honours a grace period (pods): `deletion_grace_s` is asked for it."""
    returns_deleted = False
    """A deletion answers with the object instead of a Status."""
    is_emptied_first = False
    """A deletion holds the object until it is empty, and looks at preconditions itself before."""
    orphans_by_default = False
    """Without a propagation policy, dependents are orphaned."""
    orphaning_warning = ""
    """The text of the Warning header that tells who deletes without a policy."""
    ttl_s = 0
    """Objects expire this long after their last write (events)."""
    subresources: Mapping[str, Strategy] = {}
    """The strategies of `status` and other subresources that write the same object."""
    reset_fields: tuple[FieldPath, ...] = ()
    """What a write through here cannot change, so field ownership ignores it: ("status",), ("metadata", "labels")."""
    only_fields: tuple[FieldPath, ...] = ()
    """If any, a write through here changes only these (`*` is any list item); it has no use for reset_fields then."""
    columns: Sequence[Column] = (NAME_COLUMN, CREATED_AT_COLUMN)
    unknown_field = "field label not supported: {name}"
    """What a selector of a field that the kind does not have is refused with."""
    field_aliases: Mapping[str, Mapping[str, str]] = {}
    """By apiVersion: other names of selectable fields -> the names that `fields` gives."""

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """Set system-owned fields of `obj` in place; `old` is None on create."""

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        """All that is wrong with `obj`, in Kubernetes' order; on an update also what must not change."""
        yield from ()

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        """Texts of Warning headers."""
        return ()

    def canonicalize(self, obj: Object) -> None:
        """Last tidying before the store."""

    def fields(self, obj: Object) -> dict[str, str]:
        """Selectable fields besides metadata.name and metadata.namespace."""
        return {}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        """The Table cells of one object, in the order of `columns`."""
        meta = obj["metadata"]
        return [meta.get("name", ""), meta.get("creationTimestamp")]

    def row_conditions(self, obj: Object) -> list[Object]:
        """The conditions of the object's row in a Table (that a pod has completed)."""
        return []

    def deletion_grace_s(self, obj: Object, requested_s: int | None) -> int:
        """The grace period of a graceful deletion, in seconds; 0 deletes at once."""
        return 0

    def ends_on_update(self, obj: Object, old: Object) -> bool:
        """Whether an update of an object that is being deleted was the last thing it waited for."""
        meta = obj["metadata"]
        return not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds")

    def is_held(self, obj: Object) -> bool:
        """Whether something besides metadata.finalizers keeps the object from being removed."""
        return False

    def mark_deleted(self, obj: Object) -> None:
        """What changes in an object when its deletion begins and it waits for finalizers (a namespace's phase)."""

    async def after_delete(self, obj: Object) -> None:
        """Give back what the removed object held outside itself (addresses, ports)."""

    async def begin_write(self, obj: Object, old: Object | None, context: WriteContext) -> Finish | None:
        """Take what the write needs outside its object (addresses, ports); the result is called with its success.

        Called for invalid objects too, which then fail.
        """
        return None


class WithStatus(Strategy):
    """A kind with spec and status: status is reset on create, kept on update; generation counts spec changes."""

    reset_fields: tuple[FieldPath, ...] = (("status",),)
    generation = True
    spec_fields: tuple[str, ...] = ("spec",)
    empty_status: bool = True
    """The status is a struct by value: it is there as {} when empty."""

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        if old is None:
            obj.pop("status", None)
            if self.empty_status:
                obj["status"] = {}
            if self.generation:
                obj["metadata"]["generation"] = 1
            return
        if "status" in old:
            obj["status"] = old["status"]
        else:
            obj.pop("status", None)
        if self.generation and any(obj.get(f) != old.get(f) for f in self.spec_fields):
            obj["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


class StatusOf(Strategy):
    """The `status` subresource: everything but status (and, unless `keeps_metadata`, metadata) stays as it was."""

    reset_fields: tuple[FieldPath, ...] = (("spec",),)
    kept: tuple[str, ...] = ("spec",)
    kept_metadata: tuple[str, ...] = ()

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        for name in self.kept:
            if name in old:
                obj[name] = old[name]
            else:
                obj.pop(name, None)
        for name in self.kept_metadata:
            if name in old["metadata"]:
                obj["metadata"][name] = old["metadata"][name]
            else:
                obj["metadata"].pop(name, None)
