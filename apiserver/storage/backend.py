"""What a store must do: an ordered log of revisions over keys, as etcd has it.

Keys are full paths (`/registry/pods/default/a`), values opaque bytes. Every change gets the next revision of the
whole store; a key's `revision` is that of its last change. Passing `apiserver/tests/storage/contract.py` is the
definition of done for a backend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: str
    value: bytes
    revision: int
    create_revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `value` is None for a deletion; `previous` is the value before it (None for a creation)."""

    key: str
    value: bytes | None
    previous: bytes | None
    revision: int
    create_revision: int
    previous_revision: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Items in key order; `revision` is that of the store when it was read; `remaining` counts keys past the limit."""

    items: Sequence[KeyValue]
    revision: int
    remaining: int


class StorageError(Exception):
    """Base of all that a backend raises."""


class KeyExists(StorageError):
    pass


class RevisionConflict(StorageError):
    """The key is not at the expected revision; `current` is what is there now, None when the key is gone."""

    def __init__(self, current: KeyValue | None) -> None:
        super().__init__("revision conflict")
        self.current = current


class Compacted(StorageError):
    """The revision asked for is no longer kept; `oldest` is the first one that is (0 when unknown)."""

    def __init__(self, oldest: int = 0) -> None:
        super().__init__("required revision has been compacted")
        self.oldest = oldest


class FutureRevision(StorageError):
    """The revision asked for is not there yet."""


class Unavailable(StorageError):
    """The store cannot be reached or cannot write; the outcome of the call is unknown."""


class Backend(Protocol):
    """All methods raise `Unavailable` when the store does not answer in time."""

    embedded: bool
    """This process is the only one that writes, and `current_revision` answers at once."""

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None: ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        """Keys that begin with `prefix` and sort behind `after`. Raises `Compacted`, `FutureRevision`."""
        ...

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        """Returns the new revision, durable. Raises `KeyExists`."""
        ...

    async def update(self, key: str, value: bytes, *, expected: int, ttl_s: int = 0) -> int:
        """`expected` is the key's present revision. Raises `RevisionConflict`."""
        ...

    async def delete(self, key: str, *, expected: int) -> int:
        """Raises `RevisionConflict`."""
        ...

    def watch(self, prefix: str, *, after: int) -> AsyncIterator[tuple[Sequence[Change], int]]:
        """Batches of changes with revision > `after` in order, each with the revision up to which the feed is complete.

        An empty batch reports progress only. Raises `Compacted` when history is gone; never skips or repeats.
        """
        ...

    async def current_revision(self) -> int: ...

    async def compact(self, revision: int) -> None: ...

    async def size_bytes(self) -> int: ...

    async def close(self) -> None: ...
