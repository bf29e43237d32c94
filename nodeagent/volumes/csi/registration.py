"""Finds CSI drivers by the sockets that they put into the node's registration folder, and lets them go with these.

Follows: pkg/kubelet/pluginmanager, pkg/volume/csi/csi_plugin.go RegistrationHandler
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllers.runtime.errors import ApiError
from nodeagent.volumes.csi.driver import Driver, DriverFailure, NoDriver, unary
from nodeagent.volumes.csi.messages import REGISTRATION_PACKAGE, registration_messages
from nodeagent.volumes.csi.node_info import DriverInfo, NodeInfo

log = logging.getLogger(__name__)

LOOK_S = 1.0
REFRESH_S = 10.0
"""The shortest period in which a driver can be asked anew about the node."""
DIAL_TIMEOUT_S = 10.0
RETRY_S = (1.0, 120.0)
_CSI = "CSIPlugin"


class Refused(Exception):
    """A plugin cannot be registered."""


@dataclass(slots=True)
class _Socket:
    """What is known of a registration socket: the driver that it brought, or when to try again."""

    inode: int
    driver: str = ""
    wait_s: float = RETRY_S[0]
    try_at: float = 0.0
    is_other: bool = False
    """It belongs to a plugin of another sort."""


class Drivers:
    """The registered drivers by name; `run` finds them. `on_change` is called when there are others than before."""

    def __init__(self, folder: Path, info: NodeInfo, on_change: Callable[[], None]) -> None:
        self._folder = folder
        self._info = info
        self._on_change = on_change
        self._drivers: dict[str, Driver] = {}
        self._sockets: dict[Path, _Socket] = {}
        self._told_at: dict[str, float] = {}
        """When each driver has last told about the node."""

    def get(self, name: str) -> Driver:
        """Raises NoDriver."""
        if name not in self._drivers:
            raise NoDriver(name)
        return self._drivers[name]

    async def run(self) -> None:
        """Until cancelled."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        await self.initialize()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_for_ever())
                group.create_task(self._refresh_for_ever())
        finally:
            for driver in self._drivers.values():
                await driver.close()

    async def _look_for_ever(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh(asyncio.get_running_loop().time())

    async def refresh(self, now: float) -> None:
        """Ask those drivers about the node again that want to be asked now and then."""
        for name, driver in list(self._drivers.items()):
            try:
                period_s = await self._info.update_period_s(name)
                if period_s and now - self._told_at.get(name, now) >= period_s:
                    await self._tell(driver, now)
            except (DriverFailure, Refused, ApiError, ValueError) as error:
                log.warning("node not updated: %s", error, extra={"driver": name})

    async def _tell(self, driver: Driver, now: float) -> None:
        """Have the API know what the driver says about the node."""
        answer = await driver.call("NodeGetInfo")
        if not answer.node_id:
            raise Refused(f"driver {driver.name} gave no id of the node")
        topology = dict(answer.accessible_topology.segments)
        await self._info.install(DriverInfo(driver.name, answer.node_id, answer.max_volumes_per_node, topology))
        self._told_at[driver.name] = now

    async def initialize(self) -> None:
        """Have the API know that the node can have drivers; tries until that works."""
        while True:
            try:
                await self._info.initialize()
                return
            except ApiError as error:
                log.warning("CSINode not written: %s", error)
                await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Compare the folder with what is known, and follow it."""
        found = _sockets_in(self._folder)
        for path in [path for path, known in self._sockets.items() if found.get(path) != known.inode]:
            await self._remove(self._sockets.pop(path))
        now = asyncio.get_running_loop().time()
        for path, inode in found.items():
            known = self._sockets.setdefault(path, _Socket(inode))
            if not known.driver and not known.is_other and known.try_at <= now:
                await self._try(path, known, now)

    async def _try(self, path: Path, known: _Socket, now: float) -> None:
        try:
            name = await self._register(path)
            known.driver, known.is_other = name, not name
            if name:
                log.info("CSI driver registered", extra={"driver": name})
                self._on_change()
        except (DriverFailure, Refused, ApiError, ValueError) as error:
            log.warning("plugin not registered: %s", error, extra={"socket": str(path)})
            known.try_at, known.wait_s = now + known.wait_s, min(2 * known.wait_s, RETRY_S[1])

    async def _remove(self, known: _Socket) -> None:
        driver = self._drivers.pop(known.driver, None)
        if driver is None:
            return
        await driver.close()
        log.info("CSI driver gone", extra={"driver": known.driver})
        try:
            await self._info.uninstall(known.driver)
        except ApiError as error:
            log.warning("CSINode not written: %s", error)

    async def _register(self, path: Path) -> str:
        """The name of the driver behind a socket, once it is registered; '' for a plugin of another sort."""
        import grpc

        async with grpc.aio.insecure_channel(f"unix://{path}") as channel:
            info = await _ask(channel, "GetInfo", {}, ("InfoRequest", "PluginInfo"))
            if info.type != _CSI:
                return ""
            error = ""
            try:
                await self._install(info)
            except (DriverFailure, Refused, ApiError, ValueError) as failure:
                error = f"RegisterPlugin error -- plugin registration failed with err: {failure}"
                raise
            finally:
                status = {"plugin_registered": not error, "error": error}
                types = ("RegistrationStatus", "RegistrationStatusResponse")
                await _ask(channel, "NotifyRegistrationStatus", status, types)
        return str(info.name)

    async def _install(self, info: Any) -> None:
        if not any(version.lstrip("v").startswith("1.") for version in info.supported_versions):
            raise Refused(f"none of the versions {list(info.supported_versions)} are supported")
        driver = Driver(info.name, info.endpoint)
        try:
            await self._tell(driver, asyncio.get_running_loop().time())
        except BaseException:
            await driver.close()
            raise
        before = self._drivers.pop(info.name, None)
        if before is not None:
            await before.close()
        self._drivers[info.name] = driver


async def _ask(channel: Any, method: str, request: dict[str, Any], types: tuple[str, str]) -> Any:
    service = f"{REGISTRATION_PACKAGE}.Registration"
    messages = registration_messages()
    return await unary(channel, service, method, messages, request, types=types, timeout_s=DIAL_TIMEOUT_S)


def _sockets_in(folder: Path) -> dict[Path, int]:
    """The sockets in and below the folder with their inodes; hidden ones do not count."""
    found = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISSOCK(status.st_mode) and not name.startswith("."):
                found[path] = status.st_ino
    return found
