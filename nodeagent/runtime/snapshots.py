"""Views of images as file systems, through containerd's own snapshot service: CRI has no such thing before 2.1.

A view keeps what it shows from being collected until it is dropped.
Follows: containerd api/services/snapshots/v1/snapshots.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from nodeagent.runtime.messages import build
from nodeagent.runtime.protocol import FileSystem, RuntimeFailure

NAMESPACE = "k8s.io"
DEFAULT_SNAPSHOTTER = "overlayfs"
_SERVICE = "containerd.services.snapshots.v1.Snapshots"
_TABLE = """
Mount type=1 source=2 target=3 options*=4
ViewSnapshotRequest snapshotter=1 key=2 parent=3 labels:map=4
ViewSnapshotResponse mounts:Mount*=1
MountsRequest snapshotter=1 key=2
MountsResponse mounts:Mount*=1
RemoveSnapshotRequest snapshotter=1 key=2
Empty
"""
_ROOT_LABEL = "containerd.io/gc.root"


@cache
def _messages() -> Mapping[str, Any]:
    return build("containerd.services.snapshots.v1", _TABLE)


async def view(channel: Any, snapshotter: str, parent: str, key: str) -> Sequence[FileSystem]:
    """How to mount the files below the layer `parent`; the view is made, or is there already. Raises RuntimeFailure."""
    labels = {_ROOT_LABEL: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    request = {"snapshotter": snapshotter, "key": key, "parent": parent, "labels": labels}
    answer = await _call(channel, "View", "ViewSnapshotRequest", "ViewSnapshotResponse", request, may="ALREADY_EXISTS")
    if answer is None:
        known = {"snapshotter": snapshotter, "key": key}
        answer = await _call(channel, "Mounts", "MountsRequest", "MountsResponse", known)
    return [FileSystem(mount.type, mount.source, tuple(mount.options)) for mount in answer.mounts]


async def drop(channel: Any, snapshotter: str, key: str) -> None:
    """Remove a view, if it is there. Raises RuntimeFailure."""
    request = {"snapshotter": snapshotter, "key": key}
    await _call(channel, "Remove", "RemoveSnapshotRequest", "Empty", request, may="NOT_FOUND")


async def _call(
    channel: Any, method: str, asked: str, answered: str, request: Mapping[str, Any], *, may: str = ""
) -> Any:
    """The answer; None where the call failed with the code that it may."""
    import grpc

    messages = _messages()
    call = channel.unary_unary(
        f"/{_SERVICE}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=messages[answered].FromString,
    )
    try:
        return await call(messages[asked](**request), metadata=(("containerd-namespace", NAMESPACE),), timeout=60)
    except grpc.aio.AioRpcError as error:
        if error.code().name == may:
            return None
        raise RuntimeFailure(error.details() or str(error.code())) from error
