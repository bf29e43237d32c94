"""Deleting objects: preconditions, grace periods, finalizers and propagation, in one or two writes as Kubernetes does.

Follows: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go Delete and
staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from apiserver.admission.chain import Chain
from apiserver.admission.plugin import DELETE, Attributes
from apiserver.registry.call import Call
from apiserver.registry.errors import translate
from apiserver.registry.options import DeleteOptions
from apiserver.storage.backend import RevisionConflict, StorageError
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.meta import status
from openapi.meta.times import format_time, parse_time

Object = dict[str, Any]

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
ATTEMPTS = 32
COLLECTION_AT_ONCE = 16
"""How many objects of a collection are deleted side by side."""


@dataclass(slots=True)
class Deleted:
    """`obj` is the object as it was left or removed; `gone` whether it is out of the store."""

    obj: Object
    gone: bool


class Deletes:
    """Carries deletions to the store."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain

    async def delete(self, call: Call, options: DeleteOptions) -> Deleted:
        """Delete `call.name`. Raises 404, 409 for preconditions, and what admission raises."""
        current = self._store.cache(call.endpoint.stored).get(call.namespace, call.name)
        certain = False
        for _ in range(ATTEMPTS):
            try:
                if current is None:
                    if certain:
                        row = call.endpoint.resource
                        raise status.not_found(row.group, row.resource, call.name)
                    current, certain = await self._fresh(call), True
                    continue
                return await self._delete_once(call, options, current)
            except RevisionConflict as err:
                current = None if err.current is None else self._store.entry(call.endpoint.stored, err.current)
                certain = True
            except status.StatusError:
                fresh = current if certain else await self._fresh(call)
                if certain or (fresh is not None and current is not None and fresh.revision == current.revision):
                    raise
                current, certain = fresh, True
        row = call.endpoint.resource
        raise status.conflict(row.group, row.resource, call.name, status.MODIFIED)

    async def delete_collection(self, call: Call, options: DeleteOptions, entries: Sequence[Entry]) -> list[Object]:
        """Delete all of `entries`; an object that is gone already counts as deleted. Returns them as they were."""
        gate = asyncio.Semaphore(COLLECTION_AT_ONCE)

        async def one(entry: Entry) -> None:
            async with gate:
                each = replace(call, namespace=entry.namespace, name=entry.name)
                try:
                    await self.delete(each, options)
                except status.StatusError as err:
                    if err.code != 404:
                        raise

        results = await asyncio.gather(*(one(e) for e in entries), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [call.endpoint.object(e) for e in entries]

    async def _delete_once(self, call: Call, options: DeleteOptions, current: Entry) -> Deleted:
        if call.endpoint.conversion is not None:
            await call.endpoint.make_ready((current,))
        obj = current.object()
        self._check_preconditions(call, options, obj)
        attributes = Attributes(
            operation=DELETE,
            resource=call.endpoint.stored,
            subresource=call.subresource,
            namespace=call.namespace,
            name=call.name,
            obj=None,
            old=obj,
            user=call.user,
            now=call.now,
            options=options.wire,
            dry_run=options.dry_run,
            warnings=call.warnings,
            annotations=call.annotations,
            requested=call.endpoint.resource,
        )
        if call.admits:
            await self._chain.mutate(attributes)
            await self._chain.validate(attributes)
        if call.strategy.orphaning_warning and options.orphan is None and options.propagation is None:
            call.warnings.append(call.strategy.orphaning_warning)
        marked, remove = self._mark(call, options, current.object())
        if marked is None and not remove:
            return Deleted(await self._answer(call, obj), gone=False)
        if options.dry_run:
            return Deleted(await self._answer(call, marked or obj), gone=remove)
        try:
            revision, final = current.revision, obj
            if marked is not None:
                meta = marked["metadata"]
                meta.pop("resourceVersion", None)
                entry = await self._store.update(
                    call.endpoint.stored, call.namespace, call.name, marked, revision, ttl_s=call.strategy.ttl_s
                )
                revision, final = entry.revision, entry.object()
            if remove:
                final = await self._remove(call, final, revision, is_marked=marked is not None)
        except RevisionConflict:
            raise
        except StorageError as err:
            raise translate(err, call.endpoint.resource, "delete") from err
        if remove:
            await call.strategy.after_delete(final)
        return Deleted(await self._answer(call, final), gone=remove)

    async def _remove(self, call: Call, obj: Object, revision: int, *, is_marked: bool) -> Object:
        """Remove the object; how it was last. Others see the mark, and may change the object or end it before us."""
        uid = obj["metadata"]["uid"]
        for _ in range(ATTEMPTS):
            try:
                gone_at = await self._store.delete(call.endpoint.stored, call.namespace, call.name, revision)
            except RevisionConflict as err:
                if not is_marked:
                    raise
                current = None if err.current is None else self._store.entry(call.endpoint.stored, err.current)
                if current is None or current.object()["metadata"]["uid"] != uid:
                    return obj
                obj, revision = current.object(), current.revision
                continue
            obj["metadata"]["resourceVersion"] = str(gone_at)
            return obj
        row = call.endpoint.resource
        raise status.conflict(row.group, row.resource, call.name, status.MODIFIED)

    def _mark(self, call: Call, options: DeleteOptions, obj: Object) -> tuple[Object | None, bool]:
        """The object to store first (None: leave it as it is) and whether it is removed then."""
        strategy, meta = call.strategy, obj["metadata"]
        if strategy.is_held(obj):
            if "deletionTimestamp" in meta:
                return None, False
            meta["deletionTimestamp"] = call.now_text
            strategy.mark_deleted(obj)
            return obj, False
        graceful, pending = False, False
        grace = 0
        if strategy.graceful:
            graceful, pending, grace = self._grace(call, options, obj)
        if pending:
            return None, False
        finalizers = meta.get("finalizers", [])
        wanted = finalizers_for(options, finalizers, orphans_by_default=strategy.orphans_by_default)
        changed = wanted != finalizers
        if changed:
            if wanted:
                meta["finalizers"] = wanted
            else:
                meta.pop("finalizers", None)
        if graceful:
            return obj, not wanted and grace == 0
        if not wanted:
            return None, True
        newly = "deletionTimestamp" not in meta
        if newly:
            meta["deletionTimestamp"] = call.now_text
            if meta.get("generation", 0) > 0:
                meta["generation"] += 1
        if meta.get("deletionGracePeriodSeconds") != 0:
            meta["deletionGracePeriodSeconds"] = 0
            newly = True
        strategy.mark_deleted(obj)
        return (obj if newly or changed else None), False

    def _grace(self, call: Call, options: DeleteOptions, obj: Object) -> tuple[bool, bool, int]:
        """Whether the object was marked with a grace period, whether nothing is to be done, and the period."""
        meta = obj["metadata"]
        given = meta.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" in meta:
            if given is None:
                return False, False, 0
            period = 1 if options.grace_s is not None and options.grace_s < 0 else options.grace_s
            if period is None or period >= given:
                return False, True, given
            end = parse_time(meta["deletionTimestamp"]) - timedelta(seconds=given - period)
            meta["deletionTimestamp"] = format_time(end)
            meta["deletionGracePeriodSeconds"] = period
            return True, False, period
        period = call.strategy.deletion_grace_s(obj, options.grace_s)
        meta["deletionTimestamp"] = format_time(call.now + timedelta(seconds=period))
        meta["deletionGracePeriodSeconds"] = period
        if meta.get("generation", 0) > 0:
            meta["generation"] += 1
        return True, False, period

    def _check_preconditions(self, call: Call, options: DeleteOptions, obj: Object) -> None:
        meta, row = obj["metadata"], call.endpoint.stored
        if call.strategy.is_emptied_first:
            for name, wanted, actual in (
                ("UID", options.uid, meta["uid"]),
                ("ResourceVersion", options.resource_version, meta["resourceVersion"]),
            ):
                if wanted is not None and wanted != actual:
                    why = f"Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {actual}"
                    raise status.conflict(row.group, row.resource, call.name, why)
            return
        if options.uid is not None and options.uid != meta["uid"]:
            why = (
                f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta['uid']}). "
                "The object might have been deleted and then recreated"
            )
            raise status.conflict(row.group, row.kind, call.name, why)
        version = options.resource_version
        if version is not None and version != meta["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
                f"({meta['resourceVersion']}). The object might have been modified"
            )
            raise status.conflict(row.group, row.kind, call.name, why)

    async def _fresh(self, call: Call) -> Entry | None:
        try:
            return await self._store.get(call.endpoint.stored, call.namespace, call.name)
        except StorageError as err:
            raise translate(err, call.endpoint.resource, "delete") from err

    async def _answer(self, call: Call, stored: Object) -> Object:
        endpoint = call.endpoint
        if endpoint.conversion is not None:
            stored = await endpoint.at_version(stored, endpoint.resource.api_version)
        return stored if endpoint.from_storage is None else endpoint.from_storage(stored)


