"""The wire below the client: the official client's configuration, TLS and connection pool, with JSON by orjson.

One `Transport` serves a whole process. Importing the official client is slow, so it happens when a transport is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
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


class Credentials(Protocol):
    """What goes along with every call so that the server knows who asks."""

    async def headers(self) -> Mapping[str, str]:
        """The headers to add. Raises ApiError where they must be asked for first."""

    def refused(self) -> bool:
        """The server did not take them (401): whether to ask for others and try once more."""


class Configured:
    """The bearer token of a configuration, if it has one; an exec plugin's is renewed by it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    async def headers(self) -> Mapping[str, str]:
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        return {"Authorization": str(token["value"])} if token else {}

    def refused(self) -> bool:
        return False


class Transport:
    """Sends requests and hands back bytes. Opened by `open_transport`, closed with `close`."""

    def __init__(
        self,
        configuration: Configuration,
        session: aiohttp.ClientSession,
        wire: Wire | None,
        in_flight: asyncio.Semaphore,
        credentials: Credentials,
    ) -> None:
        """`session` carries streams, and without a `wire` (behind a proxy) everything."""
        self._wire = wire
        self._configuration = configuration
        self._session = session
        self._in_flight = in_flight
        self._credentials = credentials
        self._base = configuration.host.rstrip("/")

    @property
    def server(self) -> str:
        return self._base

    def nameless(self) -> Transport:
        """A way of its own to the same server that shows no certificate and no token; to be closed too."""
        configuration = copy(self._configuration)
        # A certificate would win over any token.
        configuration.cert_file = configuration.key_file = configuration.refresh_api_key_hook = None
        configuration.api_key = {}
        return _connected(configuration, self._in_flight)

    def acting(self, credentials: Credentials) -> Transport:
        """The same connections for somebody else."""
        return Transport(self._configuration, self._session, self._wire, self._in_flight, credentials)

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
            name = self._configuration.tls_server_name
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
            name = self._configuration.tls_server_name
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
    """A transport to the server that `kubeconfig` names; None: the default kubeconfig, or the pod's own account."""
    from aiohttp import DummyCookieJar
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import load_config, load_kube_config

    configuration = Configuration()
    # Watches hold a connection each for good; what limits the rest is `MAX_IN_FLIGHT`.
    configuration.connection_pool_maxsize = 0
    # aiohttp would ask a thread about proxies and .netrc before every single call; once is enough.
    configuration.client_session_kwargs = {"trust_env": False, "cookie_jar": DummyCookieJar()}
    if kubeconfig is None:
        await load_config(client_configuration=configuration)
    else:
        await load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)
    configuration.client_session_kwargs["proxy"] = _proxy(configuration)
    return _connected(configuration, asyncio.Semaphore(MAX_IN_FLIGHT))


def _connected(configuration: Configuration, in_flight: asyncio.Semaphore) -> Transport:
    from kubernetes.aio.client.rest import RESTClientObject

    class Pool(RESTClientObject):
        """The official client's pool, for us to send through directly."""

        def open(self) -> aiohttp.ClientSession:
            return self._create_pool_manager()

    pool = Pool(configuration)
    wire = None
    if not (configuration.client_session_kwargs or {}).get("proxy"):
        wire = Wire(configuration.host, pool.ssl_context, configuration.tls_server_name)
    return Transport(configuration, pool.open(), wire, in_flight, Configured(configuration))


def _proxy(configuration: Configuration) -> str | None:
    """The proxy of the kubeconfig or of the environment, unless that makes an exception for the server."""
    where = urlsplit(configuration.host)
    if configuration.proxy:
        return str(configuration.proxy)
    return None if proxy_bypass(where.hostname or "") else getproxies().get(where.scheme)
