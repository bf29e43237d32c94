"""The shared store: an etcd cluster, with its own revisions, transactions, leases and watches.

Values lie under the same keys and in the same form as another Kubernetes API server would put them. Reads are
linearizable. Calls move on to the next endpoint when one is gone; a write that may have reached etcd is never sent
twice. A watch resumes after a lost stream at the revision it had seen.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from aetcd import rpc

from apiserver.storage.backend import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyValue,
    Range,
    RevisionConflict,
    StorageError,
    Unavailable,
)

log = logging.getLogger(__name__)

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),  # Which is also how long connecting may take.
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_NEEDS_LEADER = (("hasleader", "true"),)
"""A member that has lost its cluster refuses, instead of a watch on it staying silent."""
_RETRY_S = 0.1
_NUDGE_S = 0.05
"""A watch that is behind for this long has probably no event to wait for."""
_MINIMUM_VERSION = (3, 4, 0)
_LEASE_REUSE_S = 60
_LEASE_REUSE_SHARE = 0.05
_LEASE_KEYS = 1_000
_ROOT = b"/registry/"
_TEMPORARY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class EtcdBackend:
    """`endpoints` are URLs (`https://10.0.0.1:2379`); the files are PEM. Bound to the loop that first uses it."""

    embedded = False

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        if not endpoints:
            raise ValueError("etcd needs at least one endpoint")
        files = [path.read_bytes() if path is not None else None for path in (ca, key, cert)]
        self._members = [_Member(url, files) for url in endpoints]
        self._member = self._members[0]
        self._timeout_s = timeout_s
        self._leases = _Leases(self)
        self._streams: set[_Stream] = set()
        self._nudge: asyncio.Task[None] | None = None
        self._has_ordered_progress: bool | None = None
        self._closed = False

    # Reads

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        found = await self.call("Range", rpc.RangeRequest(key=key.encode(), revision=revision))
        return _key_value(found.kvs[0]) if found.kvs else None

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        low = (after + "\0" if after >= prefix else prefix).encode()
        request = rpc.RangeRequest(key=low, range_end=_end(prefix), limit=limit, revision=revision)
        found = await self.call("Range", request)
        items = [_key_value(kv) for kv in found.kvs]
        return Range(items, revision or found.header.revision, found.count - len(items))

    async def current_revision(self) -> int:
        found = await self.call("Range", rpc.RangeRequest(key=_ROOT, keys_only=True))
        revision: int = found.header.revision
        if self._nudge is None and any(stream.position < revision for stream in self._streams):
            self._nudge = asyncio.create_task(self._nudge_streams(revision))
        return revision

    async def size_bytes(self) -> int:
        size: int = (await self._member.status(self._timeout_s)).dbSize
        return size

    async def check_version(self) -> str:
        """The oldest version among the members that answer. Raises `StorageError` when it is too old."""
        answers = await asyncio.gather(*(m.status(self._timeout_s) for m in self._members), return_exceptions=True)
        versions = [answer.version for answer in answers if not isinstance(answer, BaseException)]
        if not versions:
            raise Unavailable(f"no etcd member answers: {answers[0]}")
        oldest: str = min(versions, key=_version)
        if _version(oldest) < _MINIMUM_VERSION:
            raise StorageError(f"etcd {oldest} is too old, 3.4 is needed")
        return oldest

    # Writes

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        done = await self._put(key, value, 0, ttl_s)
        if not done.succeeded:
            raise KeyExists
        revision: int = done.header.revision
        return revision

    async def update(self, key: str, value: bytes, *, expected: int, ttl_s: int = 0) -> int:
        if expected <= 0:
            raise RevisionConflict(await self.get(key))
        done = await self._put(key, value, expected, ttl_s)
        return _written(done)

    async def delete(self, key: str, *, expected: int) -> int:
        if expected <= 0:
            raise RevisionConflict(await self.get(key))
        name = key.encode()
        operation = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=name))
        return _written(await self._transact(name, expected, operation))

    async def _put(self, key: str, value: bytes, expected: int, ttl_s: int) -> Any:
        name = key.encode()
        if not ttl_s:
            return await self._transact(name, expected, _put(name, value, 0))
        try:
            return await self._transact(name, expected, _put(name, value, await self._leases.get(ttl_s)))
        except LeaseGone:
            self._leases.forget(ttl_s)
            return await self._transact(name, expected, _put(name, value, await self._leases.get(ttl_s)))

    async def _transact(self, name: bytes, expected: int, operation: Any) -> Any:
        unchanged = rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=name, mod_revision=expected)
        otherwise = [rpc.RequestOp(request_range=rpc.RangeRequest(key=name))] if expected else []
        request = rpc.TxnRequest(compare=[unchanged], success=[operation], failure=otherwise)
        return await self.call("Txn", request, is_write=True)

    async def compact(self, revision: int) -> None:
        try:
            await self.call("Compact", rpc.CompactionRequest(revision=revision))
        except Compacted:
            log.debug("already compacted", extra={"revision": revision})

    async def call(self, method: str, request: Any, *, is_write: bool = False) -> Any:
        """Ask one member after the other until one answers or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        failures = 0
        while True:
            if self._closed:
                raise Unavailable("the store is closed")
            member = self._member
            share_s = deadline - loop.time()
            if not is_write and len(self._members) > 1:
                share_s = min(share_s, self._timeout_s / 2)
            try:
                return await member.call(method, request, share_s)
            except grpc.aio.AioRpcError as failure:
                error = _translate(failure)
                if not isinstance(error, Unavailable):
                    raise error from failure
                self._leave(member)
                failures += 1
                if is_write and _may_have_arrived(failure):
                    raise error from failure
                if failures % len(self._members) == 0:
                    if loop.time() + _RETRY_S >= deadline:
                        raise error from failure
                    await asyncio.sleep(_RETRY_S)

    def _leave(self, member: _Member) -> None:
        """Use the next member from now on, unless somebody has already moved on."""
        if self._member is member:
            position = (self._members.index(member) + 1) % len(self._members)
            self._member = self._members[position]

    # Watches

    async def watch(self, prefix: str, *, after: int) -> AsyncIterator[tuple[Sequence[Change], int]]:
        loop = asyncio.get_running_loop()
        position = after
        give_up_at = math.inf
        while True:
            member = self._member
            stream = _Stream(member, prefix, position, self)
            self._streams.add(stream)
            batches = stream.batches()
            try:
                async for changes, position in batches:
                    yield changes, position
            except Unavailable as error:
                self._leave(member)
                if stream.is_established or give_up_at == math.inf:
                    give_up_at = loop.time() + self._timeout_s
                if self._closed or loop.time() >= give_up_at:
                    raise
                log.warning("etcd watch lost, resuming", extra={"revision": position, "error": str(error)})
                await asyncio.sleep(_RETRY_S)
            finally:
                self._streams.discard(stream)
                await batches.aclose()

    async def has_ordered_progress(self) -> bool:
        """Whether progress that is asked for cannot overtake events: so since etcd 3.4.25 and 3.5.8."""
        if self._has_ordered_progress is None:
            version = _version(await self.check_version())
            self._has_ordered_progress = version >= (3, 5, 8) or (3, 4, 25) <= version < (3, 5, 0)
        return self._has_ordered_progress

    async def _nudge_streams(self, revision: int) -> None:
        """Writes to other keys move etcd's revision, not our watches: have them told, so that nobody waits in vain."""
        try:
            await asyncio.sleep(_NUDGE_S)
            for stream in tuple(self._streams):
                if stream.position < revision:
                    await stream.nudge()
        except StorageError as error:
            log.warning("no progress from etcd", extra={"error": str(error)})
        finally:
            self._nudge = None

    async def close(self) -> None:
        self._closed = True
        if self._nudge is not None:
            self._nudge.cancel()
        for stream in tuple(self._streams):
            stream.cancel()
        for member in self._members:
            await member.close()


