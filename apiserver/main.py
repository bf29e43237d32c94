"""Running one API server process: open the store, compose, listen, serve until told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apiserver.aggregation.location import FrontProxy
from apiserver.app import ApiServer, Settings
from apiserver.outbound import node_tls
from apiserver.serving import Server, listen, tls_context
from apiserver.storage.backend import Backend


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """How to reach etcd; the TLS files may be None for plain http endpoints."""

    endpoints: tuple[str, ...]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `serve` needs. `database` is None for a store that lives in memory; `etcd` goes before it."""

    address: str
    port: int
    service_cidrs: tuple[str, ...]
    cert_file: Path
    key_file: Path
    client_ca: Path
    service_account_key: Path
    database: Path | None = None
    etcd: EtcdOptions | None = None
    token_file: Path | None = None
    node_client_cert: Path | None = None
    node_client_key: Path | None = None
    front_proxy: FrontProxy | None = None
    audit_policy: Path | None = None
    audit_log: str = ""


async def open_backend(options: ServeOptions) -> Backend:
    """The store that the options name. Raises StorageError, also for an etcd that is too old."""
    if options.etcd is not None:
        from apiserver.storage.etcd import EtcdBackend

        etcd = options.etcd
        backend = EtcdBackend(etcd.endpoints, ca=etcd.ca_file, cert=etcd.cert_file, key=etcd.key_file)
        try:
            await backend.check_version()
        except BaseException:
            await backend.close()
            raise
        return backend
    from apiserver.storage.sqlite import SqliteBackend

    return SqliteBackend(options.database)


async def serve(options: ServeOptions, on_ready: Callable[[int], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set. `on_ready` is called with the port once requests are answered.

    Raises OSError when the port is taken, StorageError when the store cannot be used.
    """
    sock = listen(options.address, options.port)
    port: int = sock.getsockname()[1]
    try:
        backend = await open_backend(options)
    except BaseException:
        sock.close()
        raise
    nodes = None
    if options.node_client_cert is not None and options.node_client_key is not None:
        nodes = node_tls(str(options.node_client_cert), str(options.node_client_key), str(options.client_ca))
    settings = Settings(
        address=options.address,
        port=port,
        service_cidrs=options.service_cidrs,
        service_account_key=options.service_account_key,
        client_ca=options.client_ca,
        token_file=options.token_file,
        node_tls=nodes,
        front_proxy=options.front_proxy,
        audit_policy=options.audit_policy,
        audit_log=options.audit_log,
    )
    api = ApiServer(backend, settings)
    tls = tls_context(str(options.cert_file), str(options.key_file), str(options.client_ca))
    server = Server(api.app, tls, sock)
    try:
        await api.start()
        await server.start()
        on_ready(port)
        await stop.wait()
    finally:
        await server.stop()
        await api.stop()
        await backend.close()


def run(options: ServeOptions, on_ready: Callable[[int], None]) -> None:
    """`serve` on uvloop until SIGTERM or SIGINT."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(options, on_ready, stop)

    uvloop.run(main())
