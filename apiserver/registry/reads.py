"""Getting and listing objects from the watch cache, and from the store's history where an older state is asked for.

A read without resourceVersion is linearizable: it waits until the cache has reached the store's present revision.
Follows: staging/src/k8s.io/apiserver/pkg/storage/cacher/cacher.go and etcd3/store.go GetList
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apiserver.registry.endpoint import Endpoint
from apiserver.registry.list_options import ListOptions, decode_token, encode_token, parse_resource_version
from apiserver.request import RequestInfo
from apiserver.storage.backend import Compacted, FutureRevision, StorageError
from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.meta import status

FRESH_TIMEOUT_S = 3.0
"""How long a read waits for a revision that the cache has not reached."""
HISTORY_PAGE = 2000

CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(slots=True)
class Listed:
    """Entries in key order at `revision`; `token` and `remaining` when there is more (remaining -1: not known)."""

    entries: Sequence[Entry]
    revision: int
    token: str = ""
    remaining: int = 0


class Reads:
    """Answers reads from the caches of `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, endpoint: Endpoint, namespace: str, name: str, request: RequestInfo) -> Entry:
        """Raises 404, 504 for a resourceVersion in the future."""
        cache = self._store.cache(endpoint.stored)
        text = request.first("resourceVersion") if request.query else ""
        await self._reach(endpoint, cache, parse_resource_version(text))
        entry = cache.get(namespace, name)
        if entry is None:
            row = endpoint.resource
            raise status.not_found(row.group, row.resource, name)
        if endpoint.conversion is not None:
            await endpoint.make_ready((entry,))
        return entry

    async def list(self, endpoint: Endpoint, namespace: str, options: ListOptions) -> Listed:
        """Raises 400 for a bad token, 410 for a state that is gone, 504 for one that is not there yet."""
        listed = await self._select(endpoint, namespace, options)
        if endpoint.conversion is not None:
            await endpoint.make_ready(listed.entries)
        return listed

    async def _select(self, endpoint: Endpoint, namespace: str, options: ListOptions) -> Listed:
        if options.token:
            revision, start = decode_token(options.token)
            if options.resource_version:
                raise status.bad_request("specifying resource version is not allowed when using continue")
            prefix = endpoint.stored.key_prefix(namespace)
            after = prefix + _before(start)
            return await self._history(endpoint, namespace, options, revision, after)
        if options.is_exact:
            assert options.resource_version is not None
            return await self._history(endpoint, namespace, options, options.resource_version, "")
        cache = self._store.cache(endpoint.stored)
        await self._reach(endpoint, cache, options.resource_version)
        revision = cache.revision
        entries = self._candidates(endpoint, cache, namespace, options)
        return _page(endpoint, namespace, entries, options.predicate(), options, revision)

    def _candidates(
        self, endpoint: Endpoint, cache: ResourceCache, namespace: str, options: ListOptions
    ) -> Sequence[Entry]:
        """All entries that may match: one when the selector names it."""
        if options.name:
            if options.namespace and namespace and options.namespace != namespace:
                return ()
            where = namespace or options.namespace
            if where or not endpoint.stored.namespaced:
                entry = cache.get(where, options.name)
                return () if entry is None else (entry,)
        return cache.entries(namespace or options.namespace)

    async def _reach(self, endpoint: Endpoint, cache: ResourceCache, revision: int | None) -> None:
        """Wait until the cache may answer: for None until it shows all that was written before this call."""
        if revision == 0 or (revision is not None and cache.revision >= revision):
            return
        try:
            if revision is None:
                await self._store.fresh(endpoint.stored)
            else:
                await cache.wait(revision, FRESH_TIMEOUT_S)
        except FutureRevision as err:
            if revision is None:
                raise status.StatusError(500, "", "etcdserver: request timed out") from err
            raise status.too_large_resource_version(revision, cache.revision) from err
        except StorageError as err:
            raise status.StatusError(500, "", str(err)) from err

    async def _history(
        self, endpoint: Endpoint, namespace: str, options: ListOptions, revision: int, after: str
    ) -> Listed:
        """A list of an older state, read from the store page by page until the limit is full."""
        prefix, predicate = endpoint.stored.key_prefix(namespace), options.predicate()
        if revision <= 0:
            revision = await self._store.backend.current_revision()
        recent = self._store.cache(endpoint.stored).entries_at(revision, namespace)
        if recent is not None:
            first = bisect_right(recent, after, key=lambda e: e.key) if after else 0
            return _page(endpoint, namespace, recent[first:], predicate, options, revision)
        chosen: list[Entry] = []
        while True:
            want = options.limit - len(chosen) if options.limit else HISTORY_PAGE
            try:
                page = await self._store.backend.range(prefix, after=after, limit=want, revision=revision)
            except Compacted as err:
                if options.token:
                    raise await self._expired_token(endpoint, namespace, after) from err
                raise status.expired("The resourceVersion for the provided list is too old.") from err
            except FutureRevision as err:
                current = await self._store.backend.current_revision()
                raise status.too_large_resource_version(revision, current) from err
            except StorageError as err:
                raise status.StatusError(500, "", str(err)) from err
            for item in page.items:
                entry = self._store.entry(endpoint.stored, item)
                if predicate is None or predicate(entry):
                    chosen.append(entry)
                after = item.key
            if page.remaining <= 0 or not page.items:
                return Listed(chosen, revision)
            if options.limit and len(chosen) >= options.limit:
                token = encode_token(revision, after[len(prefix) :] + "\0")
                return Listed(chosen, revision, token, -1 if predicate else page.remaining)

    async def _expired_token(self, endpoint: Endpoint, namespace: str, after: str) -> status.StatusError:
        """The 410 of a token whose state is gone carries a token that goes on with the present state."""
        error = status.expired(CONTINUE_TOO_OLD)
        prefix = endpoint.stored.key_prefix(namespace)
        error.list_meta = {"continue": encode_token(-1, after[len(prefix) :] + "\0")}
        return error


def _before(start: str) -> str:
    """Tokens name the first key of the next chunk: what sorts right behind the last key seen, or a key itself."""
    return start[:-1] if start.endswith("\0") else start


def _page(
    endpoint: Endpoint,
    namespace: str,
    entries: Sequence[Entry],
    predicate: Callable[[Entry], bool] | None,
    options: ListOptions,
    revision: int,
) -> Listed:
    """The matches, at most `limit` of them where there is one. Whether what is left matches is not looked at."""
    if options.limit == 0 or len(entries) <= options.limit or options.ignores_limit:
        return Listed(options.matching(entries), revision)
    prefix = endpoint.stored.key_prefix(namespace)
    if predicate is None:
        chosen = entries[: options.limit]
        token = encode_token(revision, chosen[-1].key[len(prefix) :] + "\0")
        return Listed(chosen, revision, token, len(entries) - options.limit)
    matches: list[Entry] = []
    for index, entry in enumerate(entries):
        if predicate(entry):
            matches.append(entry)
            if len(matches) == options.limit and index + 1 < len(entries):
                token = encode_token(revision, entry.key[len(prefix) :] + "\0")
                return Listed(matches, revision, token, -1)
    return Listed(matches, revision)
