"""`wherry scheduler`: one scheduler process; of several, the one that holds the lease works."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controllers.options import duration
from controllers.runtime.client import Client
from controllers.runtime.events import EventSink
from controllers.runtime.health import HealthServer
from controllers.runtime.informer import Informers
from controllers.runtime.leader import IDENTITY_HELP, Elector, LeadershipLost, LeaseTimes, new_identity
from controllers.runtime.logs import configure
from controllers.runtime.metrics import Metrics
from controllers.runtime.transport import Transport, open_transport
from controllers.scheduler.config import ConfigurationError, SchedulerConfiguration, read_configuration
from controllers.scheduler.durations import duration_s
from controllers.scheduler.metrics import SchedulerMetrics
from controllers.scheduler.scheduler import Scheduler
from openapi.meta.times import now

COMPONENT = "kube-scheduler"
HEALTH_PORT = 10259
GRACE_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `health_port` -1 serves no health."""

    kubeconfig: Path | None = None
    configuration: SchedulerConfiguration = field(default_factory=SchedulerConfiguration)
    leader_elect: bool = True
    lease_times: LeaseTimes = field(default_factory=LeaseTimes)
    health_address: str = "127.0.0.1"
    health_port: int = HEALTH_PORT
    verbosity: int = 0
    identity: str = ""


class _Stop(Exception):
    """Told to stop."""


async def serve(options: Options, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Schedule until `stop` is set; `on_ready` is called once the stores are filled.

    Raises LeadershipLost, OSError (health port), and what the kubeconfig's reading raises.
    """
    transport = await open_transport(options.kubeconfig)
    try:
        await _serve(options, transport, on_ready, stop)
    finally:
        await transport.close()


async def _serve(options: Options, transport: Transport, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
    client = Client(transport, COMPONENT)
    informers = Informers(client)
    metrics = Metrics()
    counts = SchedulerMetrics(metrics.registry)
    scheduler = Scheduler(client, informers, options.configuration, counts, now, socket.gethostname())
    elector = _elector(options, client) if options.leader_elect else None
    synced: list[bool] = []
    health = HealthServer({"informer-sync": lambda: "" if synced else "stores are not filled yet"}, metrics)
    if options.health_port >= 0:
        await health.start(options.health_address, options.health_port)
    sink = EventSink(client.named("events"), now)

    async def work(group: asyncio.TaskGroup) -> None:
        await informers.synced()
        synced.append(True)
        on_ready()
        if elector is not None:
            lease = await elector.acquire()
            sink.recorder(COMPONENT).normal(lease, "LeaderElection", f"{elector.identity} became leader")
            group.create_task(elector.hold(), name="lease")
        metrics.leader.labels(COMPONENT).set(1)
        group.create_task(scheduler.run(), name="scheduler")

    try:
        async with asyncio.TaskGroup() as group:
            informers.start(group)
            group.create_task(sink.run(), name="events")
            group.create_task(work(group), name="work")
            await stop.wait()
            if elector is not None:
                await elector.release()
            raise _Stop
    except* _Stop:
        log.info("stopped")
    except* LeadershipLost as lost:
        raise LeadershipLost("the lease could not be renewed in time") from lost
    finally:
        health.close()


def _elector(options: Options, client: Client) -> Elector:
    settings = options.configuration.leader_election
    namespace = settings.get("resourceNamespace") or "kube-system"
    name = settings.get("resourceName") or COMPONENT
    return Elector(client, namespace, name, options.identity or new_identity(), now, options.lease_times)


def run(options: Options, on_ready: Callable[[], None]) -> None:
    """`serve` on uvloop until SIGTERM or SIGINT."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(options, on_ready, stop)

    # Stores hold many small dicts for long: full collections would only cost time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `wherry scheduler`."""
    parser.add_argument("--kubeconfig", type=Path, help="how to reach the API server")
    parser.add_argument("--config", type=Path, help="a KubeSchedulerConfiguration file")
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    for flag in ("lease-duration", "renew-deadline", "retry-period"):
        parser.add_argument(f"--leader-elect-{flag}", type=duration, metavar="DURATION", help="such as 15s or 1m30s")
    parser.add_argument("--leader-elect-identity", default="", metavar="NAME", help=IDENTITY_HELP)
    parser.add_argument("--health-address", default="127.0.0.1", metavar="IP")
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, metavar="PORT", help="-1 serves no health")
    parser.add_argument("-v", "--verbosity", type=int, default=0, metavar="LEVEL")


def options_of(arguments: argparse.Namespace) -> Options:
    """Raises ConfigurationError."""
    configuration = read_configuration(arguments.config)
    kubeconfig = arguments.kubeconfig or (Path(configuration.kubeconfig) if configuration.kubeconfig else None)
    return Options(
        kubeconfig,
        configuration,
        arguments.leader_elect and configuration.leader_election.get("leaderElect", True),
        _lease_times(arguments, configuration),
        arguments.health_address,
        arguments.health_port,
        arguments.verbosity,
        arguments.leader_elect_identity,
    )


def _lease_times(arguments: argparse.Namespace, configuration: SchedulerConfiguration) -> LeaseTimes:
    """From the command line, else from the configuration, else Kubernetes' own."""
    settings, default = configuration.leader_election, LeaseTimes()

    def seconds(flag_s: float | None, setting: str, default_s: float) -> float:
        if flag_s is not None:
            return flag_s
        return duration_s(settings.get(setting), default_s)

    return LeaseTimes(
        seconds(arguments.leader_elect_lease_duration, "leaseDuration", default.duration_s),
        seconds(arguments.leader_elect_renew_deadline, "renewDeadline", default.renew_deadline_s),
        seconds(arguments.leader_elect_retry_period, "retryPeriod", default.retry_s),
    )


def main(argv: Sequence[str] | None = None, on_ready: Callable[[], None] = lambda: None) -> int:
    """Run with a command line of its own; the result is the exit code."""
    parser = argparse.ArgumentParser(prog="wherry scheduler")
    add_options(parser)
    arguments = parser.parse_args(argv)
    configure(logging.DEBUG if arguments.verbosity >= 4 else logging.INFO)
    try:
        run(options_of(arguments), on_ready)
    except (ConfigurationError, LeadershipLost, OSError) as error:
        print(f"wherry scheduler: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
