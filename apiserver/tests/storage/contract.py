"""What every backend must do, as tests: subclass `BackendContract` and give it a `site` fixture.

A site is a place where a store's data lie; `open` begins to use them, `reopen` goes on after a restart of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast

import pytest

from apiserver.storage.backend import (
    Backend,
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyValue,
    RevisionConflict,
)

PODS = "/registry/pods/"


class Site(Protocol):
    survives_restart: bool

    async def open(self) -> Backend: ...

    async def reopen(self) -> Backend: ...

    async def advance(self, seconds: float) -> None:
        """Let time pass for TTLs."""
        ...


def pod(name: str, namespace: str = "default") -> str:
    return f"{PODS}{namespace}/{name}"


async def changes_until(backend: Backend, after: int, upto: int, prefix: str = PODS) -> list[Change]:
    """All that a watch tells about revisions in (`after`, `upto`]."""
    found: list[Change] = []
    feed = cast("Any", backend.watch(prefix, after=after))
    async with asyncio.timeout(60), aclosing(feed):
        async for changes, revision in feed:
            found += changes
            assert not changes or changes[-1].revision <= revision
            if revision >= upto:
                return found
    raise AssertionError("the watch ended")


class Recorder:
    """Follows a watch in the background."""

    def __init__(self, backend: Backend, after: int, prefix: str = PODS) -> None:
        self.changes: list[Change] = []
        self.revision = after
        self._task = asyncio.create_task(self._follow(backend.watch(prefix, after=after)))

    async def _follow(self, feed: AsyncIterator[tuple[Sequence[Change], int]]) -> None:
        async for changes, revision in feed:
            self.changes += changes
            self.revision = revision

    async def reach(self, revision: int) -> list[Change]:
        async with asyncio.timeout(30):
            while self.revision < revision:
                assert not self._task.done(), self._task
                await asyncio.sleep(0.005)
        return self.changes

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def churn(backend: Backend, writes: int) -> list[tuple[str, int]]:
    """Creations, updates and deletions by ten writers at once: each change's kind and revision, in order."""

    async def write(writer: int) -> list[tuple[str, int]]:
        done: list[tuple[str, int]] = []
        revision = 0
        for number in range(writes // 10):
            key = pod(f"{writer}-{number // 4}")
            match number % 4:
                case 0:
                    revision = await backend.create(key, b"a%d" % number)
                    done.append(("create", revision))
                case 3:
                    revision = await backend.delete(key, expected=revision)
                    done.append(("delete", revision))
                case _:
                    revision = await backend.update(key, b"b%d" % number, expected=revision)
                    done.append(("update", revision))
        return done

    parts = await asyncio.gather(*(write(writer) for writer in range(10)))
    return sorted((change for part in parts for change in part), key=lambda change: change[1])


def kind(change: Change) -> str:
    if change.value is None:
        return "delete"
    return "create" if change.previous is None else "update"


class BackendContract:
    # Single keys

    async def test_a_created_key_is_there_with_its_revision(self, site: Site) -> None:
        backend = await site.open()
        before = await backend.current_revision()
        revision = await backend.create(pod("a"), b"1")
        assert revision > before
        assert await backend.get(pod("a")) == KeyValue(pod("a"), b"1", revision, revision)
        assert await backend.current_revision() == revision

    async def test_revisions_begin_above_zero(self, site: Site) -> None:
        backend = await site.open()
        assert await backend.current_revision() >= 1

    async def test_a_key_that_is_not_there_is_none(self, site: Site) -> None:
        backend = await site.open()
        assert await backend.get(pod("a")) is None

    async def test_a_key_cannot_be_created_twice(self, site: Site) -> None:
        backend = await site.open()
        await backend.create(pod("a"), b"1")
        with pytest.raises(KeyExists):
            await backend.create(pod("a"), b"2")
        assert (await backend.range(PODS)).items[0].value == b"1"

    async def test_of_many_creations_at_once_one_wins(self, site: Site) -> None:
        backend = await site.open()
        done = await asyncio.gather(*(backend.create(pod("a"), b"%d" % n) for n in range(20)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in done) == ["KeyExists"] * 19 + ["int"]

    async def test_an_update_keeps_the_create_revision(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"1")
        updated = await backend.update(pod("a"), b"2", expected=created)
        assert await backend.get(pod("a")) == KeyValue(pod("a"), b"2", updated, created)

    async def test_an_update_of_an_old_revision_shows_the_present_one(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"1")
        updated = await backend.update(pod("a"), b"2", expected=created)
        with pytest.raises(RevisionConflict) as refusal:
            await backend.update(pod("a"), b"3", expected=created)
        assert refusal.value.current == KeyValue(pod("a"), b"2", updated, created)

    @pytest.mark.parametrize("expected", [0, 1, 5])
    async def test_a_missing_key_cannot_be_updated_or_deleted(self, site: Site, expected: int) -> None:
        backend = await site.open()
        with pytest.raises(RevisionConflict) as refusal:
            await backend.update(pod("a"), b"3", expected=expected)
        assert refusal.value.current is None
        with pytest.raises(RevisionConflict) as refusal:
            await backend.delete(pod("a"), expected=expected)
        assert refusal.value.current is None

    async def test_of_many_updates_of_one_revision_one_wins(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"")
        writes = (backend.update(pod("a"), b"%d" % n, expected=created) for n in range(20))
        done = await asyncio.gather(*writes, return_exceptions=True)
        [revision] = [result for result in done if isinstance(result, int)]
        refusals = [result for result in done if isinstance(result, RevisionConflict)]
        assert len(refusals) == 19
        assert {refusal.current and refusal.current.revision for refusal in refusals} == {revision}

    async def test_a_deleted_key_is_gone_and_can_be_created_anew(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"1")
        with pytest.raises(RevisionConflict):
            await backend.delete(pod("a"), expected=created + 100)
        deleted = await backend.delete(pod("a"), expected=created)
        assert deleted > created
        assert await backend.get(pod("a")) is None
        again = await backend.create(pod("a"), b"2")
        assert await backend.get(pod("a")) == KeyValue(pod("a"), b"2", again, again)

    async def test_values_are_any_bytes(self, site: Site) -> None:
        backend = await site.open()
        value = bytes(range(256)) * 4000
        await backend.create(pod("a"), value)
        await backend.create(pod("empty"), b"")
        found = await backend.get(pod("a"))
        empty = await backend.get(pod("empty"))
        assert found is not None and found.value == value
        assert empty is not None and empty.value == b""

    # Ranges

    async def test_a_range_is_in_key_order_and_within_its_prefix(self, site: Site) -> None:
        backend = await site.open()
        keys = [pod("b"), pod("a"), pod("a", "a-b"), pod("a", "a"), pod("ä"), "/registry/podsets/x", "/registry/pod/x"]
        for key in keys:
            await backend.create(key, key.encode())
        found = await backend.range(PODS)
        expected = sorted((key for key in keys if key.startswith(PODS)), key=str.encode)
        assert [item.key for item in found.items] == expected
        assert [item.value.decode() for item in found.items] == expected
        assert found.revision == await backend.current_revision()
        assert found.remaining == 0

    async def test_an_empty_range_has_the_revision_too(self, site: Site) -> None:
        backend = await site.open()
        found = await backend.range(PODS)
        assert (list(found.items), found.remaining) == ([], 0)
        assert found.revision == await backend.current_revision()

    async def test_pages_show_one_revision_whatever_is_written_meanwhile(self, site: Site) -> None:
        backend = await site.open()
        revisions = {name: await backend.create(pod(name), b"old") for name in "abcdefghij"}
        page = await backend.range(PODS, limit=4)
        seen, at = list(page.items), page.revision
        remaining = [page.remaining]
        await backend.delete(pod("i"), expected=revisions["i"])
        await backend.update(pod("h"), b"new", expected=revisions["h"])
        await backend.create(pod("hh"), b"new")
        while page.remaining:
            page = await backend.range(PODS, after=seen[-1].key, limit=4, revision=at)
            assert page.revision == at
            seen += page.items
            remaining.append(page.remaining)
        assert [(item.key, item.value) for item in seen] == [(pod(name), b"old") for name in "abcdefghij"]
        assert remaining == [6, 2, 0]

    async def test_a_full_last_page_leaves_nothing(self, site: Site) -> None:
        backend = await site.open()
        for name in "abcd":
            await backend.create(pod(name), b"")
        assert (await backend.range(PODS, limit=4)).remaining == 0
        assert (await backend.range(PODS, after=pod("b"), limit=2)).remaining == 0

    async def test_a_revision_to_come_is_refused(self, site: Site) -> None:
        backend = await site.open()
        with pytest.raises(FutureRevision):
            await backend.range(PODS, revision=1_000_000)
        with pytest.raises(FutureRevision):
            await backend.get(pod("a"), revision=1_000_000)

    async def test_old_revisions_stay_readable(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"1")
        updated = await backend.update(pod("a"), b"2", expected=created)
        deleted = await backend.delete(pod("a"), expected=updated)
        values = [await backend.get(pod("a"), revision=revision) for revision in (created, updated, deleted)]
        assert [found and found.value for found in values] == [b"1", b"2", None]

    # Compaction

    async def test_history_before_a_compaction_is_gone(self, site: Site) -> None:
        backend = await site.open()
        first = await backend.create(pod("a"), b"1")
        second = await backend.update(pod("a"), b"2", expected=first)
        other = await backend.create(pod("b"), b"1")
        deleted = await backend.delete(pod("b"), expected=other)
        third = await backend.update(pod("a"), b"3", expected=second)
        await backend.compact(deleted)
        with pytest.raises(Compacted):
            await backend.range(PODS, revision=second)
        with pytest.raises(Compacted):
            await backend.get(pod("a"), revision=first)
        with pytest.raises(Compacted):
            await changes_until(backend, deleted - 1, third)
        with pytest.raises(Compacted):
            await changes_until(backend, first, third)
        assert [(i.key, i.value) for i in (await backend.range(PODS, revision=deleted)).items] == [(pod("a"), b"2")]
        [change] = await changes_until(backend, deleted, third)
        assert change == Change(pod("a"), b"3", b"2", third, first, second)

    async def test_compacting_again_or_less_changes_nothing(self, site: Site) -> None:
        backend = await site.open()
        first = await backend.create(pod("a"), b"1")
        second = await backend.update(pod("a"), b"2", expected=first)
        await backend.compact(second)
        await backend.compact(second)
        await backend.compact(first)
        with pytest.raises(FutureRevision):
            await backend.compact(second + 1000)
        found = await backend.get(pod("a"))
        assert found is not None and found.value == b"2"

    async def test_revisions_go_on_after_everything_was_deleted_and_compacted(self, site: Site) -> None:
        backend = await site.open()
        created = await backend.create(pod("a"), b"1")
        deleted = await backend.delete(pod("a"), expected=created)
        await backend.compact(deleted)
        if site.survives_restart:
            backend = await site.reopen()
        assert await backend.current_revision() == deleted
        assert await backend.create(pod("a"), b"1") == deleted + 1

    # Watches

    async def test_a_watch_tells_each_change_with_what_was_before(self, site: Site) -> None:
        backend = await site.open()
        start = await backend.current_revision()
        recorder = Recorder(backend, start)
        created = await backend.create(pod("a"), b"1")
        await backend.create("/registry/nodes/n", b"")
        updated = await backend.update(pod("a"), b"2", expected=created)
        deleted = await backend.delete(pod("a"), expected=updated)
        expected = [
            Change(pod("a"), b"1", None, created, created, 0),
            Change(pod("a"), b"2", b"1", updated, created, created),
            Change(pod("a"), None, b"2", deleted, created, updated),
        ]
        assert await recorder.reach(deleted) == expected
        await recorder.stop()
        assert await changes_until(backend, start, deleted) == expected
        assert await changes_until(backend, created, deleted) == expected[1:]

    async def test_a_change_is_seen_by_reads_before_its_watch_tells_it(self, site: Site) -> None:
        backend = await site.open()
        feed = cast("Any", backend.watch(PODS, after=await backend.current_revision()))
        write = asyncio.create_task(backend.create(pod("a"), b"1"))
        async with asyncio.timeout(10), aclosing(feed):
            async for changes, revision in feed:
                if changes:
                    assert await backend.current_revision() >= revision
                    assert await backend.get(pod("a")) is not None
                    break
        await write

    async def test_a_watch_from_any_kept_revision_has_no_gap_and_no_repeat(self, site: Site) -> None:
        backend = await site.open()
        start = await backend.current_revision()
        live = Recorder(backend, start)
        written = await churn(backend, 10_000)
        last = written[-1][1]
        seen = await live.reach(last)
        await live.stop()
        assert [(kind(change), change.revision) for change in seen] == written
        assert all(change.previous_revision < change.revision for change in seen)
        if site.survives_restart:
            backend = await site.reopen()
        for after in (start, written[3333][1], written[9000][1], written[-2][1]):
            again = await changes_until(backend, after, last)
            assert again == [change for change in seen if change.revision > after]

    async def test_a_watch_begun_amid_writes_has_no_gap_and_no_repeat(self, site: Site) -> None:
        backend = await site.open()
        start = await backend.current_revision()
        writing = asyncio.create_task(churn(backend, 1_000))
        recorders = []
        while not writing.done():
            recorders.append(Recorder(backend, start))
            await asyncio.sleep(0.02)
            if len(recorders) == 8:
                break
        written = await writing
        for recorder in recorders:
            seen = await recorder.reach(written[-1][1])
            assert [(kind(change), change.revision) for change in seen] == written
            await recorder.stop()

    async def test_writes_to_other_keys_are_progress(self, site: Site) -> None:
        backend = await site.open()
        recorder = Recorder(backend, await backend.current_revision())
        await asyncio.sleep(0.05)
        await backend.create("/elsewhere/a", b"1")
        revision = await backend.current_revision()
        await recorder.reach(revision)
        assert [change.key for change in recorder.changes if not change.key.endswith(".progress")] == []
        await recorder.stop()

    # Time

    async def test_a_key_with_a_ttl_goes_by_itself_and_is_told(self, site: Site) -> None:
        backend = await site.open()
        recorder = Recorder(backend, await backend.current_revision())
        created = await backend.create(pod("a"), b"1", ttl_s=1)
        kept = await backend.create(pod("b"), b"1")
        renewed = await backend.create(pod("c"), b"1", ttl_s=1)
        renewed = await backend.update(pod("c"), b"2", expected=renewed, ttl_s=1000)
        freed = await backend.create(pod("d"), b"1", ttl_s=1)
        freed = await backend.update(pod("d"), b"2", expected=freed)
        await site.advance(2)
        changes = await recorder.reach(freed + 1)
        assert (changes[-1].key, changes[-1].value, changes[-1].previous) == (pod("a"), None, b"1")
        assert changes[-1].previous_revision == created
        await recorder.stop()
        found = await backend.range(PODS)
        assert [item.revision for item in found.items] == [kept, renewed, freed]

    async def test_size_is_known(self, site: Site) -> None:
        backend = await site.open()
        await backend.create(pod("a"), b"1" * 10_000)
        assert await backend.size_bytes() > 10_000
