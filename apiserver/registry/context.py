"""One request as the registry sees it: parsed, authenticated, authorized, negotiated; with the way to its body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apiserver.registry.endpoint import Endpoint
from apiserver.request import RequestInfo
from apiserver.resources.strategy import User
from apiserver.response import Negotiated, Send
from openapi.meta import status

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_BODY_BYTES = 3 * 1024 * 1024


@dataclass(slots=True)
class Context:
    """`headers` are by lower-case name, `all_headers` as they came, with those that are repeated."""

    info: RequestInfo
    endpoint: Endpoint
    user: User
    headers: Mapping[bytes, bytes]
    negotiated: Negotiated
    now: datetime
    receive: Receive
    send: Send
    connection: Any = None
    """The client's connection, for what streams beyond HTTP."""
    all_headers: Sequence[tuple[bytes, bytes]] = ()
    pretty: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """The namespace of the objects asked for, '' for cluster-scoped ones."""
        return self.info.at.namespace if self.endpoint.resource.namespaced else ""

    @property
    def is_long_running(self) -> bool:
        """Streams to pods and nodes have no time limit."""
        return self.info.is_long_running

    @property
    def content_type(self) -> str:
        return self.headers.get(b"content-type", b"").decode("latin-1")

    @property
    def user_agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    async def body(self) -> bytes:
        """The whole body. Raises 413 past the limit, 400 when the client goes away."""
        return await read_body(self.receive, self.headers)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
    """Read a request's body, at most `MAX_BODY_BYTES`."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise status.bad_request("the client closed the connection")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large()
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large() -> status.StatusError:
    return status.request_entity_too_large(f"limit is {MAX_BODY_BYTES}")