class _Member:
    """One endpoint and its connection, opened at its first use."""

    def __init__(self, url: str, files: Sequence[bytes | None]) -> None:
        parts = urlsplit(url if "//" in url else f"//{url}")
        self.url = url
        self._target = parts.netloc
        self._credentials = grpc.ssl_channel_credentials(*files) if parts.scheme == "https" else None
        self._channel: Any = None
        self._stub: Any = None

    def _connect(self) -> Any:
        if self._channel is None:
            if self._credentials is not None:
                self._channel = grpc.aio.secure_channel(self._target, self._credentials, options=_OPTIONS)
            else:
                self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
            self._stub = rpc.KVStub(self._channel)
        return self._channel

    async def call(self, method: str, request: Any, timeout_s: float) -> Any:
        channel = self._connect()
        stub = self._stub if method != "LeaseGrant" else rpc.LeaseStub(channel)
        return await getattr(stub, method)(request, timeout=timeout_s, metadata=_NEEDS_LEADER)

    async def status(self, timeout_s: float) -> Any:
        try:
            return await rpc.MaintenanceStub(self._connect()).Status(rpc.StatusRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError as failure:
            raise _translate(failure) from failure

    def watch(self) -> Any:
        return rpc.WatchStub(self._connect()).Watch(metadata=_NEEDS_LEADER)

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()


class _Stream:
    """One watch on one member, until it breaks."""

    def __init__(self, member: _Member, prefix: str, after: int, backend: EtcdBackend) -> None:
        self.position = after
        self._member = member
        self._prefix = prefix
        self._backend = backend
        self._call: Any = None
        self._is_cancelled = False
        self.is_established = False

    async def batches(self) -> AsyncGenerator[tuple[Sequence[Change], int], None]:
        """Raises `Compacted`, and `Unavailable` when the stream ends for another reason."""
        self._call = self._member.watch()
        request = rpc.WatchCreateRequest(
            key=self._prefix.encode(),
            range_end=_end(self._prefix),
            start_revision=self.position + 1,
            prev_kv=True,
            progress_notify=True,
        )
        try:
            await self._call.write(rpc.WatchRequest(create_request=request))
            while True:
                response = await self._call.read()
                if response is grpc.aio.EOF:
                    raise Unavailable("etcd has ended the watch")
                if response.canceled:
                    raise _cancelled(response)
                if response.created:
                    self.is_established = True
                    await self._check_kept(response.header.revision)
                elif response.events:
                    # The header tells where the store is, not how far this watch has come.
                    self.position = response.events[-1].kv.mod_revision
                    yield [_change(event) for event in response.events], self.position
                elif response.header.revision > self.position and await self._is_trusted(response):
                    self.position = response.header.revision
                    yield (), self.position
        except grpc.aio.AioRpcError as failure:
            raise _translate(failure) from failure
        except asyncio.CancelledError:
            if self._is_cancelled:  # Not the reader is cancelled but the call under it.
                raise Unavailable("the store is closed") from None
            raise
        except (asyncio.InvalidStateError, grpc.aio.UsageError) as failure:
            raise Unavailable(f"etcd watch: {failure}") from failure
        finally:
            self._call.cancel()

    async def _check_kept(self, current: int) -> None:
        """etcd also takes a watch that begins at the compacted revision itself, where a deletion may be missing."""
        if self.position < current:
            request = rpc.RangeRequest(key=self._prefix.encode(), revision=self.position, keys_only=True)
            if self.position > 0:
                await self._backend.call("Range", request)

    async def _is_trusted(self, response: Any) -> bool:
        return response.watch_id >= 0 or await self._backend.has_ordered_progress()

    async def nudge(self) -> None:
        """Make the stream say how far it is: by asking, or where the answer may overtake events, by an event."""
        if await self._backend.has_ordered_progress():
            try:
                await self._call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError) as failure:
                log.debug("watch is gone", extra={"error": str(failure)})
            return
        request = rpc.PutRequest(key=f"{self._prefix}.progress".encode())
        await self._backend.call("Put", request, is_write=True)

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._call is not None:
            self._call.cancel()


