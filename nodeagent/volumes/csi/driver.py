"""A CSI driver's node service, called over its Unix socket."""

from __future__ import annotations

from typing import Any

from nodeagent.volumes.csi.messages import CSI_PACKAGE, csi_messages

CALL_TIMEOUT_S = 120.0
_GO_NAMES = {"CANCELLED": "Canceled", "OK": "OK"}


class DriverFailure(Exception):
    """A call failed; the text is the one that upstream's client gives it."""


class NoDriver(Exception):
    """No driver of that name has registered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"driver name {name} not found in the list of registered CSI drivers")


class Driver:
    """A registered driver. `capabilities` are numbers of its node service."""

    def __init__(self, name: str, endpoint: str) -> None:
        import grpc

        self.name = name
        self.endpoint = endpoint
        self._channel = grpc.aio.insecure_channel(f"unix://{endpoint}")
        self._capabilities: frozenset[int] | None = None

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, method: str, **request: Any) -> Any:
        """The answer of the node service. Raises DriverFailure."""
        return await unary(self._channel, f"{CSI_PACKAGE}.Node", method, csi_messages(), request)

    async def capabilities(self) -> frozenset[int]:
        """Raises DriverFailure."""
        if self._capabilities is None:
            answer = await self.call("NodeGetCapabilities")
            self._capabilities = frozenset(item.rpc.type for item in answer.capabilities)
        return self._capabilities


async def unary(
    channel: Any,
    service: str,
    method: str,
    messages: Any,
    request: dict[str, Any],
    *,
    types: tuple[str, str] | None = None,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Any:
    """One call. `types` name request and answer where they are not called after the method. Raises DriverFailure."""
    import grpc

    asked, answered = types or (f"{method}Request", f"{method}Response")
    call = channel.unary_unary(
        f"/{service}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=messages[answered].FromString,
    )
    try:
        return await call(messages[asked](**request), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise DriverFailure(f"rpc error: code = {_go_name(error.code())} desc = {error.details()}") from error


def _go_name(code: Any) -> str:
    """`FAILED_PRECONDITION` as Go's library prints it."""
    name: str = code.name
    return _GO_NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))
