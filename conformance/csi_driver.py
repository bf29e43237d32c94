"""A small CSI driver for the tests: folders of the machine as file systems, loop devices as disks.

`python -m conformance.csi_driver NAME NODE STATE REGISTRY`: it serves on sockets in STATE and REGISTRY, keeps volumes
in STATE/volumes, and notes each call as a line of JSON in STATE/calls. Messages are read and written by hand, by the
numbers of their fields in csi.proto.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Fields = dict[int, list[Any]]
STAGE_UNSTAGE, VOLUME_STATS, EXPAND = 1, 2, 3


def decode(message: bytes) -> Fields:
    """The fields by number: integers, and bytes for all that has a length."""
    found: Fields = {}
    rest = iter(message)
    for tag in _numbers(rest):
        if tag & 7 == 0:
            value: Any = next(_numbers(rest))
        else:
            value = bytes(next(rest) for _ in range(next(_numbers(rest))))
        found.setdefault(tag >> 3, []).append(value)
    return found


def _numbers(rest: Iterator[int]) -> Iterator[int]:
    for byte in rest:
        value, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = next(rest)
            value |= (byte & 0x7F) << shift
            shift += 7
        yield value


def encode(**fields: Any) -> bytes:
    """`f3="text"`: a field by its number; lists are repeated."""
    parts = []
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            data = item.encode() if isinstance(item, str) else item
            number = int(name[1:]) << 3
            if isinstance(data, bytes):
                parts += [_number(number | 2), _number(len(data)), data]
            else:
                parts += [_number(number), _number(int(data))]
    return b"".join(parts)


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def text(fields: Fields, number: int) -> str:
    return fields.get(number, [b""])[0].decode()


def pairs(fields: Fields, number: int) -> dict[str, str]:
    entries = [decode(entry) for entry in fields.get(number, ())]
    return {text(entry, 1): text(entry, 2) for entry in entries}


class Driver:
    def __init__(self, name: str, node: str, state: Path) -> None:
        self.name, self.node, self.state = name, node, state
        self.socket = state / "csi.sock"
        (state / "volumes").mkdir(parents=True, exist_ok=True)

    def note(self, call: str, **facts: Any) -> None:
        with (self.state / "calls").open("a") as file:
            file.write(json.dumps({"call": call, **facts}) + "\n")

    # -- registration ------------------------------------------------------------------------------------------

    def GetInfo(self, request: Fields) -> bytes:
        return encode(f1="CSIPlugin", f2=self.name, f3=str(self.socket), f4=["1.0.0"])

    def NotifyRegistrationStatus(self, request: Fields) -> bytes:
        self.note("registered", done=bool(request.get(1)), error=text(request, 2))
        return b""

    # -- the node service --------------------------------------------------------------------------------------

    def NodeGetInfo(self, request: Fields) -> bytes:
        return encode(f1=self.node, f2=5, f3=encode(f1=encode(f1="conformance.example.com/rack", f2="r1")))

    def NodeGetCapabilities(self, request: Fields) -> bytes:
        return encode(f1=[encode(f1=encode(f1=kind)) for kind in (STAGE_UNSTAGE, VOLUME_STATS, EXPAND)])

    def NodeStageVolume(self, request: Fields) -> bytes:
        volume, staging = text(request, 1), text(request, 3)
        self.note("stage", volume=volume, publish=pairs(request, 2), attributes=pairs(request, 6))
        if 2 in decode(request[4][0]):
            _run("mount", "--bind", str(self._folder(volume)), staging)
        return b""

    def NodeUnstageVolume(self, request: Fields) -> bytes:
        self.note("unstage", volume=text(request, 1))
        _unmount(text(request, 2))
        return b""

    def NodePublishVolume(self, request: Fields) -> bytes:
        volume, staging, target = text(request, 1), text(request, 3), text(request, 4)
        readonly, attributes = bool(request.get(6, [0])[0]), pairs(request, 8)
        self.note("publish", volume=volume, staged=bool(staging), readonly=readonly, attributes=attributes)
        if 1 in decode(request[5][0]):
            self._publish_device(volume, target)
            return b""
        source = staging or str(self._folder(volume))
        (Path(source) / "attributes").write_text(json.dumps(attributes))
        os.makedirs(target, exist_ok=True)
        _run("mount", "--bind", source, target)
        if readonly:
            _run("mount", "-o", "remount,bind,ro", target)
        return b""

    def _publish_device(self, volume: str, target: str) -> None:
        image = self.state / "volumes" / f"{volume}.img"
        with image.open("ab") as file:
            file.truncate(4 * 1024 * 1024)
        device = _run("losetup", "--find", "--show", str(image)).strip()
        status = os.stat(device)
        os.mknod(target, status.st_mode, status.st_rdev)

    def NodeUnpublishVolume(self, request: Fields) -> bytes:
        volume, target = text(request, 1), text(request, 2)
        self.note("unpublish", volume=volume)
        if os.path.isdir(target):
            _unmount(target)
            os.rmdir(target)
        elif os.path.exists(target):
            os.unlink(target)
            image = self.state / "volumes" / f"{volume}.img"
            for line in _run("losetup", "--associated", str(image)).splitlines():
                _run("losetup", "--detach", line.partition(":")[0])
        return b""

    def NodeGetVolumeStats(self, request: Fields) -> bytes:
        self.note("stats", volume=text(request, 1))
        space, inodes = encode(f1=600, f2=1000, f3=400, f4=1), encode(f1=60, f2=100, f3=40, f4=2)
        return encode(f1=[space, inodes])

    def NodeExpandVolume(self, request: Fields) -> bytes:
        wanted = decode(request[3][0])[1][0]
        self.note("expand", volume=text(request, 1), bytes=wanted)
        return encode(f1=wanted)

    def _folder(self, volume: str) -> Path:
        folder = self.state / "volumes" / volume
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _unmount(path: str) -> None:
    """If anything is mounted there, which for a folder of the same disk only this list tells."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for _ in range(mounted.count(path)):
        _run("umount", path)


def serve(driver: Driver, registry: Path) -> None:
    """Until this process is stopped."""
    import grpc

    def handler(method: str) -> Any:
        behaviour: Callable[[Fields], bytes] = getattr(driver, method)

        def answer(request: bytes, context: Any) -> bytes:
            try:
                return behaviour(decode(request))
            except (RuntimeError, OSError) as error:
                context.abort(grpc.StatusCode.INTERNAL, str(error))
                raise

        return grpc.unary_unary_rpc_method_handler(answer)

    registration = ["GetInfo", "NotifyRegistrationStatus"]
    node = [name for name in dir(Driver) if name.startswith("Node")]
    services = ((driver.socket, "csi.v1.Node", node), (registry, "pluginregistration.Registration", registration))
    servers = []
    for socket, service, methods in services:
        server = grpc.server(ThreadPoolExecutor(2))
        handlers = {method: handler(method) for method in methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_insecure_port(f"unix://{socket}")
        server.start()
        servers.append(server)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    name, node, state, registry = sys.argv[1:]
    serve(Driver(name, node, Path(state)), Path(registry) / f"{name}-reg.sock")