def finalizers_for(options: DeleteOptions, finalizers: list[str], *, orphans_by_default: bool) -> list[str]:
    """The finalizers that an object has once its deletion began."""
    orphan = _orphans(options, finalizers, orphans_by_default)
    foreground = _foreground(options, finalizers)
    kept = [f for f in finalizers if f not in (ORPHAN, FOREGROUND)]
    if orphan == (ORPHAN in finalizers) and foreground == (FOREGROUND in finalizers):
        return finalizers
    if orphan:
        kept.append(ORPHAN)
    if foreground:
        kept.append(FOREGROUND)
    return kept


def _orphans(options: DeleteOptions, finalizers: list[str], by_default: bool) -> bool:
    if options.orphan is not None:
        return options.orphan
    if options.propagation is not None:
        return options.propagation == "Orphan"
    if ORPHAN in finalizers:
        return True
    return FOREGROUND not in finalizers and by_default


def _foreground(options: DeleteOptions, finalizers: list[str]) -> bool:
    if options.orphan is not None:
        return False
    if options.propagation is not None:
        return options.propagation == "Foreground"
    return FOREGROUND in finalizers and ORPHAN not in finalizers


def status_of(call: Call, obj: Object) -> Object:
    """The Status that answers a finished deletion."""
    row = call.endpoint.resource
    details: Object = {"name": call.name}
    if row.group:
        details["group"] = row.group
    details["kind"] = row.resource
    details["uid"] = obj["metadata"]["uid"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
