"""A system bus of the tests' own, and on it what systemd-logind says and does about shutdowns."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

# Where it is not installed, what needs it is skipped, and nothing else.
dbus_fast = pytest.importorskip("dbus_fast", reason="dbus-fast is not installed")
from dbus_fast.aio import MessageBus  # noqa: E402

SERVICE, PATH, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>"""


class Bus:
    """The bus. Skips the test where there is no program for it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("dbus-daemon") is None:
            pytest.skip("dbus-daemon is not installed (apt-get install dbus)")
        self.address = f"unix:path={folder / 'bus'}"
        self._config = folder / "bus.conf"
        self._config.write_text(BUS.format(path=folder / "bus"))
        self._daemon: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = ["dbus-daemon", "--nofork", "--nopidfile", "--print-address", f"--config-file={self._config}"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline().startswith(self.address)

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.communicate()


class PlayedLogind:
    """What answers as logind on the bus; the locks are pipes, as its own are."""

    def __init__(self, bus: MessageBus, max_delay_s: int) -> None:
        self.asked: list[list[str]] = []
        self._bus = bus
        self._max_delay_us = max_delay_s * 10**6
        self._pipes: list[list[int]] = []
        bus.add_message_handler(self._answer)

    @property
    def locks(self) -> list[bool]:
        """Of each lock ever given: whether it is still held."""
        return [_is_open(pipe) for pipe in self._pipes]

    async def announce(self, is_near: bool) -> None:
        await self._bus.send(dbus_fast.Message.new_signal(PATH, MANAGER, "PrepareForShutdown", "b", [is_near]))

    def close(self) -> None:
        for pipe in self._pipes:
            for end in pipe:
                os.close(end)

    def _answer(self, message: Any) -> Any:
        if message.path != PATH or message.message_type is not dbus_fast.MessageType.METHOD_CALL:
            return None
        if (message.interface, message.member) == (MANAGER, "Inhibit"):
            self.asked.append(message.body)
            self._pipes.append(list(os.pipe()))
            return dbus_fast.Message.new_method_return(message, "h", [0], [self._pipes[-1][1]])
        assert message.body == [MANAGER, "InhibitDelayMaxUSec"]
        return dbus_fast.Message.new_method_return(message, "v", [dbus_fast.Variant("t", self._max_delay_us)])


def _is_open(pipe: list[int]) -> bool:
    if pipe[1:]:
        os.close(pipe.pop())
    os.set_blocking(pipe[0], False)
    try:
        return os.read(pipe[0], 1) != b""
    except BlockingIOError:
        return True


@asynccontextmanager
async def played(bus: Bus, max_delay_s: int = 60) -> AsyncIterator[PlayedLogind]:
    connection = MessageBus(bus_address=bus.address, negotiate_unix_fd=True)
    await connection.connect()
    logind = PlayedLogind(connection, max_delay_s)
    try:
        await connection.request_name(SERVICE)
        yield logind
    finally:
        logind.close()
        connection.disconnect()
        try:
            await connection.wait_for_disconnect()
        except EOFError:
            pass  # The bus has ended first.