class LeaseGone(StorageError):
    """The lease of a write has run out before it was used."""


class _Leases:
    """Leases shared by the keys of about one age, as each costs etcd far more than a key.

    A lease lives longer than asked by the time that it is handed out for.
    Follows: staging/src/k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go
    """

    def __init__(self, backend: EtcdBackend) -> None:
        self._backend = backend
        self._lock = asyncio.Lock()
        self._current: dict[int, tuple[int, float, int]] = {}

    async def get(self, ttl_s: int) -> int:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            lease, until, used = self._current.get(ttl_s, (0, 0.0, 0))
            if now >= until or used >= _LEASE_KEYS:
                reuse_s = min(_LEASE_REUSE_S, ttl_s * _LEASE_REUSE_SHARE)
                request = rpc.LeaseGrantRequest(TTL=ttl_s + math.floor(reuse_s))
                lease = (await self._backend.call("LeaseGrant", request)).ID
                until, used = now + reuse_s, 0
            self._current[ttl_s] = (lease, until, used + 1)
            return lease

    def forget(self, ttl_s: int) -> None:
        self._current.pop(ttl_s, None)


def _put(name: bytes, value: bytes, lease: int) -> Any:
    return rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value, lease=lease))


def _written(done: Any) -> int:
    if not done.succeeded:
        kvs = done.responses[0].response_range.kvs
        raise RevisionConflict(_key_value(kvs[0]) if kvs else None)
    revision: int = done.header.revision
    return revision


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(kv.key.decode(), kv.value, kv.mod_revision, kv.create_revision)


def _change(event: Any) -> Change:
    kv = event.kv
    before = event.prev_kv if event.HasField("prev_kv") else None
    previous, previous_revision = (before.value, before.mod_revision) if before is not None else (None, 0)
    if event.type == event.DELETE:
        create_revision = before.create_revision if before is not None else 0
        return Change(kv.key.decode(), None, previous, kv.mod_revision, create_revision, previous_revision)
    return Change(kv.key.decode(), kv.value, previous, kv.mod_revision, kv.create_revision, previous_revision)


def _cancelled(response: Any) -> StorageError:
    if response.compact_revision:
        return Compacted(response.compact_revision)
    return Unavailable(f"etcd has cancelled the watch: {response.cancel_reason}")


def _translate(failure: Any) -> StorageError:
    code, details = failure.code(), failure.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE:
        return FutureRevision() if "future revision" in details else Compacted()
    if code is grpc.StatusCode.NOT_FOUND and "lease" in details:
        return LeaseGone(details)
    if code in _TEMPORARY:
        return Unavailable(f"etcd: {details}")
    return StorageError(f"etcd: {details}")


def _may_have_arrived(failure: Any) -> bool:
    """A member that could not be reached at all has surely not got the request."""
    return "failed to connect" not in (failure.details() or "")


def _version(text: str) -> tuple[int, int, int]:
    numbers = [int(part) if part.isdigit() else 0 for part in text.split("-")[0].split(".")]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _end(prefix: str) -> bytes:
    """The first key behind all that begin with `prefix`."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])
