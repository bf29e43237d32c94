"""The components of a cluster: one row each, in the order in which they start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.errors import CommandError
from cluster.home import Home
from cluster.options import ClusterOptions, apiserver_arguments


@dataclass(frozen=True, slots=True)
class Component:
    """A process of its own, started as `wherry <command>` and ready once it says so on its `--ready-fd`.

    `identity` names the client certificate of its kubeconfig (a key of `cluster.pki.CLIENTS`); empty for the API
    server, which the others need and which therefore starts before them.
    """

    name: str
    command: Callable[[ClusterOptions, Home], list[str]]
    identity: str = ""


COMPONENTS: tuple[Component, ...] = (
    Component("apiserver", lambda options, home: apiserver_arguments(options, home.path)),
)


def choose(names: str) -> Sequence[Component]:
    """The components of a comma-separated list, in starting order; all of them for an empty one."""
    if not names:
        return COMPONENTS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [component.name for component in COMPONENTS]
    for name in wanted:
        if name not in known:
            raise CommandError(f"--components {name}: no such component (there are: {', '.join(known)})")
    if "apiserver" not in wanted:
        raise CommandError("--components: the others need apiserver")
    return [component for component in COMPONENTS if component.name in wanted]
