"""`wherry up`: a whole cluster in the foreground, or in the background with `--detach`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cluster.components import Component, choose
from cluster.errors import CommandError, explain
from cluster.home import Home, Running, opened
from cluster.options import ClusterOptions, default_data_dir
from cluster.supervisor import Supervisor


def up(options: ClusterOptions, components: str, *, detach: bool) -> int:
    """Start the components and stay until a signal; with `detach` return as soon as they are ready."""
    chosen = [item for item in choose(components) if item.name != "nodeagent" or options.nodes]
    if all(item.name != "nodeagent" for item in chosen):
        options = replace(options, nodes=0)
    if detach:
        return _up_in_background(options, chosen)
    _up(options, chosen, _say_next)
    _say("Stopped.")
    return 0


def _up(options: ClusterOptions, components: Sequence[Component], on_ready: Callable[[Home, Running], None]) -> None:
    with opened(options.data_dir, ephemeral=options.ephemeral) as home:
        try:
            with home.held():
                where = "in memory" if home.ephemeral else f"in {home.path}"
                _say(f"Starting a Kubernetes cluster {where}")
                _supervise(options, home, components, on_ready)
        except OSError as error:
            raise CommandError(explain(error)) from None


def _supervise(
    options: ClusterOptions,
    home: Home,
    components: Sequence[Component],
    on_ready: Callable[[Home, Running], None],
) -> None:
    written: list[str] = []

    def ready(running: Running) -> None:
        written.append(running.kubeconfig)
        on_ready(home, running)

    try:
        with _prepared(options, home, components) as (settled, runtime):
            Supervisor(settled, home, components, _say, runtime=runtime).run(ready)
    finally:
        if home.ephemeral and options.kubeconfig is None:
            for path in written:
                Path(path).unlink(missing_ok=True)


@contextmanager
def _prepared(
    options: ClusterOptions, home: Home, components: Sequence[Component]
) -> Iterator[tuple[ClusterOptions, str]]:
    """The options with all decided that nodes depend on, and in words what runs their pods."""
    from cluster import node, pod_range, runtime

    if all(item.name != "nodeagent" for item in components):
        yield replace(options, runtime="simulated", cluster_cidr=options.cluster_cidr or pod_range.RANGES[0]), ""
        return
    node.remove_abandoned()
    settled, words = runtime.settle(options, home)
    _say(f"  {'runtime':<12} {words}")
    with pod_range.held(settled, home) as cluster_cidr:
        try:
            yield replace(settled, cluster_cidr=cluster_cidr), words
        finally:
            if home.ephemeral:
                node.remove_rest(home)


def _up_in_background(options: ClusterOptions, components: Sequence[Component]) -> int:
    """The cluster runs in a child with a session of its own; this process ends when that is ready or has failed."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        os._exit(_background(options, components, writing))
    os.close(writing)
    try:
        is_ready = bool(os.read(reading, 1))
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if is_ready:
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or 1


def _background(options: ClusterOptions, components: Sequence[Component], tell: int) -> int:
    def ready(home: Home, running: Running) -> None:
        _say_next(home, running)
        _say(f"\n{_down(home, running)} stops it.")
        log = home.open_log("wherry")
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, replacement in ((0, nothing), (1, log), (2, log)):
            os.dup2(replacement, descriptor)
        os.write(tell, b"1")
        os.close(tell)

    try:
        _up(options, components, ready)
    except CommandError as error:
        print(f"wherry: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _down(home: Home, running: Running) -> str:
    if home.ephemeral:
        return f"wherry down --kubeconfig {running.kubeconfig}"
    return "wherry down" if home.path == default_data_dir() else f"wherry down --data-dir {home.path}"


def _say_next(home: Home, running: Running) -> None:
    _say(f"The cluster is ready. Next, type:\n\n  export KUBECONFIG={running.kubeconfig}")


def _say(line: str) -> None:
    print(line, flush=True)
