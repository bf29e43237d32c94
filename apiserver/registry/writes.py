"""Creating and updating objects: one function from a decoded object to its stored bytes, which a conflict calls again.

Order: system metadata, field ownership, mutating admission, prepare, validate, validating admission, encode, store.
Follows: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go Create and Update
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apiserver.admission.chain import Chain
from apiserver.admission.plugin import CREATE, UPDATE, Attributes
from apiserver.registry.call import Call
from apiserver.registry.errors import translate
from apiserver.storage.backend import KeyExists, RevisionConflict, StorageError
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import name_is_path_segment
from openapi.meta.randoms import random_letters, random_uuid
from openapi.schema.gostruct import in_internal_form
from openapi.schema.ownership import restore_times, track_update
from openapi.schema.stored import forget_empty

Object = dict[str, Any]
Change = Callable[[Object | None], Object]
"""From the current object (a copy that may be changed; None when there is none) to the wanted one."""

NAME_ATTEMPTS = 8
"""How often a generated name is tried again when it is taken."""
CONFLICT_ATTEMPTS = 32
SYSTEM_OWNED = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
"""Metadata of a new object that only the system sets."""
_NAME_RANDOM = 5
_NAME_MOST = 63


@dataclass(slots=True)
class Written:
    """`obj` is at the request's version, with its resourceVersion unless it was a dry run."""

    obj: Object
    created: bool = False
    entry: Entry | None = None
    deleted: bool = False


def generated_name(prefix: str) -> str:
    """A name below a generateName prefix: five random letters that spell no words."""
    return prefix[: _NAME_MOST - _NAME_RANDOM] + random_letters(_NAME_RANDOM)


