"""The wire below the client: the official client's configuration, TLS and connection pool, with JSON by orjson.

One `Transport` serves a whole process. Importing the official client is slow, so it happens when a transport is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson

from controllers.runtime.errors import Unavailable, from_answer
from controllers.runtime.wire import Wire

if TYPE_CHECKING:
    import aiohttp
    from kubernetes.aio.client.configuration import Configuration

MAX_IN_FLIGHT = 48
"""Calls under way at once (watches not counted): enough to keep a server busy, few enough not to flood it."""

CONNECT_TIMEOUT_S = 10.0


class Transport:
    """Sends requests and hands back bytes. Opened by `open_transport`, closed with `close`."""

    def __init__(self, configuration: Configuration, session: aiohttp.ClientSession, wire: Wire | None) -> None:
        """`session` carries streams, and without a `wire` (behind a proxy) everything."""
        self._wire = wire
        self._configuration = configuration
        self._session = session
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._base = configuration.host.rstrip("/")

    @property
    def server(self) -> str:
        return self._base

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
            headers = {**headers, **await self._credentials()}
            async with asyncio.timeout(timeout_s):
                status, answer = await self._exchange(method, path, headers, data)
        except (TimeoutError, OSError) as error:
            raise Unavailable(f"{method} {path.partition('?')[0]}: {error or type(error).__name__}") from error
        if status >= 300:
            raise from_answer(status, answer)
        return answer

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, bytes]:
        if self._wire is not None:
            return await self._wire.call(method, path, headers, data)
        import aiohttp

        try:
            async with self._session.request(method, self._url(path), headers=headers, data=data or None) as response:
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
            headers = {**headers, **await self._credentials()}
            timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
            async with self._session.get(self._url(path), headers=headers, timeout=timeout) as response:
                if response.status >= 300:
                    raise from_answer(response.status, await response.read())
                yield response.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"GET {path.partition('?')[0]}: {error or type(error).__name__}") from error

    def _url(self, path: str) -> Any:
        from yarl import URL

        return URL(self._base + path, encoded=True)

    async def _credentials(self) -> dict[str, str]:
        """The Authorization header, where the configuration has a token (an exec plugin's is renewed here)."""
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        return {"Authorization": str(token["value"])} if token else {}


async def open_transport(kubeconfig: Path | None) -> Transport:
    """A transport to the server that `kubeconfig` names; None: the default kubeconfig, or the pod's own account."""
    from aiohttp import DummyCookieJar
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject
    from kubernetes.aio.config import load_config, load_kube_config

    class Pool(RESTClientObject):
        """The official client's pool, for us to send through directly."""

        def open(self) -> aiohttp.ClientSession:
            return self._create_pool_manager()

    configuration = Configuration()
    # Watches hold a connection each for good; what limits the rest is `MAX_IN_FLIGHT`.
    configuration.connection_pool_maxsize = 0
    # aiohttp would ask a thread about proxies and .netrc before every single call; once is enough.
    configuration.client_session_kwargs = {"trust_env": False, "cookie_jar": DummyCookieJar()}
    if kubeconfig is None:
        await load_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await load_kube_config(  # type: ignore[no-untyped-call]
            str(kubeconfig), client_configuration=configuration, persist_config=False
        )
    proxy = configuration.client_session_kwargs["proxy"] = _proxy(configuration)
    pool = Pool(configuration)
    wire = None if proxy else Wire(configuration.host, pool.ssl_context)
    return Transport(configuration, pool.open(), wire)


def _proxy(configuration: Configuration) -> str | None:
    """The proxy of the kubeconfig or of the environment, unless that makes an exception for the server."""
    where = urlsplit(configuration.host)
    if configuration.proxy:
        return str(configuration.proxy)
    return None if proxy_bypass(where.hostname or "") else getproxies().get(where.scheme)
