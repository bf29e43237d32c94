"""A CSI driver in this process: it registers by a socket, notes every call, and makes folders instead of mounts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc

from nodeagent.volumes.csi.messages import csi_messages, registration_messages

NAME = "disk.example.com"
REGISTRATION = {"GetInfo": "InfoRequest", "NotifyRegistrationStatus": "RegistrationStatus"}


class FakeDriver:
    """`can` are its capabilities; `failures` (code, text) by method; `told` what came of its registration."""

    def __init__(self, folder: Path, can: tuple[int, ...]) -> None:
        self.endpoint = folder / "csi.sock"
        self.can = can
        self.calls: list[tuple[str, Any]] = []
        self.failures: dict[str, tuple[grpc.StatusCode, str]] = {}
        self.told: list[Any] = []
        self.type = "CSIPlugin"
        self.max_volumes = 7
        self._servers: list[grpc.aio.Server] = []

    async def start(self, registry: Path) -> None:
        os.makedirs(registry, exist_ok=True)
        methods = [name.removesuffix("Request") for name in csi_messages() if name.endswith("Request")]
        node = {name: self._handler(csi_messages()[f"{name}Request"], self._node(name)) for name in methods}
        await self._serve(self.endpoint, "csi.v1.Node", node)
        registration = {
            name: self._handler(registration_messages()[request], self._registration(name))
            for name, request in REGISTRATION.items()
        }
        await self._serve(registry / "disk-reg.sock", "pluginregistration.Registration", registration)

    async def stop(self) -> None:
        for server in self._servers:
            await server.stop(None)

    def of(self, method: str) -> list[Any]:
        return [request for name, request in self.calls if name == method]

    async def _serve(self, socket: Path, service: str, handlers: dict[str, Any]) -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_insecure_port(f"unix://{socket}")
        await server.start()
        self._servers.append(server)

    @staticmethod
    def _handler(request: Any, behaviour: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behaviour, request.FromString, lambda message: message.SerializeToString()
        )

    def _registration(self, name: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            if name == "GetInfo":
                info = {"type": self.type, "name": NAME, "endpoint": str(self.endpoint)}
                return registration_messages()["PluginInfo"](**info, supported_versions=["1.0.0"])
            self.told.append(request)
            return registration_messages()["RegistrationStatusResponse"]()

        return answer

    def _node(self, name: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            self.calls.append((name, request))
            if name in self.failures:
                await context.abort(*self.failures[name])
            return csi_messages()[f"{name}Response"](**self._result(name, request))

        return answer

    def _result(self, name: str, request: Any) -> dict[str, Any]:
        match name:
            case "NodeGetInfo":
                segments = {"example.com/zone": "z1"}
                topology = {"segments": segments}
                return {
                    "node_id": "id-of-n",
                    "max_volumes_per_node": self.max_volumes,
                    "accessible_topology": topology,
                }
            case "NodeGetCapabilities":
                return {"capabilities": [{"rpc": {"type": number}} for number in self.can]}
            case "NodePublishVolume":
                Path(request.target_path).mkdir(exist_ok=True)
            case "NodeUnpublishVolume":
                Path(request.target_path).rmdir()
            case "NodeGetVolumeStats":
                return {"usage": [{"available": 60, "total": 100, "used": 40, "unit": 1}]}
        return {}