class Writes:
    """Carries calls to the store."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain

    # -- create ------------------------------------------------------------------------------------------------

    async def create(self, call: Call, obj: Object) -> Written:
        """Store a new object (decoded, defaulted, at the request's version). Raises StatusError."""
        meta = obj["metadata"]
        check_namespace(call, meta)
        for attempt in range(NAME_ATTEMPTS):
            generated = bool(meta.get("generateName")) and not meta.get("name")
            try:
                return await self._create_once(call, obj if not generated else copy.deepcopy(obj))
            except KeyExists as err:
                if generated and attempt < NAME_ATTEMPTS - 1:
                    continue
                raise await self._taken(call, err.args[0] if err.args else meta.get("name", "")) from err
        raise AssertionError("unreachable: the last attempt raises")

    async def _taken(self, call: Call, name: str) -> status.StatusError:
        """The 409 for a name that is in use; it tells when its holder is on its way out."""
        error, current = already_exists(call, name), await self._current(call, name)
        if current is not None and "deletionTimestamp" in current.object()["metadata"]:
            error.message = f"object is being deleted: {error.message}"
        return error

    async def _create_once(self, call: Call, obj: Object) -> Written:
        endpoint, meta = call.endpoint, obj["metadata"]
        for name in SYSTEM_OWNED:
            meta.pop(name, None)
        dedup_owners(meta, call.warnings)
        self._own(call, obj, None)
        stored = obj if endpoint.to_storage is None else endpoint.to_storage(obj)
        attributes = self._attributes(call, CREATE, stored, None)
        await self._chain.mutate(attributes)
        stored = attributes.obj or stored
        meta = stored["metadata"]
        meta["creationTimestamp"] = call.now_text
        meta["uid"] = random_uuid()
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generated_name(meta["generateName"])
        call.strategy.prepare(stored, None, call.context())
        await self._check(call, stored, None)
        self._settle(call, stored)
        call.warnings += call.strategy.warnings(stored, None)
        attributes.name = meta["name"]
        finish = await call.strategy.begin_write(stored, None, call.context())
        done = False
        try:
            await self._chain.validate(attributes)
            written = await self._insert(call, stored)
            done = True
            return written
        finally:
            if finish is not None:
                await finish(done)

    async def _insert(self, call: Call, stored: Object) -> Written:
        endpoint, meta = call.endpoint, stored["metadata"]
        version = meta.pop("resourceVersion", "")
        if version.isdigit() and int(version):
            raise status.StatusError(500, "", "resourceVersion should not be set on objects to be created")
        name = meta["name"]
        if call.options.dry_run:
            if await self._current(call, name) is not None:
                raise already_exists(call, name)
            return Written(self._answer(call, stored), created=True)
        value = await endpoint.at_version(stored, endpoint.stored.api_version) if endpoint.conversion else stored
        try:
            entry = await self._store.create(
                endpoint.stored, call.namespace, name, value, call.strategy.ttl_s, is_complete=endpoint.is_plain
            )
        except KeyExists:
            raise KeyExists(name) from None
        except StorageError as err:
            raise translate(err, endpoint.resource, "create") from err
        if endpoint.conversion is not None:
            await endpoint.make_ready((entry,))
        return Written(self._answer(call, stored), created=True, entry=entry)

    # -- update ------------------------------------------------------------------------------------------------

    async def update(self, call: Call, change: Change, *, allow_create: bool = False, uid: str = "") -> Written:
        """Apply `change` to what is there and store it, again whenever somebody else was faster.

        `uid` is of the one object that is meant, if any: nothing else is made in its place.
        """
        cache = self._store.cache(call.endpoint.stored)
        current = cache.get(call.namespace, call.name)
        certain = False
        for _ in range(CONFLICT_ATTEMPTS):
            try:
                if current is None:
                    if not certain:
                        current, certain = await self._current(call, call.name), True
                        if current is not None:
                            continue
                    if uid and allow_create:
                        raise other_uid(call, uid, "")
                    return await self._create_by_update(call, change, allow_create=allow_create)
                return await self._update_once(call, change, current, uid)
            except RevisionConflict as err:
                current, certain = self._entry_of(call, err), True
            except KeyExists:
                current, certain = await self._current(call, call.name), True
            except status.StatusError:
                if certain:
                    raise
                fresh = await self._current(call, call.name)
                if fresh is not None and current is not None and fresh.revision == current.revision:
                    raise
                current, certain = fresh, True
        raise conflict(call, status.MODIFIED)

    async def _create_by_update(self, call: Call, change: Change, *, allow_create: bool) -> Written:
        if not allow_create:
            row = call.endpoint.resource
            raise status.not_found(row.group, row.resource, call.name)
        obj = change(None)
        check_namespace(call, obj["metadata"])
        version_number(obj["metadata"].pop("resourceVersion", ""))  # read, but there is nothing that it could be of
        return await self._create_once(call, obj)

    async def _update_once(self, call: Call, change: Change, current: Entry, uid: str) -> Written:
        endpoint, strategy = call.endpoint, call.strategy
        if endpoint.conversion is not None:
            await endpoint.make_ready((current,))
        old = endpoint.object(current)
        if uid and uid != old["metadata"]["uid"]:
            raise other_uid(call, uid, old["metadata"]["uid"])
        call.is_complete = current.is_complete and endpoint.is_plain
        obj = change(endpoint.object(current))
        meta = obj["metadata"]
        check_namespace(call, meta)
        stored_old = old if endpoint.to_storage is None else current.object()
        self._own(call, obj, old)
        stored = obj if endpoint.to_storage is None else endpoint.to_storage(obj)
        attributes = self._attributes(call, UPDATE, stored, stored_old)
        await self._chain.mutate(attributes)
        stored = attributes.obj or stored
        restore_times(stored, stored_old)
        check_version(call, stored["metadata"], current.revision)
        keep_system_metadata(stored["metadata"], stored_old["metadata"])
        strategy.prepare(stored, stored_old, call.context())
        await self._check(call, stored, stored_old)
        self._settle(call, stored)
        call.warnings += strategy.warnings(stored, stored_old)
        await self._chain.validate(attributes)
        return await self._replace(call, stored, stored_old, current)

    async def _replace(self, call: Call, stored: Object, old: Object, current: Entry) -> Written:
        finish = await call.strategy.begin_write(stored, old, call.context())
        done = False
        try:
            written = await self._replace_begun(call, stored, old, current)
            done = True
            return written
        finally:
            if finish is not None:
                await finish(done)

    async def _replace_begun(self, call: Call, stored: Object, old: Object, current: Entry) -> Written:
        endpoint, meta = call.endpoint, stored["metadata"]
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if stored == old and not _is_outdated(call, current):
            return Written(self._answer(call, stored), entry=current)
        del meta["resourceVersion"]
        ends = "deletionTimestamp" in old["metadata"] and call.strategy.ends_on_update(stored, old)
        if call.options.dry_run:
            meta["resourceVersion"] = str(current.revision)
            return Written(self._answer(call, stored), deleted=ends)
        value = await endpoint.at_version(stored, endpoint.stored.api_version) if endpoint.conversion else stored
        try:
            if ends:
                revision = await self._store.delete(endpoint.stored, call.namespace, call.name, current.revision)
                meta["resourceVersion"] = str(revision)
                return Written(self._answer(call, stored), deleted=True)
            entry = await self._store.update(
                endpoint.stored,
                call.namespace,
                call.name,
                value,
                current.revision,
                call.strategy.ttl_s,
                is_complete=endpoint.is_plain,
            )
        except RevisionConflict:
            raise
        except StorageError as err:
            raise translate(err, endpoint.resource, "update") from err
        if endpoint.conversion is not None:
            await endpoint.make_ready((entry,))
        return Written(self._answer(call, stored), entry=entry)

    async def adjust(self, call: Call, change: Callable[[Object], None]) -> Entry:
        """Change a stored object below strategies and ownership, as the server's own subresources do.

        `change` works in place on a copy. Raises 404 and what `change` raises.
        """
        row = call.endpoint.stored
        for _ in range(CONFLICT_ATTEMPTS):
            current = await self._current(call, call.name)
            if current is None:
                raise status.not_found(row.group, row.resource, call.name)
            obj = current.object()
            change(obj)
            if call.options.dry_run:
                return current
            del obj["metadata"]["resourceVersion"]
            try:
                return await self._store.update(row, call.namespace, call.name, obj, current.revision)
            except RevisionConflict:
                continue
            except StorageError as err:
                raise translate(err, call.endpoint.resource, "update") from err
        raise conflict(call, status.MODIFIED)

    # -- steps -------------------------------------------------------------------------------------------------

    def _own(self, call: Call, obj: Object, old: Object | None) -> None:
        """Track who owns what; an apply has done so itself."""
        if not call.tracks_ownership:
            return
        track_update(
            obj,
            old,
            manager=call.manager,
            node=call.endpoint.node,
            api_version=call.endpoint.resource.api_version,
            subresource=call.subresource,
            now=call.now_text,
            reset_fields=call.strategy.reset_fields,
            only_fields=call.strategy.only_fields,
        )

    def _settle(self, call: Call, stored: Object) -> None:
        """The last tidying before the store."""
        call.strategy.canonicalize(stored)
        if not call.endpoint.resource.custom:
            forget_empty(stored, call.endpoint.stored_node)

    async def _check(self, call: Call, obj: Object, old: Object | None) -> None:
        """Refuse what is invalid. Kubernetes takes addresses and ports before it looks, so it tells of those first."""
        try:
            self._validate(call, obj, old)
        except status.StatusError:
            finish = await call.strategy.begin_write(obj, old, call.context())
            if finish is not None:
                await finish(False)
            raise

    def _validate(self, call: Call, obj: Object, old: Object | None) -> None:
        errors = [] if old is None else list(validate_object_meta_update(obj["metadata"], old["metadata"]))
        errors += call.strategy.validate(obj, old, call.context())
        row = call.endpoint.stored
        if not errors and old is None:
            errors += validate_object_meta(obj["metadata"], namespaced=row.namespaced, name=name_is_path_segment)
        if errors:
            if not row.custom:
                errors = in_internal_form(errors, call.endpoint.stored_node)
            raise status.invalid(row.group, row.kind, obj["metadata"].get("name", ""), errors)

    def _attributes(self, call: Call, operation: str, obj: Object, old: Object | None) -> Attributes:
        return Attributes(
            operation=operation,
            resource=call.endpoint.stored if call.endpoint.conversion is None else call.endpoint.resource,
            subresource=call.subresource,
            namespace=call.namespace,
            name=call.name or obj["metadata"].get("name", ""),
            obj=obj,
            old=old,
            user=call.user,
            now=call.now,
            options=call.options.wire("CreateOptions" if operation == CREATE else "UpdateOptions"),
            dry_run=call.options.dry_run,
            warnings=call.warnings,
            annotations=call.annotations,
            requested=call.endpoint.resource,
            form=call.form,
        )

    def _answer(self, call: Call, stored: Object) -> Object:
        return stored if call.endpoint.from_storage is None else call.endpoint.from_storage(stored)

    async def _current(self, call: Call, name: str) -> Entry | None:
        try:
            return await self._store.get(call.endpoint.stored, call.namespace, name)
        except StorageError as err:
            raise translate(err, call.endpoint.resource, "get") from err

    def _entry_of(self, call: Call, err: RevisionConflict) -> Entry | None:
        return None if err.current is None else self._store.entry(call.endpoint.stored, err.current)


def _is_outdated(call: Call, current: Entry) -> bool:
    """Whether a custom object lies in the store at another version than it would now: any update brings it there."""
    stored = call.endpoint.stored
    return stored.custom and current.layout.api_version != stored.api_version


def conflict(call: Call, why: str) -> status.StatusError:
    row = call.endpoint.resource
    return status.conflict(row.group, row.resource, call.name, why)


def other_uid(call: Call, wanted: str, actual: str) -> status.StatusError:
    """The 409 of a write that means another object of the same name."""
    row = call.endpoint.stored
    key = row.key(call.namespace, call.name)
    return conflict(
        call,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}",
    )


