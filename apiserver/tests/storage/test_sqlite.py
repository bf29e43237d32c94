"""The embedded store: the contract in memory and on disk, and what only a store on disk must do."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiserver.storage.backend import StorageError, Unavailable
from apiserver.storage.sqlite import SqliteBackend
from apiserver.storage.sqlite_log import DataInUse
from apiserver.tests.storage.contract import BackendContract, Recorder, changes_until, pod

ROOT = Path(__file__).parents[3]


class SqliteSite:
    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.survives_restart = path is not None
        self.now = 1_000_000.0
        self.backend: SqliteBackend | None = None

    async def open(self) -> SqliteBackend:
        self.backend = SqliteBackend(self.path, clock=lambda: self.now)
        return self.backend

    async def reopen(self) -> SqliteBackend:
        await self.close()
        return await self.open()

    async def advance(self, seconds: float) -> None:
        self.now += seconds

    async def close(self) -> None:
        if self.backend is not None:
            await self.backend.close()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[SqliteSite]:
    site = SqliteSite(tmp_path / "data" / "store.db")
    yield site
    await site.close()


class TestInMemory(BackendContract):
    @pytest.fixture
    async def site(self) -> AsyncIterator[SqliteSite]:
        site = SqliteSite(None)
        yield site
        await site.close()

    async def test_nothing_is_written_to_disk(
        self, site: SqliteSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        backend = await site.open()
        await backend.create(pod("a"), b"1")
        assert os.listdir() == []


class TestOnDisk(BackendContract):
    @pytest.fixture
    def site(self, disk: SqliteSite) -> SqliteSite:
        return disk


async def test_everything_is_there_after_a_restart(disk: SqliteSite) -> None:
    backend = await disk.open()
    first = await backend.create(pod("a"), b"1")
    second = await backend.update(pod("a"), b"2", expected=first)
    gone = await backend.create(pod("b"), b"1")
    await backend.delete(pod("b"), expected=gone)
    backend = await disk.reopen()
    assert await backend.current_revision() == gone + 1
    found = await backend.get(pod("a"))
    assert found is not None and (found.value, found.revision, found.create_revision) == (b"2", second, first)
    assert await backend.update(pod("a"), b"3", expected=second) == gone + 2
    assert await backend.create(pod("b"), b"2") == gone + 3


async def test_a_ttl_goes_on_over_a_restart(disk: SqliteSite) -> None:
    backend = await disk.open()
    created = await backend.create(pod("a"), b"1", ttl_s=60)
    backend = await disk.reopen()
    recorder = Recorder(backend, created)
    await disk.advance(61)
    [change] = await recorder.reach(created + 1)
    assert change.value is None
    await recorder.stop()


async def test_compaction_cut_short_is_finished_by_the_next(disk: SqliteSite) -> None:
    backend = await disk.open()
    first = await backend.create(pod("a"), b"")
    updates = (backend.update(pod("a"), b"", expected=first + n) for n in range(5000))
    revision = (await asyncio.gather(*updates))[-1]
    compaction = asyncio.create_task(backend.compact(revision))
    await asyncio.sleep(0)
    compaction.cancel()
    await backend.compact(revision)
    assert disk.path is not None
    with sqlite3.connect(disk.path) as connection:
        assert connection.execute("SELECT COUNT(*) FROM log").fetchone() == (1,)
    connection.close()


async def test_a_second_process_is_refused_while_the_first_runs(disk: SqliteSite) -> None:
    await disk.open()
    script = "import sys; from pathlib import Path; from apiserver.storage.sqlite import SqliteBackend; "
    script += "SqliteBackend(Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(disk.path)]
    for _ in range(2):
        with pytest.raises(DataInUse, match=r"store\.db is in use"):
            SqliteBackend(disk.path)
        other = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
        assert "DataInUse" in other.stderr
    await disk.close()
    other = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 0, other.stderr


async def test_files_are_private(disk: SqliteSite) -> None:
    backend = await disk.open()
    await backend.create(pod("a"), b"secret")
    assert disk.path is not None
    modes = {path.name: path.stat().st_mode & 0o777 for path in disk.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert disk.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_no_database_is_refused_clearly(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    for _ in range(2):
        with pytest.raises(StorageError, match="cannot open"):
            SqliteBackend(path)


async def test_a_failed_commit_loses_nothing_acknowledged_and_the_store_recovers(disk: SqliteSite) -> None:
    backend = await disk.open()
    start = await backend.current_revision()
    recorder = Recorder(backend, start)
    kept = await backend.create(pod("kept"), b"1")
    size = (await backend.size_bytes()) // 4096
    backend._log._writer.execute(f"PRAGMA max_page_count = {size + 5}")
    written = await asyncio.gather(
        *(backend.create(pod(f"{n}"), b"x" * 4096) for n in range(100)), return_exceptions=True
    )
    assert {type(result) for result in written} == {Unavailable}
    with pytest.raises(Unavailable):
        await backend.update(pod("kept"), b"y" * 100_000, expected=kept)
    backend._log._writer.execute("PRAGMA max_page_count = 1000000")
    updated = await backend.update(pod("kept"), b"2", expected=kept)
    assert [change.key for change in await recorder.reach(updated)] == [pod("kept")] * 2
    await recorder.stop()
    assert len((await backend.range("/registry/")).items) == 1


async def test_a_watch_far_behind_goes_on_from_the_log(disk: SqliteSite) -> None:
    backend = await disk.open()
    start = await backend.current_revision()
    feed = backend.watch("/registry/", after=start)
    first = asyncio.ensure_future(anext(feed))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await backend.create(pod("first"), b"")
    seen = list((await first)[0])
    for part in range(12):
        await asyncio.gather(*(backend.create(pod(f"{part}-{n}"), b"") for n in range(1000)))
    last = await backend.current_revision()
    revision = 0
    while revision < last:
        changes, revision = await anext(feed)  # type: ignore[arg-type]
        seen += changes
    await feed.aclose()  # type: ignore[attr-defined]
    assert [change.revision for change in seen] == list(range(start + 1, last + 1))


async def test_a_closed_store_is_unavailable(disk: SqliteSite) -> None:
    backend = await disk.open()
    recorder = Recorder(backend, await backend.current_revision())
    await asyncio.sleep(0)
    write = asyncio.create_task(backend.create(pod("a"), b"1"))
    await asyncio.sleep(0)
    await backend.close()
    assert await write > 0
    with pytest.raises(Unavailable):
        await backend.get(pod("a"))
    with pytest.raises(Unavailable):
        await backend.create(pod("a"), b"")
    await recorder.stop()


WRITER = """
import asyncio, os, sys
from pathlib import Path
from apiserver.storage.sqlite import SqliteBackend

