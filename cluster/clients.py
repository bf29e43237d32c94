"""`wherry controllers`, `wherry scheduler` and `wherry nodeagent`: the components that are clients of the API server.

Each reads its own command line, under its own names of options; here they are only started, and their failures told.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import CommandError, explain
from cluster.readiness import Ready

NODE_GRACE_S = 60.0
"""A node may have many containers to end."""


def run_controllers(words: Sequence[str], ready: Ready) -> None:
    """Run the controllers until told to stop. Raises CommandError when that is not possible."""
    from controllers.main import run
    from controllers.options import WrongOption, add_options, options_of

    parser = argparse.ArgumentParser(prog="wherry controllers", description="Run the controllers of a cluster.")
    add_options(parser)
    with _told(WrongOption):
        options = options_of(parser.parse_args(words))
        ready.wait_to_begin()
        _check(options.kubeconfig)
        run(options, ready.tell)


def run_scheduler(words: Sequence[str], ready: Ready) -> None:
    """Run the scheduler until told to stop. Raises CommandError when that is not possible."""
    from controllers.scheduler.config import ConfigurationError
    from controllers.scheduler.main import add_options, options_of, run

    parser = argparse.ArgumentParser(prog="wherry scheduler", description="Run the scheduler of a cluster.")
    add_options(parser)
    with _told(ConfigurationError):
        options = options_of(parser.parse_args(words))
        ready.wait_to_begin()
        _check(options.kubeconfig)
        run(options, ready.tell)


def run_nodeagent(words: Sequence[str], ready: Ready) -> None:
    """Run a node until told to stop. Raises CommandError when that is not possible."""
    from nodeagent.main import run
    from nodeagent.options import WrongOption, add_options, options_of
    from nodeagent.runtime.protocol import RuntimeFailure

    parser = argparse.ArgumentParser(prog="wherry nodeagent", description="Run one node, or many simulated ones.")
    add_options(parser)
    with _told(RuntimeFailure, WrongOption):
        options = options_of(parser.parse_args(words))
        ready.wait_to_begin()
        _check(options.kubeconfig)
        run(options, ready.tell)


def _check(kubeconfig: Path | None) -> None:
    if kubeconfig is not None:
        kubeconfig.open("rb").close()


@contextmanager
def _told(*own: type[Exception]) -> Iterator[None]:
    """What goes wrong, in one line; `own` is what the component raises for options that make no sense."""
    from controllers.runtime.access import UnusableKubeconfig
    from controllers.runtime.leader import LeadershipLost

    try:
        yield
    except LeadershipLost as error:
        raise CommandError(f"leader election lost: {error}") from None
    except UnusableKubeconfig as error:
        raise CommandError(f"no usable kubeconfig: {error}") from None
    except OSError as error:
        raise CommandError(explain(error)) from None
    except own as error:
        raise CommandError(str(error)) from None
