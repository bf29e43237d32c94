"""The wire below the client: one server, TLS and kept connections, with JSON by orjson.

One `Transport` serves a whole process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson

from controllers.runtime.access import Access, read_access
from controllers.runtime.errors import Unavailable, from_answer
from controllers.runtime.wire import Wire

if TYPE_CHECKING:
    import aiohttp

MAX_IN_FLIGHT = 48
"""Calls under way at once (watches not counted): enough to keep a server busy, few enough not to flood it."""

CONNECT_TIMEOUT_S = 10.0
STREAM_BUFFER_BYTES = 1 << 21
"""Events of a watch may be large."""


class Credentials(Protocol):
    """What goes along with every call so that the server knows who asks."""

    async def headers(self) -> Mapping[str, str]:
        """The headers to add. Raises ApiError where they must be asked for first."""

    def refused(self) -> bool:
        """The server did not take them (401): whether to ask for others and try once more."""


class Configured:
    """Whoever the kubeconfig says, by certificate or by token."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def headers(self) -> Mapping[str, str]:
        return await self._access.headers()

    def refused(self) -> bool:
        return False


class Nobody:
    """No token; who asks has to be said by other credentials."""

    async def headers(self) -> Mapping[str, str]:
        return {}

    def refused(self) -> bool:
        return False


class Transport:
    """Sends requests and hands back bytes. Opened by `open_transport`, closed with `close`."""

    def __init__(
        self,
        access: Access,
        session: aiohttp.ClientSession,
        wire: Wire | None,
        in_flight: asyncio.Semaphore,
        credentials: Credentials,
    ) -> None:
        """`session` carries streams, and without a `wire` (behind a proxy) everything."""
        self._wire = wire
        self._access = access
        self._session = session
        self._in_flight = in_flight
        self._credentials = credentials
        self._base = access.host

    @property
    def server(self) -> str:
        return self._base

    def nameless(self) -> Transport:
        """A way of its own to the same server that shows no certificate and no token; to be closed too."""
        # A certificate would win over any token.
        return _connected(self._access, self._in_flight, Nobody(), shows_certificate=False)

    def acting(self, credentials: Credentials) -> Transport:
        """The same connections for somebody else."""
        return Transport(self._access, self._session, self._wire, self._in_flight, credentials)

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        await self._session.close()

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: Any, timeout_s: float) -> bytes:
        """One call from start to end; raises an ApiError for every answer but 2xx, Unavailable where none comes."""
        async with self._in_flight:
            return await self.send_now(method, path, headers, body, timeout_s)

    async def send_now(self, method: str, path: str, headers: Mapping[str, str], body: Any, timeout_s: float) -> bytes:
        """`send` past all who wait for their turn: for a lease, which must not be lost to much other work."""
        data = b"" if body is None else orjson.dumps(body)
        try:
            status, answer = await self._exchange(method, path, headers, data, timeout_s)
            if status == 401 and self._credentials.refused():
                status, answer = await self._exchange(method, path, headers, data, timeout_s)
        except (TimeoutError, OSError) as error:
            raise Unavailable(f"{method} {path.partition('?')[0]}: {error or type(error).__name__}") from error
        if status >= 300:
            raise from_answer(status, answer)
        return answer

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        headers = {**headers, **await self._credentials.headers()}
        async with asyncio.timeout(timeout_s):
            return await self._carry(method, path, headers, data)

    async def _carry(self, method: str, path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, bytes]:
        if self._wire is not None:
            return await self._wire.call(method, path, headers, data)
        import aiohttp

        try:
            name = self._access.tls_name
            async with self._session.request(
                method, self._url(path), headers=headers, data=data or None, server_hostname=name
            ) as response:
                return response.status, await response.read()
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str], timeout_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A call whose answer is read piece by piece as it comes; errors as in `send`."""
        import aiohttp

        try:
            headers = {**headers, **await self._credentials.headers()}
            timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
            name = self._access.tls_name
            async with self._session.get(
                self._url(path), headers=headers, timeout=timeout, server_hostname=name
            ) as response:
                if response.status >= 300:
                    raise from_answer(response.status, await response.read())
                yield response.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"GET {path.partition('?')[0]}: {error or type(error).__name__}") from error

    def _url(self, path: str) -> Any:
        from yarl import URL

        return URL(self._base + path, encoded=True)


async def open_transport(kubeconfig: Path | None) -> Transport:
    """A transport to the server that `kubeconfig` names; None: the default kubeconfig, or the pod's own account.

    Raises UnusableKubeconfig, OSError.
    """
    access = await read_access(kubeconfig)
    return _connected(access, asyncio.Semaphore(MAX_IN_FLIGHT), Configured(access), shows_certificate=True)


def _connected(
    access: Access, in_flight: asyncio.Semaphore, credentials: Credentials, *, shows_certificate: bool
) -> Transport:
    from aiohttp import ClientSession, DummyCookieJar, TCPConnector

    tls, proxy = access.tls(shows_certificate=shows_certificate), _proxy(access)
    # Watches hold a connection each for good; what limits the rest is `MAX_IN_FLIGHT`. aiohttp would ask a thread about
    # proxies and .netrc before every single call; once is enough.
    session = ClientSession(
        connector=TCPConnector(limit=0, ssl=tls),
        trust_env=False,
        cookie_jar=DummyCookieJar(),
        read_bufsize=STREAM_BUFFER_BYTES,
        proxy=proxy,
    )
    wire = None if proxy else Wire(access.host, tls, access.tls_name)
    return Transport(access, session, wire, in_flight, credentials)


def _proxy(access: Access) -> str | None:
    """The proxy of the kubeconfig or of the environment, unless that makes an exception for the server."""
    where = urlsplit(access.host)
    if access.proxy:
        return access.proxy
    return None if proxy_bypass(where.hostname or "") else getproxies().get(where.scheme)
