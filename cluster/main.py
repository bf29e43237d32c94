"""The `wherry` command. This module only reads the command line; what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cluster import VERSION, options
from cluster.errors import CommandError

if TYPE_CHECKING:
    from cluster.readiness import Ready

Run = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.takes_rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        run: Run = arguments.run
        return run(arguments)
    except CommandError as error:
        print(f"wherry: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wherry", description="A Kubernetes cluster in one command.")
    parser.add_argument("--version", action="version", version=f"wherry {VERSION}")
    parser.set_defaults(takes_rest=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_up(commands)
    _add_down(commands)
    status = commands.add_parser("status", help="say what runs and whether it is ready")
    options.add_choice(status)
    status.set_defaults(run=_status)
    _add_kubeconfig(commands)
    _add_apiserver(commands)
    _add_client(commands, "controllers", "run the controllers alone", _controllers)
    _add_client(commands, "scheduler", "run the scheduler alone", _scheduler)
    _add_client(commands, "nodeagent", "run a node alone", _nodeagent)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_up(commands: Commands) -> None:
    up = commands.add_parser("up", help="start a cluster and stay until Ctrl-C")
    options.add_cluster_options(up)
    options.add_node_options(up)
    up.add_argument("--detach", action="store_true", help="return once the cluster is ready; `wherry down` stops it")
    up.add_argument("--components", metavar="NAMES", default="", help="start only these, separated by commas")
    up.set_defaults(run=_up)


def _add_down(commands: Commands) -> None:
    down = commands.add_parser("down", help="stop a cluster; what it keeps on disk stays")
    options.add_choice(down)
    down.set_defaults(run=_down)


def _add_kubeconfig(commands: Commands) -> None:
    kubeconfig = commands.add_parser("kubeconfig", help="print the admin's kubeconfig")
    options.add_data_dir(kubeconfig)
    kubeconfig.add_argument("--merge", action="store_true", help="put it into $KUBECONFIG or ~/.kube/config instead")
    kubeconfig.set_defaults(run=_kubeconfig)


def _add_apiserver(commands: Commands) -> None:
    """`certificates` is what a supervisor runs beside a starting API server; it is not for people."""
    apiserver = commands.add_parser("apiserver", help="run one API server alone")
    options.add_cluster_options(apiserver)
    apiserver.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    apiserver.set_defaults(run=_apiserver)
    certificates = commands.add_parser("certificates")
    options.add_cluster_options(certificates)
    certificates.set_defaults(run=_certificates)


def _add_client(commands: Commands, name: str, help_text: str, run: Run) -> None:
    """A component that reads its own options: they are not known here, to import nothing of it."""
    client = commands.add_parser(name, help=help_text, add_help=False, allow_abbrev=False)
    client.add_argument("--ready-fd", type=int)
    client.set_defaults(run=run, takes_rest=True)


def _up(arguments: argparse.Namespace) -> int:
    from cluster.up import up

    return up(options.cluster_options(arguments), arguments.components, detach=arguments.detach)


def _down(arguments: argparse.Namespace) -> int:
    from cluster.control import down, find

    return down(find(*options.choice(arguments)))


def _status(arguments: argparse.Namespace) -> int:
    from cluster.control import find, status

    return status(find(*options.choice(arguments)))


def _kubeconfig(arguments: argparse.Namespace) -> int:
    from cluster.control import print_kubeconfig

    return print_kubeconfig(arguments.data_dir.expanduser().absolute(), merge=arguments.merge)


def _apiserver(arguments: argparse.Namespace) -> int:
    from cluster.apiserver import run_apiserver
    from cluster.home import Home, opened
    from cluster.readiness import Ready

    given = options.cluster_options(arguments)
    ready = Ready(arguments.ready_fd)
    if ready.is_supervised:
        return _reported(lambda: run_apiserver(given, Home(given.data_dir, given.ephemeral), ready), ready)
    with opened(given.data_dir, ephemeral=given.ephemeral) as home:
        run_apiserver(given, home, ready)
    return 0


def _controllers(arguments: argparse.Namespace) -> int:
    from cluster.clients import run_controllers
    from cluster.readiness import Ready

    ready = Ready(arguments.ready_fd)
    return _reported(lambda: run_controllers(arguments.rest, ready), ready)


def _scheduler(arguments: argparse.Namespace) -> int:
    from cluster.clients import run_scheduler
    from cluster.readiness import Ready

    ready = Ready(arguments.ready_fd)
    return _reported(lambda: run_scheduler(arguments.rest, ready), ready)


def _nodeagent(arguments: argparse.Namespace) -> int:
    from cluster.clients import NODE_GRACE_S, run_nodeagent
    from cluster.readiness import Ready

    ready = Ready(arguments.ready_fd, NODE_GRACE_S)
    return _reported(lambda: run_nodeagent(arguments.rest, ready), ready)


def _reported(run: Callable[[], None], ready: Ready) -> int:
    """A component whose failure its supervisor is told."""
    try:
        run()
    except CommandError as error:
        ready.fail(str(error))
        raise
    return 0


def _certificates(arguments: argparse.Namespace) -> int:
    from cluster.apiserver import make_certificates
    from cluster.home import Home

    given = options.cluster_options(arguments)
    make_certificates(given, Home(given.data_dir, given.ephemeral))
    return 0


if __name__ == "__main__":
    sys.exit(main())