async def write(backend, number):
    key = f"/registry/pods/default/{number}"
    revision = await backend.create(key, b"x" * 2000)
    while True:
        os.write(1, f"{key} {revision}\\n".encode())
        revision = await backend.update(key, b"y" * 2000, expected=revision)

async def main():
    backend = SqliteBackend(Path(sys.argv[1]))
    await asyncio.gather(*(write(backend, number) for number in range(1000)))

asyncio.run(main())
"""


def write_until_killed(path: Path | None, acknowledged: int) -> list[bytes]:
    """All that a server said before it was killed, which it was after so many acknowledgements."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledged)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    return lines


@pytest.mark.parametrize("acknowledged", [1, 700, 2500])
async def test_kill_9_amid_a_thousand_concurrent_writes_loses_no_acknowledged_one(
    disk: SqliteSite, acknowledged: int
) -> None:
    lines = await asyncio.to_thread(write_until_killed, disk.path, acknowledged)
    writes = [line.decode().split() for line in lines if line.endswith(b"\n")]
    backend = await disk.open()
    last = await backend.current_revision()
    logged = {(change.key, change.revision) for change in await changes_until(backend, 1, last)}
    assert {(key, int(revision)) for key, revision in writes} <= logged
    assert {revision for _, revision in logged} == set(range(2, last + 1))
    newest = {item.key: item.revision for item in (await backend.range("/registry/")).items}
    for key, revision in writes:
        assert newest[key] >= int(revision)