def already_exists(call: Call, name: str) -> status.StatusError:
    row = call.endpoint.resource
    return status.already_exists(row.group, row.resource, name)


def check_namespace(call: Call, meta: Object) -> None:
    """An object belongs to the namespace of its path."""
    given = meta.get("namespace", "")
    if given != call.namespace:
        if not call.namespace:
            del meta["namespace"]
            return
        if given:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = call.namespace


def check_name(call: Call, meta: Object) -> None:
    """An update's object has the name of its path. Raises 400."""
    given = meta.get("name", "")
    if not given:
        text = f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        raise status.bad_request(text)
    if given != call.name:
        raise status.bad_request(f"the name of the object ({given}) does not match the name on the URL ({call.name})")


def check_version(call: Call, meta: Object, revision: int) -> None:
    """The resourceVersion of an update is a precondition; some kinds insist on one."""
    version = version_number(meta.get("resourceVersion", ""))
    if version == 0:
        if call.strategy.allow_unconditional_update:
            return
        row = call.endpoint.resource
        error = field_errors.invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise status.invalid(row.group, row.resource, call.name, [error])
    if version != revision:
        raise conflict(call, status.MODIFIED)


def version_number(text: str) -> int:
    """The revision that a resourceVersion names; 0 for none. Raises a 500 for what is no number."""
    if not text:
        return 0
    if not text.isdigit() or not text.isascii() or int(text) >= 1 << 64:
        why = "value out of range" if text.isdigit() and text.isascii() else "invalid syntax"
        raise status.StatusError(500, "", f"strconv.ParseUint: parsing {field_errors.quote(text)}: {why}")
    return int(text)


def keep_system_metadata(meta: Object, old: Object) -> None:
    """What only the system sets stays as it was."""
    uid = meta.get("uid")
    if not uid:
        meta["uid"] = old["uid"]
    for name in ("creationTimestamp", "generation"):
        if name in old:
            meta[name] = old[name]
        else:
            meta.pop(name, None)
    meta["resourceVersion"] = old["resourceVersion"]
    meta.pop("selfLink", None)
    if "deletionTimestamp" in old:
        meta["deletionTimestamp"] = old["deletionTimestamp"]
        if "deletionGracePeriodSeconds" in old:
            meta.setdefault("deletionGracePeriodSeconds", old["deletionGracePeriodSeconds"])


DUPLICATE_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)


def dedup_owners(meta: Object, warnings: list[str]) -> None:
    """Equal owner references count once; the user is told."""
    owners = meta.get("ownerReferences")
    if not owners or len(owners) == 1:
        return
    kept: list[Object] = []
    twice: list[str] = []
    for owner in owners:
        if owner in kept:
            twice.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if twice:
        meta["ownerReferences"] = kept
        warnings.append(DUPLICATE_OWNERS + ", ".join(dict.fromkeys(twice)))
