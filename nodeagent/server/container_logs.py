"""`/containerLogs/{namespace}/{pod}/{container}`: what a container has written, or its previous instance had.

Follows: pkg/kubelet/server/server.go getContainerLogs; pkg/kubelet/kubelet_pods.go validateContainerLogStatus
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import BinaryIO, Protocol, runtime_checkable

from aiohttp import web

from nodeagent.pods import spec
from nodeagent.runtime.protocol import Container, RuntimeFailure, State
from nodeagent.server.answers import Refusal
from nodeagent.server.host import Host, View
from nodeagent.server.log_files import STREAMS, LineFilter, LogOptions, read_log
from openapi.meta.times import TimeError, now, parse_time

KEPT_POLL_S = 0.5
_UNDECODABLE = '{"message": "Unable to decode query."}'
_INVALID = '{"message": "Invalid request."}'
_PULL_FAILURES = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@runtime_checkable
class KeepsLogs(Protocol):
    """A runtime whose containers write no files; it keeps their lines itself, in the format of the files."""

    def log(self, id: str) -> bytes: ...


class ContainerLogs:
    """Answers with logs, as files or as the runtime keeps them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def serve(self, request: web.Request) -> web.StreamResponse:
        options = log_options(request.query)
        pod = find_pod(self._host, request, missing='pod "{name}" does not exist')
        name, pod_name = request.match_info["container"], request.match_info["pod"]
        if spec.container_named(pod, name) is None:
            raise Refusal(404, f'container "{name}" not found in pod "{pod_name}"')
        id = container_id(pod, name, previous=flag(request.query, "previous"))
        return await self._send(request, self._read(await self._container(id), options))

    async def _container(self, id: str) -> Container:
        try:
            return await self._host.runtime.container(id.partition("://")[2])
        except RuntimeFailure as failure:
            raise Refusal(400, f"unable to retrieve container logs for {id}") from failure

    def _read(self, container: Container, options: LogOptions) -> AsyncGenerator[bytes, None]:
        runtime = self._host.runtime

        async def is_running() -> bool:
            try:
                return (await runtime.container(container.id)).state is State.RUNNING
            except RuntimeFailure:
                return False

        if isinstance(runtime, KeepsLogs):
            return _read_kept(runtime, container.id, options, is_running)
        return read_log(_open(container.log_path), container.log_path, options, is_running)

    async def _send(self, request: web.Request, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        async with aclosing(pieces):
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
        return response


def find_pod(host: Host, request: web.Request, *, missing: str = "pod does not exist") -> View:
    """The pod that a path names by namespace and name (and uid, in some)."""
    name = request.match_info["pod"]
    pod = host.pod(request.match_info["namespace"], name)
    if pod is None or request.match_info.get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
        raise Refusal(404, missing.format(name=name))
    return pod


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean as the API's query parameters are read: present is true, unless it says otherwise."""
    return name in query and query[name].lower() not in ("false", "0")


def log_options(query: Mapping[str, str]) -> LogOptions:
    """The options of a request. Raises 400 and 422."""
    tail = query.get("tail") or query.get("tailLines") or ""
    try:
        tail_lines = _number(tail) if tail != "all" else None
        limit, seconds = _number(query.get("limitBytes", "")), _number(query.get("sinceSeconds", ""))
        since = parse_time(query["sinceTime"]) if query.get("sinceTime") else None
    except (ValueError, TimeError) as err:
        raise Refusal(400, _UNDECODABLE) from err
    stream = query.get("stream") or "All"
    is_fine = stream in STREAMS and not (stream != "All" and tail_lines is not None)
    is_fine = is_fine and not (since is not None and seconds is not None)
    if not is_fine or _is_below(tail_lines, 0) or _is_below(limit, 1) or _is_below(seconds, 1):
        raise Refusal(422, _INVALID)
    if seconds is not None:
        since = now() - timedelta(seconds=seconds)
    return LogOptions(
        follow=flag(query, "follow"),
        timestamps=flag(query, "timestamps"),
        tail_lines=tail_lines,
        limit_bytes=limit,
        since=since,
        stream=stream,
    )


def _number(text: str) -> int | None:
    return int(text) if text else None


def _is_below(number: int | None, least: int) -> bool:
    return number is not None and number < least


def container_id(pod: View, name: str, *, previous: bool) -> str:
    """The instance whose log is meant, as `containerd://…`. Raises 400 where there is none, saying why."""
    where = f'container "{name}" in pod "{pod["metadata"]["name"]}"'
    status = _container_status(pod, name)
    if status is None:
        raise Refusal(400, f"{where} is not available")
    state = status.get("state") or {}
    last = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID") or ""
    if previous:
        if not last:
            raise Refusal(400, f"previous terminated {where} not found")
        return str(last)
    if "running" in state:
        return str(status.get("containerID") or "")
    if "terminated" in state:
        id = state["terminated"].get("containerID") or last
        if not id:
            raise Refusal(400, f"{where} is terminated")
        return str(id)
    if last:
        return str(last)
    if "waiting" in state:
        reason = state["waiting"].get("reason") or ""
        raise Refusal(400, f"{where} is waiting to start: {_PULL_FAILURES.get(reason, reason)}")
    raise Refusal(400, f"{where} is waiting to start - no logs yet")


def _container_status(pod: View, name: str) -> View | None:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in status.get(field) or ():
            if item["name"] == name:
                return item  # type: ignore[no-any-return]
    return None


def _open(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as err:
        text = f'failed to try resolving symlinks in path "{path}": lstat {path}: {(err.strerror or "").lower()}'
        raise Refusal(400, text) from err


async def _read_kept(
    runtime: KeepsLogs, id: str, options: LogOptions, is_running: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    """As `read_log`, of a log that the runtime keeps, which only ever grows."""
    lines = LineFilter(options)
    seen = -1
    while not lines.is_done:
        may_grow = options.follow and await is_running()
        try:
            found = runtime.log(id).splitlines(keepends=True)
        except RuntimeFailure:
            return
        if seen < 0:
            seen = 0 if options.tail_lines is None else max(0, len(found) - options.tail_lines)
        text = b"".join(map(lines.take, found[seen:]))
        seen = len(found)
        if text:
            yield text
        if not may_grow:
            return
        await asyncio.sleep(KEPT_POLL_S)
