"""systemd-logind, over the system's D-Bus: holds a shutdown of the machine back, and tells when one is near.

Imported only where it is needed: most nodes never speak D-Bus.
Follows: pkg/kubelet/nodeshutdown/systemd/inhibit_linux.go
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

SERVICE, PATH, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
ANNOUNCEMENT = "PrepareForShutdown"
INHIBIT = ("shutdown", "kubelet", "Kubelet needs time to handle node shutdown", "delay")
CALL_S = 5.0

_MATCH = f"type='signal',sender='{SERVICE}',path='{PATH}',interface='{MANAGER}',member='{ANNOUNCEMENT}'"
_FAILURES = (DBusFastError, OSError, EOFError, TimeoutError)


class LogindFailure(Exception):
    """logind cannot be reached, or does not do what it is asked for."""


class Logind:
    """One connection, by which at most one lock is held; `connect` makes it."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._lock: int | None = None
        self._announced: asyncio.Queue[bool | None] = asyncio.Queue()
        bus.add_message_handler(self._on_message)

    async def listen(self) -> None:
        """From now on announcements are kept for `announcements`. Raises LogindFailure."""
        await self._call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", _MATCH)

    async def max_delay_s(self) -> float:
        """The longest that logind lets a shutdown be held back. Raises LogindFailure."""
        reply = await self._call(
            SERVICE, PATH, "org.freedesktop.DBus.Properties", "Get", MANAGER, "InhibitDelayMaxUSec"
        )
        return int(reply.body[0].value) / 1e6

    async def inhibit(self) -> None:
        """Hold the next shutdown back, by a new lock. Raises LogindFailure."""
        reply = await self._call(SERVICE, PATH, MANAGER, "Inhibit", *INHIBIT)
        if not reply.unix_fds:
            raise LogindFailure("logind has given no lock")
        lock = int(reply.unix_fds[int(reply.body[0])])
        os.set_inheritable(lock, False)
        self.release()
        self._lock = lock

    def release(self) -> None:
        """Hold nothing back any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def announcements(self) -> AsyncIterator[bool]:
        """True when a shutdown is near, false when it is called off; ends when the connection does."""
        while (is_near := await self._announced.get()) is not None:
            yield is_near

    async def note_end(self) -> None:
        """Return, and end `announcements`, when the connection has ended."""
        try:
            await self._bus.wait_for_disconnect()
        except _FAILURES:
            pass
        self._announced.put_nowait(None)

    def _on_message(self, message: Message) -> None:
        origin = (message.message_type, message.path, message.interface, message.member)
        if origin == (MessageType.SIGNAL, PATH, MANAGER, ANNOUNCEMENT) and message.signature == "b":
            self._announced.put_nowait(bool(message.body[0]))

    async def _call(self, service: str, path: str, interface: str, method: str, *words: str) -> Any:
        call = Message(service, path, interface, method, signature="s" * len(words), body=list(words))
        try:
            async with asyncio.timeout(CALL_S):
                reply = await self._bus.call(call)
        except _FAILURES as error:
            raise LogindFailure(_told(error)) from error
        if reply.message_type is MessageType.ERROR:
            raise LogindFailure(f"{reply.error_name}: {_first(reply.body)}")
        return reply


@asynccontextmanager
async def connect() -> AsyncIterator[Logind]:
    """Listen to the logind of the system bus; its lock is released at the end. Raises LogindFailure."""
    try:
        async with asyncio.timeout(CALL_S):
            bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    except _FAILURES as error:
        raise LogindFailure(_told(error)) from error
    logind = Logind(bus)
    watching = asyncio.create_task(logind.note_end())
    try:
        await logind.listen()
        yield logind
    finally:
        logind.release()
        bus.disconnect()
        await watching


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _first(body: Sequence[Any]) -> str:
    return str(body[0]) if body else ""
