"""The SQL of the embedded store: one table of changes, its index, and the statements over them.

A row is one change; a deletion has no value. `previous_revision` points to the row it supersedes (0 for a creation).
Compaction removes superseded rows and deletions only, so what a kept change points to is always there.
A `Log` has one connection that writes and one that reads; each must be used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from apiserver.storage.backend import Change, KeyValue, StorageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value BLOB,
    deleted INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    previous_revision INTEGER NOT NULL,
    expires REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS log_key ON log (key, revision, deleted);
CREATE TABLE IF NOT EXISTS bounds (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO bounds VALUES ('compacted', 0), ('swept', 0);
"""
_INSERT = "INSERT INTO log VALUES "
_ROW = "(?,?,?,?,?,?,?)"
_MAX_ROWS = 64
"""Rows per INSERT. Each step of SQLite gives up the interpreter lock and has to win it back: few big ones are best."""

_LATEST_IN = """
    SELECT key, MAX(revision) AS revision, deleted FROM log
    WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING NOT deleted
"""
_GET = """
    SELECT value, revision, create_revision FROM log
    WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1
"""
_VALUE = "SELECT value FROM log WHERE revision = ?"
_RANGE = f"""
    SELECT log.key, log.value, log.revision, log.create_revision
    FROM ({_LATEST_IN} ORDER BY key LIMIT ?) AS latest CROSS JOIN log ON log.revision = latest.revision
"""
_COUNT = f"SELECT COUNT(*) FROM ({_LATEST_IN})"
_KEYS = """
    SELECT log.key, log.revision, log.create_revision, log.expires
    FROM (SELECT MAX(revision) AS revision, deleted FROM log GROUP BY key HAVING NOT deleted) AS latest
    CROSS JOIN log ON log.revision = latest.revision
"""
_CHANGES = """
    SELECT now.key, now.value, before.value, now.revision, now.create_revision, now.previous_revision
    FROM log AS now LEFT JOIN log AS before ON before.revision = now.previous_revision
    WHERE now.revision > ? AND now.revision <= ? AND +now.key >= ? AND +now.key < ? ORDER BY now.revision
"""
_SWEEP_SUPERSEDED = """
    DELETE FROM log WHERE revision IN (SELECT previous_revision FROM log WHERE revision > ? AND revision <= ?)
"""
_SWEEP_DELETIONS = "DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted"


class DataInUse(StorageError):
    """Another process has the data open."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another process")
        self.path = path


class Row(NamedTuple):
    """`expires` is a Unix time, 0 for never."""

    revision: int
    key: str
    value: bytes | None
    deleted: bool
    create_revision: int
    previous_revision: int
    expires: float


class Log:
    """The log at `path`, or in memory without one. Raises `DataInUse`, `StorageError`."""

    def __init__(self, path: Path | None) -> None:
        self._lock: sqlite3.Connection | None = None
        if path is None:
            self._writer = self._reader = _connect(":memory:")
            self._writer.executescript(_SCHEMA)
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(path)
        try:
            _create_private(path)
            self._writer = _connect(path)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.executescript(_SCHEMA)
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            self._lock.close()
            raise StorageError(f"cannot open {path}: {error}") from error

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        if self._lock is not None:
            self._lock.close()

    # Reads

    def last_revision(self) -> int:
        """The newest revision given to a change, also where its row has been swept; an empty log is at 1."""
        newest = self._reader.execute("SELECT MAX(revision) FROM log").fetchone()[0]
        return max(newest or 1, self.bound("compacted"))

    def bound(self, name: str) -> int:
        """`compacted`: history before it is not readable. `swept`: up to where compaction has removed rows."""
        revision: int = self._reader.execute("SELECT revision FROM bounds WHERE name = ?", (name,)).fetchone()[0]
        return revision

    def live_keys(self) -> Iterator[tuple[str, int, int, float]]:
        """Key, revision, create revision and expiry of all that is there."""
        return iter(self._reader.execute(_KEYS))

    def get(self, key: str, revision: int) -> KeyValue | None:
        row = self._reader.execute(_GET, (key, revision)).fetchone()
        if row is None or row[0] is None:
            return None
        return KeyValue(key, *row)

    def value(self, revision: int) -> bytes | None:
        row = self._reader.execute(_VALUE, (revision,)).fetchone()
        return row[0] if row is not None else None

    def range(self, low: str, high: str, revision: int, limit: int) -> list[KeyValue]:
        rows = self._reader.execute(_RANGE, (low, high, revision, limit or -1))
        return [KeyValue(*row) for row in rows]

    def count(self, low: str, high: str, revision: int) -> int:
        count: int = self._reader.execute(_COUNT, (low, high, revision)).fetchone()[0]
        return count

    def changes(self, low: str, high: str, after: int, upto: int) -> list[Change]:
        return [Change(*row) for row in self._reader.execute(_CHANGES, (after, upto, low, high))]

    def size_bytes(self) -> int:
        pages = self._reader.execute("PRAGMA page_count").fetchone()[0]
        size: int = self._reader.execute("PRAGMA page_size").fetchone()[0]
        return size * int(pages)

    # Writes

    def append(self, rows: Sequence[Row]) -> None:
        """All of `rows`, or none: durable on return."""
        if len(rows) <= _MAX_ROWS:
            if rows:
                self._insert(rows)
            return
        with _Transaction(self._writer):
            for start in range(0, len(rows), _MAX_ROWS):
                self._insert(rows[start : start + _MAX_ROWS])

    def _insert(self, rows: Sequence[Row]) -> None:
        flat: list[object] = []
        for row in rows:
            flat += row
        self._writer.execute(_INSERT + ",".join([_ROW] * len(rows)), flat)

    def set_bound(self, name: str, revision: int) -> None:
        self._writer.execute("UPDATE bounds SET revision = ? WHERE name = ?", (revision, name))

    def sweep(self, after: int, upto: int) -> None:
        """Remove what the changes in (`after`, `upto`] superseded, and the deletions among them."""
        with _Transaction(self._writer):
            self._writer.execute(_SWEEP_SUPERSEDED, (after, upto))
            self._writer.execute(_SWEEP_DELETIONS, (after, upto))
            self.set_bound("swept", upto)


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error:
                self._rollback()
                raise
        self._rollback()

    def _rollback(self) -> None:
        # SQLite has already rolled back on its own after some errors (disk full, I/O).
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _connect(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=2 * _MAX_ROWS)


def _lock(path: Path) -> sqlite3.Connection:
    """Hold a lock that ends with this process. SQLite's own locks work on every system that it runs on."""
    lock_path = path.with_name(path.name + ".lock")
    _create_private(lock_path)
    lock = sqlite3.connect(lock_path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("PRAGMA journal_mode = OFF")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise DataInUse(path) from error
    return lock


def _create_private(path: Path) -> None:
    """Secrets lie in these files. SQLite gives its journals the permissions of the database.

    A file that is there is not touched: closing it would drop the locks that this process holds on it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
