"""`wherry controllers`: all controllers of a cluster in one process, one loop, one watch per resource."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Sequence

from controllers.options import Options, WrongOption, add_options, options_of
from controllers.runtime.accounts import AccountClients, ClientOf, own_name
from controllers.runtime.client import Client
from controllers.runtime.controller import Runtime
from controllers.runtime.events import EventSink
from controllers.runtime.health import HealthServer
from controllers.runtime.informer import Informers
from controllers.runtime.leader import Elector, LeadershipLost, LeaseTimes, new_identity
from controllers.runtime.logs import configure
from controllers.runtime.manager import Manager
from controllers.runtime.metrics import Metrics
from controllers.runtime.transport import open_transport
from controllers.table import TABLE, select
from openapi.meta.times import now

COMPONENT = "kube-controller-manager"
"""Who writes: field managers and audit show the name of the component whose work this is."""


async def serve(options: Options, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Run the chosen controllers until `stop` is set; `on_ready` is called once their stores are filled.

    Raises WrongOption, LeadershipLost, OSError (health port), and what the kubeconfig's reading raises.
    """
    names = select(options.controllers)
    transport = await open_transport(options.kubeconfig)
    nameless = transport.nameless() if options.use_service_account_credentials else None
    try:
        client = Client(transport, COMPONENT)
        client_of = AccountClients(client, nameless, COMPONENT) if nameless is not None else own_name(client)
        await _serve(options, names, client, client_of, on_ready, stop)
    finally:
        if nameless is not None:
            await nameless.close()
        await transport.close()


async def _serve(
    options: Options,
    names: Sequence[str],
    client: Client,
    client_of: ClientOf,
    on_ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    metrics = Metrics()
    events = EventSink(client.named("events"), now)
    runtime = Runtime(client, client_of, Informers(client.named("shared-informers")), events, metrics, now)
    made = [TABLE[name](runtime, options) for name in names]
    elector = _elector(options, client) if options.leader_elect else None
    manager = Manager(runtime, [controller for controller in made if controller is not None], elector)
    health = HealthServer({"informer-sync": lambda: "" if manager.is_synced else "stores are not filled yet"}, metrics)
    if options.health_port >= 0:
        await health.start(options.health_address, options.health_port)
    try:
        await manager.run(stop, on_ready)
    finally:
        health.close()


def _elector(options: Options, client: Client) -> Elector:
    times = LeaseTimes(
        options.leader_elect_lease_duration_s,
        options.leader_elect_renew_deadline_s,
        options.leader_elect_retry_period_s,
    )
    return Elector(client, "kube-system", COMPONENT, options.leader_elect_identity or new_identity(), now, times)


def run(options: Options, on_ready: Callable[[], None]) -> None:
    """`serve` on uvloop until SIGTERM or SIGINT."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(options, on_ready, stop)

    configure({0: logging.WARNING, 1: logging.INFO}.get(options.verbosity, logging.DEBUG))
    # Stores hold many long-lived dicts without cycles: full collections over them cost more than they ever free.
    gc.set_threshold(50_000, 20, 100)
    uvloop.run(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controllers by the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(prog="wherry controllers", description="Run the controllers of a cluster.")
    add_options(parser)
    try:
        run(options_of(parser.parse_args(argv)), lambda: None)
    except WrongOption as error:
        print(f"wherry controllers: {error}", file=sys.stderr)
        return 1
    except LeadershipLost as error:
        print(f"wherry controllers: leader election lost: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
