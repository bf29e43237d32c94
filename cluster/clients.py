"""`wherry controllers` and `wherry scheduler`: the components that are clients of the API server.

Each reads its own command line, under its own names of options; here they are only started and told apart from failing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cluster.errors import CommandError, explain
from cluster.readiness import Ready


def run_controllers(words: Sequence[str], ready: Ready) -> None:
    """Run the controllers until told to stop. Raises CommandError when that is not possible."""
    from controllers.main import run
    from controllers.options import add_options, options_of
    from controllers.runtime.leader import LeadershipLost
    from controllers.table import UnknownController

    parser = argparse.ArgumentParser(prog="wherry controllers", description="Run the controllers of a cluster.")
    add_options(parser)
    try:
        run(options_of(parser.parse_args(words)), ready.tell)
    except LeadershipLost as error:
        raise CommandError(f"leader election lost: {error}") from None
    except (UnknownController, ValueError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(explain(error)) from None


def run_scheduler(words: Sequence[str], ready: Ready) -> None:
    """Run the scheduler until told to stop. Raises CommandError when that is not possible."""
    from controllers.runtime.leader import LeadershipLost
    from controllers.scheduler.config import ConfigurationError
    from controllers.scheduler.main import add_options, options_of, run

    parser = argparse.ArgumentParser(prog="wherry scheduler", description="Run the scheduler of a cluster.")
    add_options(parser)
    try:
        run(options_of(parser.parse_args(words)), ready.tell)
    except LeadershipLost as error:
        raise CommandError(f"leader election lost: {error}") from None
    except (ConfigurationError, ValueError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(explain(error)) from None
