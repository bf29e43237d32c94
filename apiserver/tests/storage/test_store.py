"""The store with its caches and watchers, over the embedded backend in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from apiserver.storage.backend import Change, Compacted, FutureRevision, KeyExists, RevisionConflict, Unavailable
from apiserver.storage.cache import Event, ResourceCache
from apiserver.storage.entry import Entry, UndecodableValue, encode
from apiserver.storage.sqlite import SqliteBackend
from apiserver.storage.store import Store
from apiserver.storage.watcher import WatchEnded, Watcher
from openapi.catalog import Resource

PODS = Resource("", "v1", "pods", "Pod", "", True, prefix="pods")
NODES = Resource("", "v1", "nodes", "Node", "", False, prefix="minions")
SERVICES = Resource("", "v1", "services", "Service", "", True, prefix="services/specs")
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", "", True, prefix="example.com/widgets", custom=True)


def fields(obj: dict[str, Any]) -> dict[str, str]:
    return {"spec.nodeName": obj.get("spec", {}).get("nodeName", "")}


def obj(name: str, namespace: str = "default", *, node: str = "", kind: str = "Pod", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata, "spec": {"nodeName": node}}


def frame(type_: str, entry: Entry, revision: int) -> bytes:
    labels = entry.object()["metadata"].get("labels", {})
    return orjson.dumps([type_, entry.name, int(entry.object()["metadata"]["resourceVersion"]), labels, revision])


def watch(cache: ResourceCache, namespace: str = "", name: str = "", **options: Any) -> Watcher:
    return cache.watch(namespace, name, frame=frame, form="test", **options)


async def shown(watcher: Watcher) -> list[tuple[str, str]]:
    """Type and name of all frames there are now."""
    frames: list[tuple[str, str]] = []
    while batch := await watcher.next(0):
        frames += [tuple(orjson.loads(raw)[:2]) for raw in batch]
    return frames


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store(SqliteBackend(None))
    store.register(PODS, fields)
    store.register(NODES, fields)
    await store.start()
    yield store
    await store.close()


class TestWrites:
    async def test_a_write_answers_with_its_own_entry(self, store: Store) -> None:
        created = await store.create(PODS, "default", "a", obj("a", app="x"))
        assert created.object()["metadata"]["resourceVersion"] == str(created.revision)
        assert created.create_revision == created.revision
        assert created.labels == {"app": "x"}
        await store.fresh(PODS)
        updated = await store.update(PODS, "default", "a", obj("a", app="y"), created.revision)
        assert updated.revision > created.revision
        assert updated.create_revision == created.revision
        assert await store.delete(PODS, "default", "a", updated.revision) > updated.revision

    async def test_refusals_are_the_backends(self, store: Store) -> None:
        created = await store.create(PODS, "default", "a", obj("a"))
        with pytest.raises(KeyExists):
            await store.create(PODS, "default", "a", obj("a"))
        with pytest.raises(RevisionConflict) as refusal:
            await store.update(PODS, "default", "a", obj("a"), created.revision - 1)
        assert refusal.value.current is not None
        assert store.entry(PODS, refusal.value.current).document() == created.document()

    async def test_an_update_without_a_change_writes_nothing(self, store: Store) -> None:
        created = await store.create(PODS, "default", "a", obj("a"))
        await store.fresh(PODS)
        same = await store.update(PODS, "default", "a", created.object(), created.revision)
        assert (same.revision, same.document()) == (created.revision, created.document())
        assert await store.backend.current_revision() == created.revision
        await store.backend.update(PODS.key("default", "a"), encode(obj("a", n="2")), expected=created.revision)
        with pytest.raises(RevisionConflict):
            await store.update(PODS, "default", "a", created.object(), created.revision)

    async def test_a_read_after_a_write_sees_it(self, store: Store) -> None:
        for number in range(50):
            created = await store.create(PODS, "default", f"a{number}", obj(f"a{number}"))
            cache = await store.fresh(PODS)
            assert cache.revision >= created.revision
            found = cache.get("default", f"a{number}")
            assert found is not None and found.document() == created.document()

    async def test_the_backend_can_be_asked_past_the_cache(self, store: Store) -> None:
        created = await store.create(NODES, "", "n", obj("n", "", kind="Node"))
        found = await store.get(NODES, "", "n")
        assert found is not None and found.document() == created.document()
        assert await store.get(NODES, "", "m") is None

    async def test_operations_are_observed(self) -> None:
        seen: list[tuple[str, str]] = []
        store = Store(SqliteBackend(None), observe=lambda operation, prefix, s: seen.append((operation, prefix)))
        store.register(PODS, fields)
        await store.start()
        created = await store.create(PODS, "default", "a", obj("a"))
        await store.update(PODS, "default", "a", obj("a", n="2"), created.revision)
        await store.get(PODS, "default", "a")
        await store.delete(PODS, "default", "a", created.revision + 1)
        assert seen == [("create", "pods"), ("update", "pods"), ("get", "pods"), ("delete", "pods")]
        await store.close()


class TestCache:
    async def test_entries_are_in_key_order(self, store: Store) -> None:
        for namespace, name in (("b", "z"), ("a-b", "x"), ("a", "y"), ("b", "a"), ("a", "x")):
            await store.create(PODS, namespace, name, obj(name, namespace))
        cache = await store.fresh(PODS)
        assert [e.key.removeprefix("/registry/pods/") for e in cache.entries()] == ["a-b/x", "a/x", "a/y", "b/a", "b/z"]
        assert [e.name for e in cache.entries("a")] == ["x", "y"]
        assert [e.name for e in cache.entries("c")] == []
        assert len(cache) == 5

    async def test_a_list_given_out_does_not_change(self, store: Store) -> None:
        created = await store.create(PODS, "default", "a", obj("a"))
        before = (await store.fresh(PODS)).entries()
        await store.create(PODS, "default", "b", obj("b"))
        await store.delete(PODS, "default", "a", created.revision)
        after = (await store.fresh(PODS)).entries()
        assert [e.name for e in before] == ["a"]
        assert [e.name for e in after] == ["b"]

    async def test_waiting_for_a_revision_to_come_ends_at_the_timeout(self, store: Store) -> None:
        cache = store.cache(PODS)
        with pytest.raises(FutureRevision):
            await cache.wait(cache.revision + 1, 0.01)
        waiting = asyncio.create_task(cache.wait(cache.revision + 1, 10))
        await asyncio.sleep(0)
        await store.create(PODS, "default", "a", obj("a"))
        await waiting

    @pytest.mark.parametrize("events_kept", [10_000, 0], ids=["recent", "from the backend"])
    async def test_pages_show_the_past(self, events_kept: int) -> None:
        store = Store(SqliteBackend(None), history_events=events_kept)
        store.register(PODS, fields)
        await store.start()
        entries = {name: await store.create(PODS, "default", name, obj(name)) for name in "abcdef"}
        at = (await store.fresh(PODS)).revision
        changed = await store.update(PODS, "default", "c", obj("c", changed="yes"), entries["c"].revision)
        await store.update(PODS, "default", "c", obj("c", changed="again"), changed.revision)
        await store.delete(PODS, "default", "d", entries["d"].revision)
        await store.create(PODS, "default", "bb", obj("bb"))
        await store.create(PODS, "other", "c", obj("c", "other"))
        await store.fresh(PODS)
        first, remaining = await store.page(PODS, at, "default", limit=2)
        assert ([e.document() for e in first], remaining) == ([entries[n].document() for n in "ab"], 4)
        rest, remaining = await store.page(PODS, at, after=first[-1].key)
        assert ([e.document() for e in rest], remaining) == ([entries[n].document() for n in "cdef"], 0)
        with pytest.raises(FutureRevision):
            await store.page(PODS, at + 1000)
        await store.backend.compact(at + 1)
        if not events_kept:
            with pytest.raises(Compacted):
                await store.page(PODS, at)
        await store.close()

    async def test_history_is_bounded_by_bytes(self) -> None:
        store = Store(SqliteBackend(None), history_bytes=100_000)
        cache = store.register(PODS, fields)
        await store.start()
        entry = await store.create(PODS, "default", "a", obj("a", big="x" * 10_000))
        for number in range(50):
            changed = obj("a", big="x" * 10_000, n=str(number))
            entry = await store.update(PODS, "default", "a", changed, entry.revision)
        assert cache.entries_at(entry.revision - 5) is not None
        assert cache.entries_at(entry.revision - 20) is None
        await store.close()


class TestResources:
    async def test_versions_of_one_resource_share_a_cache(self, store: Store) -> None:
        again = Resource("", "v2", "pods", "Pod", "", True, prefix="pods")
        assert store.register(again, fields) is store.cache(PODS)

    async def test_a_resource_registered_late_has_all_its_objects(self, store: Store) -> None:
        backend = store.backend
        revision = await backend.create(WIDGETS.key("b", "old"), encode(obj("old", "b")))
        await backend.create(WIDGETS.key("a", "old"), encode(obj("old", "a")))
        await backend.create(WIDGETS.key("c", "gone"), encode(obj("gone", "c")))
        await backend.delete(WIDGETS.key("c", "gone"), expected=revision + 2)
        await store.fresh(PODS)
        cache = store.register(WIDGETS, fields)
        assert [(e.namespace, e.name) for e in cache.entries()] == [("a", "old"), ("b", "old")]
        watcher = watch(cache, after=revision - 1)
        await store.create(WIDGETS, "a", "new", obj("new", "a"))
        await store.fresh(WIDGETS)
        assert [e.name for e in cache.entries("a")] == ["new", "old"]
        expected = [("ADDED", "old"), ("ADDED", "old"), ("ADDED", "gone"), ("DELETED", "gone"), ("ADDED", "new")]
        assert await shown(watcher) == expected

    async def test_a_resource_can_go_and_come_back(self, store: Store) -> None:
        cache = store.register(SERVICES, fields)
        created = await store.create(SERVICES, "default", "a", obj("a"))
        await store.fresh(SERVICES)
        watcher = watch(cache)
        store.unregister(SERVICES)
        store.unregister(SERVICES)
        with pytest.raises(WatchEnded):
            await watcher.next(0)
        [entry] = store.register(SERVICES, fields).entries()
        assert (entry.document(), entry.revision) == (created.document(), created.revision)

    async def test_what_cannot_be_read_stops_the_start(self) -> None:
        backend = SqliteBackend(None)
        await backend.create(PODS.key("default", "a"), b"k8s\x00")
        store = Store(backend)
        store.register(PODS, fields)
        with pytest.raises(UndecodableValue, match="protobuf"):
            await store.start()
        await store.close()

    async def test_what_cannot_be_read_does_not_stop_the_feed(self, store: Store) -> None:
        await store.backend.create(PODS.key("default", "a"), b"no object")
        await store.create(PODS, "default", "b", obj("b"))
        assert [e.name for e in (await store.fresh(PODS)).entries()] == ["b"]


class TestWatches:
    async def test_a_watch_shows_changes_from_now_on(self, store: Store) -> None:
        first = await store.create(PODS, "default", "a", obj("a"))
        cache = await store.fresh(PODS)
        watcher = watch(cache)
        assert watcher.revision == first.revision
        second = await store.update(PODS, "default", "a", obj("a", n="2"), first.revision)
        third = await store.delete(PODS, "default", "a", second.revision)
        assert [orjson.loads(raw) for raw in await watcher.next(1)] == [
            ["MODIFIED", "a", second.revision, {"n": "2"}, second.revision],
            ["DELETED", "a", third, {"n": "2"}, third],
        ]
        assert watcher.revision == third
        assert await watcher.next(0.01) == []
        await store.create(NODES, "", "n", obj("n", ""))
        await store.fresh(PODS)
        assert watcher.revision == third + 1

    async def test_next_waits_for_an_event(self, store: Store) -> None:
        watcher = watch(store.cache(PODS))
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        await store.create(PODS, "default", "a", obj("a"))
        assert len(await waiting) == 1

    @pytest.mark.parametrize("events_kept", [10_000, 10, 0])
    async def test_a_watch_from_any_kept_revision_has_no_gap_and_no_repeat(self, events_kept: int) -> None:
        store = Store(SqliteBackend(None), history_events=events_kept)
        cache = store.register(PODS, fields)
        await store.start()
        revisions = [store.revision]
        expected: list[tuple[str, int]] = []
        for number in range(300):
            name = f"a{number // 3}"
            if number % 3 == 0:
                expected.append(("ADDED", (await store.create(PODS, "default", name, obj(name))).revision))
            elif number % 3 == 1:
                entry = await store.update(PODS, "default", name, obj(name, n="2"), revisions[-1])
                expected.append(("MODIFIED", entry.revision))
            else:
                expected.append(("DELETED", await store.delete(PODS, "default", name, revisions[-1])))
            revisions.append(expected[-1][1])
        await store.fresh(PODS)
        watchers = {after: watch(cache, "default", after=after) for after in revisions}
        last = await store.create(PODS, "default", "last", obj("last"))
        expected.append(("ADDED", last.revision))
        for after, watcher in watchers.items():
            frames: list[tuple[str, int]] = []
            while batch := await watcher.next(0):
                frames += [(raw[0], raw[2]) for raw in map(orjson.loads, batch)]
            assert frames == [event for event in expected if event[1] > after]
            assert watcher.revision == last.revision
        await store.close()

    async def test_a_watch_of_compacted_history_ends_with_the_reason(self, store: Store) -> None:
        first = await store.create(PODS, "default", "a", obj("a"))
        await store.fresh(PODS)
        second = await store.update(PODS, "default", "a", obj("a"), first.revision)
        await store.backend.compact(second.revision)
        late = store.register(WIDGETS, fields)
        watcher = watch(late, after=first.revision - 1)
        with pytest.raises(WatchEnded) as ended:
            await watcher.next(1)
        assert isinstance(ended.value.cause, Compacted)
        assert late.watchers == 0

    async def test_a_watch_from_a_revision_to_come_skips_up_to_it(self, store: Store) -> None:
        watcher = watch(store.cache(PODS), after=store.revision + 1)
        await store.create(PODS, "default", "a", obj("a"))
        await store.create(PODS, "default", "b", obj("b"))
        assert await shown(watcher) == [("ADDED", "b")]

    async def test_only_what_is_asked_for_is_shown(self, store: Store) -> None:
        cache = store.cache(PODS)
        watchers = {
            "all": watch(cache),
            "namespace": watch(cache, "one"),
            "name": watch(cache, "one", "a"),
            "name anywhere": watch(cache, "", "a"),
            "label": watch(cache, predicate=lambda entry: entry.labels.get("app") == "x"),
        }
        await store.create(PODS, "one", "a", obj("a", "one"))
        await store.create(PODS, "one", "b", obj("b", "one", app="x"))
        await store.create(PODS, "two", "a", obj("a", "two"))
        seen = {what: [name for _, name in await shown(watcher)] for what, watcher in watchers.items()}
        assert seen == {
            "all": ["a", "b", "a"],
            "namespace": ["a", "b"],
            "name": ["a"],
            "name anywhere": ["a", "a"],
            "label": ["b"],
        }
        for watcher in watchers.values():
            watcher.close()
            watcher.close()
        assert cache.watchers == 0

    @pytest.mark.parametrize("indexed", [False, True], ids=["predicate", "index"])
    @pytest.mark.parametrize("replayed", [False, True], ids=["live", "replayed"])
    async def test_an_object_that_starts_or_stops_to_match_comes_or_goes(
        self, store: Store, indexed: bool, replayed: bool
    ) -> None:
        cache = store.cache(PODS)
        options: dict[str, Any] = {"predicate": lambda entry: entry.fields["spec.nodeName"] == "n1"}
        if indexed:
            options = {"index": ("spec.nodeName", "n1")}
        start = store.revision
        watcher = watch(cache, **options)
        entry = await store.create(PODS, "default", "a", obj("a", v="1"))
        for version, node in (("2", "n1"), ("3", "n1"), ("4", "n2"), ("5", "n2"), ("6", "n1")):
            entry = await store.update(PODS, "default", "a", obj("a", node=node, v=version), entry.revision)
        deleted = await store.delete(PODS, "default", "a", entry.revision)
        await store.fresh(PODS)
        if replayed:
            watcher = watch(cache, after=start, **options)
        frames = [tuple(orjson.loads(raw)) for raw in await watcher.next(1)]
        first = start + 1
        assert frames == [
            ("ADDED", "a", first + 1, {"v": "2"}, first + 1),
            ("MODIFIED", "a", first + 2, {"v": "3"}, first + 2),
            ("DELETED", "a", first + 3, {"v": "3"}, first + 3),
            ("ADDED", "a", first + 5, {"v": "6"}, first + 5),
            ("DELETED", "a", deleted, {"v": "6"}, deleted),
        ]

    async def test_a_frame_is_encoded_once_for_all_of_one_form(self, store: Store) -> None:
        encoded: list[str] = []

        def counted(type_: str, entry: Entry, revision: int) -> bytes:
            encoded.append(type_)
            return frame(type_, entry, revision)

        cache = store.cache(PODS)
        watchers = [cache.watch(frame=counted, form=form) for form in ("json", "json", "table")]
        await store.create(PODS, "default", "a", obj("a"))
        frames = [(await watcher.next(1))[0] for watcher in watchers]
        assert encoded == ["ADDED", "ADDED"]
        assert frames[0] is frames[1]

    async def test_a_client_that_is_too_slow_is_cut_off(self, store: Store) -> None:
        cache = store.cache(PODS)
        slow, quick = watch(cache, queue_limit=3), watch(cache, queue_limit=3)
        for number in range(4):
            await store.create(PODS, "default", f"a{number}", obj(f"a{number}"))
            assert len(await quick.next(1)) == 1
        with pytest.raises(WatchEnded, match="too slow"):
            await slow.next(1)
        assert cache.watchers == 1

    async def test_past_events_do_not_count_as_slowness(self, store: Store) -> None:
        for number in range(10):
            await store.create(PODS, "default", f"a{number}", obj(f"a{number}"))
        cache = await store.fresh(PODS)
        watcher = watch(cache, after=1, queue_limit=3)
        await store.create(PODS, "default", "b", obj("b"))
        assert len(await watcher.next(1)) == 11

    async def test_one_frame_that_fails_does_not_stop_the_others(self, store: Store) -> None:
        def broken(type_: str, entry: Entry, revision: int) -> bytes:
            raise ValueError(entry.name)

        cache = store.cache(PODS)
        bad = cache.watch(frame=broken, form="broken")
        good = watch(cache)
        await store.create(PODS, "default", "a", obj("a"))
        assert await shown(good) == [("ADDED", "a")]
        with pytest.raises(WatchEnded):
            await bad.next(1)

    async def test_watches_end_with_the_store(self) -> None:
        store = Store(SqliteBackend(None))
        watcher = watch(store.register(PODS, fields))
        await store.start()
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(WatchEnded):
            await waiting


class Flaky(SqliteBackend):
    """Its watches break on demand."""

    def __init__(self) -> None:
        super().__init__(None)
        self.error: Exception | None = None
        self.has_broken = asyncio.Event()

    async def watch(self, prefix: str, *, after: int) -> AsyncIterator[tuple[Sequence[Change], int]]:
        async for batch in super().watch(prefix, after=after):
            yield batch
            if self.error is not None:
                error, self.error = self.error, None
                self.has_broken.set()
                raise error


class TestFeed:
    async def test_a_feed_that_breaks_resumes_without_gap_or_repeat(self) -> None:
        backend = Flaky()
        store = Store(backend)
        watcher = watch(store.register(PODS, fields))
        await store.start()
        names = []
        for number in range(10):
            backend.error = Unavailable("gone") if number % 3 == 0 else None
            names.append(f"a{number}")
            await store.create(PODS, "default", names[-1], obj(names[-1]))
        await store.fresh(PODS)
        assert await shown(watcher) == [("ADDED", name) for name in names]
        assert store.feed_failures > 0
        assert (store.events_received, store.events_dispatched) == (10, 10)
        await store.close()

    async def test_a_feed_whose_history_is_gone_rebuilds_and_ends_watches(self) -> None:
        backend = Flaky()
        store = Store(backend)
        cache = store.register(PODS, fields)
        await store.start()
        entries = {name: await store.create(PODS, "default", name, obj(name)) for name in ("a", "b", "c")}
        await store.fresh(PODS)
        heard: list[Event] = []
        cache.listen(heard.append)
        watcher = watch(cache)
        backend.error = Unavailable("gone")
        await store.create(PODS, "default", "broken", obj("broken"))
        await backend.has_broken.wait()
        await backend.update(PODS.key("default", "a"), encode(obj("a", new="yes")), expected=entries["a"].revision)
        await backend.delete(PODS.key("default", "b"), expected=entries["b"].revision)
        last = await backend.create(PODS.key("default", "d"), encode(obj("d")))
        await backend.compact(last)
        await cache.wait(last, 5)
        with pytest.raises(WatchEnded) as ended:
            await watcher.next(0)
        assert isinstance(ended.value.cause, Compacted)
        assert [e.name for e in cache.entries()] == ["a", "broken", "c", "d"]
        told = [(event.type, event.entry.name) for event in heard]
        assert told == [("ADDED", "broken"), ("DELETED", "b"), ("MODIFIED", "a"), ("ADDED", "d")]
        late = watch(cache, after=entries["c"].revision)
        with pytest.raises(WatchEnded):
            await late.next(1)
        await store.close()

    async def test_freshness_is_asked_once_for_all_that_wait(self) -> None:
        class Counting(SqliteBackend):
            embedded = False
            asked = 0

            async def current_revision(self) -> int:
                self.asked += 1
                await asyncio.sleep(0.01)
                return await super().current_revision()

        backend = Counting(None)
        store = Store(backend)
        store.register(PODS, fields)
        await store.start()
        await asyncio.gather(*(store.fresh(PODS) for _ in range(100)))
        assert backend.asked == 2
        await store.fresh(PODS)
        assert backend.asked == 3
        await store.close()

    async def test_compaction_keeps_what_was_written_since_the_last_one(self) -> None:
        backend = SqliteBackend(None)
        store = Store(backend)
        store.register(PODS, fields)
        await store.start()
        first = await store.create(PODS, "default", "a", obj("a"))
        await store.compact()
        second = await store.update(PODS, "default", "a", obj("a", n="2"), first.revision)
        await store.update(PODS, "default", "a", obj("a", n="3"), second.revision)
        await store.compact()
        assert await backend.get(PODS.key("default", "a"), revision=second.revision) is not None
        await store.compact()
        with pytest.raises(Compacted):
            await backend.get(PODS.key("default", "a"), revision=second.revision)
        with pytest.raises(Compacted):  # The cache knows it still, and must not tell.
            await store.page(PODS, second.revision)
        await store.close()
