"""Refuses what would exceed a quota, and books what is let in.

Usage is booked in the quota's status by compare-and-swap before the object is stored, so quotas hold however many
servers write at once. A refusal is always based on what the store has now. What was booked for a write that failed
afterwards comes back when the quota controller counts anew.
Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/{admission,controller}.go
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.backend import RevisionConflict, StorageError
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource, GroupVersionKind
from openapi.kinds.pod_resources import Amounts
from openapi.meta import status
from openapi.meta.times import format_time
from openapi.quota.amounts import amounts
from openapi.quota.scope import scope_selectors
from openapi.quota.usage import Measure, measure_for
from openapi.schema.load import schema_for
from openapi.schema.ownership import track_update

Object = dict[str, Any]
T = TypeVar("T")

MANAGER = "kube-apiserver"
ATTEMPTS = 32
PODS = GroupResource("", "pods")
CLAIMS = GroupResource("", "persistentvolumeclaims")
_COST_ON_UPDATE = frozenset((CLAIMS, GroupResource("", "services"), GroupResource("resource.k8s.io", "resourceclaims")))
_IGNORED = frozenset((GroupResource("", "events"), GroupResource("events.k8s.io", "events")))
_MOST_WRITTEN = 1024
_GVK = GroupVersionKind("", "v1", "ResourceQuota")


class ResourceQuota(Plugin):
    name = "ResourceQuota"
    operations = frozenset((CREATE, UPDATE))
    subresources = frozenset(("", "status", "resize"))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._quotas = Lookup(store, catalog, "", "resourcequotas")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._written: dict[str, Entry] = {}

    async def validate(self, attributes: Attributes) -> None:
        if not attributes.namespace:
            return
        entries = self._quotas.all(attributes.namespace)
        if not entries or attributes.resource.gr in _IGNORED:
            return
        if not _can_cost(attributes):
            return
        measure = measure_for(attributes.resource.gr)
        # One at a time in this process: otherwise the later ones would only lose their compare-and-swap.
        lock = self._locks.get(attributes.namespace)
        if lock is None:
            lock = self._locks[attributes.namespace] = asyncio.Lock()
        async with lock:
            await self._book(attributes, measure, [self._latest(entry) for entry in entries])

    async def _book(self, attributes: Attributes, measure: Measure, entries: Iterable[Entry]) -> None:
        """Check all quotas, then book; whoever is overtaken checks that quota again."""
        charge = _Charge(attributes, measure)
        concerned = []
        for entry in entries:
            entry, concerns = await self._check(entry, charge.concerns)
            if concerns:
                concerned.append(entry)
        booked: list[tuple[Entry, Object]] = []
        for entry in concerned:
            checked, changed = await self._check(entry, charge.apply)
            if changed is not None:
                booked.append((checked, changed))
        if attributes.dry_run:
            return
        for entry, changed in booked:
            await self._write(charge, entry, changed)

    async def _check(self, entry: Entry, check: Callable[[Object], T | None]) -> tuple[Entry, T | None]:
        """The quota as it was checked and what `check` says of it. A refusal by a cached quota is looked up again."""
        try:
            return entry, check(entry.object())
        except status.StatusError:
            live = await self._quotas.live(entry.namespace, entry.name)
            if live is None:
                return entry, None
            if live.revision == entry.revision:
                raise
            return live, check(live.object())

    async def _write(self, charge: _Charge, entry: Entry, changed: Object) -> None:
        row = self._quotas.row
        current: Entry | None = entry
        wanted: Object | None = changed
        for _ in range(ATTEMPTS):
            if current is None or wanted is None:
                return
            try:
                written = await self._store.update(row, current.namespace, current.name, wanted, current.revision)
            except RevisionConflict as err:
                current = None if err.current is None else self._store.entry(row, err.current)
                wanted = None if current is None else charge.apply(current.object())
                continue
            except StorageError as err:
                raise status.internal_error(str(err)) from err
            self._remember(written)
            return
        raise status.conflict("", "resourcequotas", entry.name, status.MODIFIED)

    def _latest(self, entry: Entry) -> Entry:
        """The cache may be behind our own last booking."""
        written = self._written.get(entry.key)
        if written is None:
            return entry
        if written.revision > entry.revision:
            return written
        del self._written[entry.key]
        return entry

    def _remember(self, entry: Entry) -> None:
        if len(self._written) >= _MOST_WRITTEN:
            self._written.clear()
        self._written[entry.key] = entry


def _can_cost(attributes: Attributes) -> bool:
    """Whether such a request can cost anything."""
    gr, operation, subresource = attributes.resource.gr, attributes.operation, attributes.subresource
    if gr == PODS and subresource:
        return subresource == "resize" and operation == UPDATE
    if gr == CLAIMS and subresource == "status":
        obj, old = attributes.obj or {}, attributes.old or {}
        return bool((obj.get("status") or {}) != (old.get("status") or {}))
    return not subresource and (operation == CREATE or (operation == UPDATE and gr in _COST_ON_UPDATE))


class _Charge:
    """One request as quotas see it; what it costs is measured once."""

    def __init__(self, attributes: Attributes, measure: Measure) -> None:
        assert attributes.obj is not None
        self._attributes = attributes
        self._measure = measure
        self._obj: Object = attributes.obj
        self._usage: Amounts | None = None
        self._increase: Amounts = {}

    def concerns(self, quota: Object) -> bool:
        """Whether the quota limits the object. Raises 403 if the object or the quota says too little for that.

        All quotas are asked this before any of them is charged.
        """
        old_status = quota.get("status") or {}
        restricted = [name for name in old_status.get("hard") or () if self._measure.matches(name)]
        if not restricted or not self._matches(quota, self._obj):
            return False
        name = quota["metadata"]["name"]
        lacking = self._measure.missing(restricted, self._obj)
        if lacking:
            raise self._refuse(f"failed quota: {name}: {lacking}")
        used = old_status.get("used") or ()
        if any(resource not in used for resource in restricted):
            raise self._refuse(f"status unknown for quota: {name}, resources: {','.join(sorted(restricted))}")
        return True

    def apply(self, quota: Object) -> Object | None:
        """The quota with the request booked, ready to be stored; None if it is not concerned. Raises 403."""
        if not self.concerns(quota):
            return None
        name, old_status = quota["metadata"]["name"], quota.get("status") or {}
        hard, used = amounts(old_status.get("hard")), amounts(old_status.get("used"))
        asked = {resource: amount for resource, amount in self._delta(quota).items() if resource in hard and amount}
        if not asked:
            return None
        total = {resource: used[resource] + amount for resource, amount in asked.items() if resource in used}
        over = [resource for resource, amount in total.items() if amount > hard[resource]]
        if over and self._attributes.subresource != "status":
            shown = (f"{words}: {_show(values, over)}" for words, values in
                     (("requested", asked), ("used", used), ("limited", hard)))  # fmt: skip
            raise self._refuse(f"exceeded quota: {name}, " + ", ".join(shown))
        return self._booked(quota, total)

    def _matches(self, quota: Object, obj: Object) -> bool:
        return all(self._measure.in_scope(selector, obj) for selector in scope_selectors(quota))

    def _delta(self, quota: Object) -> Amounts:
        """The cost, less what the object cost this quota before."""
        attributes = self._attributes
        if self._usage is None:
            self._usage = self._measure.usage(self._obj, attributes.now)
            negative = sorted(name for name, amount in self._usage.items() if amount.sign < 0)
            if negative:
                raise self._refuse(f"quota usage is negative for resource(s): {','.join(negative)}")
            if attributes.old is not None:
                before = self._measure.usage(attributes.old, attributes.now)
                self._increase = {
                    name: amount - before[name] if name in before else amount
                    for name, amount in self._usage.items()
                    if name not in before or amount > before[name]
                }
        if attributes.old is not None and self._matches(quota, attributes.old):
            return self._increase
        return self._usage

    def _booked(self, quota: Object, total: Mapping[str, Any]) -> Object:
        changed = copy.deepcopy(quota)
        used = changed["status"].setdefault("used", {})
        used.update({name: str(amount) for name, amount in total.items()})
        track_update(
            changed,
            quota,
            manager=MANAGER,
            node=schema_for(_GVK),
            api_version="v1",
            subresource="status",
            now=format_time(self._attributes.now),
            reset_fields=(("spec",),),
        )
        return changed

    def _refuse(self, why: str) -> status.StatusError:
        return forbidden(self._attributes, why)


def _show(values: Amounts, names: Iterable[str]) -> str:
    return ",".join(f"{name}={values[name]}" for name in sorted(names))
