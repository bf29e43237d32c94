"""Starts the components of a cluster as processes of their own, waits, and stops them in reverse order.

Guarantees: nothing started here outlives this process, however it ends. A component that cannot start ends the
cluster; one that ends by itself later is started again after a pause, longer each time, and its name and last words
are told. Only an API server that kept its objects in memory ends the cluster: they are gone with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from cluster.components import Component
from cluster.errors import CommandError
from cluster.home import Home, Running
from cluster.options import ClusterOptions
from cluster.processes import command, environment

START_TIMEOUT_S = 60.0
LAST_WORDS = 15
"""Lines of a component's log that are shown when it ends by itself."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 120.0
"""A component that has run for so long is started again after the first pause."""

Facts = dict[str, Any]


class Interrupted(Exception):
    """A signal asked to stop."""


@dataclass(slots=True)
class Child:
    """A started component; `facts` is what it said when it was ready, `due` when it is to be started again."""

    component: Component
    process: subprocess.Popen[bytes]
    ready: int
    facts: Facts
    since: float
    due: float | None = None
    pause_s: float = FIRST_PAUSE_S
    restarts: int = 0


class Supervisor:
    """Runs `components` in `home` until a signal. `say` prints progress for whoever waits.

    `runtime` says in words what runs pods.
    """

    def __init__(
        self,
        options: ClusterOptions,
        home: Home,
        components: Sequence[Component],
        say: Callable[[str], None],
        *,
        runtime: str = "",
    ) -> None:
        self._options = options
        self._home = home
        self._components = components
        self._say = say
        self._runtime = runtime
        self._children: list[Child] = []
        self._certificates: subprocess.Popen[bytes] | None = None
        self._started = time.monotonic()

    def run(self, on_ready: Callable[[Running], None]) -> None:
        """Raises CommandError when a component cannot start, or ends and takes the objects with it. Returns when a
        signal says stop."""
        with _signals() as wakeup:
            try:
                self._start(wakeup)
                on_ready(self._announce())
                self._wait(wakeup)
            except Interrupted:
                self._say("Stopping.")
            finally:
                self._stop(wakeup)

    # -- start -------------------------------------------------------------------------------------------------

    def _start(self, wakeup: int) -> None:
        self._certificates = self._make_certificates()
        first, *others = [self._spawn(component) for component in self._components]
        self._prepare(wakeup)
        self._follow(first, wakeup)
        # Started again it must be where the others look for it.
        self._options = replace(self._options, port=first.facts["port"])
        for child in others:
            self._give_kubeconfig(child.component)
            _let_begin(child)
        for child in others:
            self._follow(child, wakeup)

    def _prepare(self, wakeup: int) -> None:
        """Do what components need done beforehand, while the API server starts. If there are no certificates, that will
        tell why.
        """
        assert self._certificates is not None
        while self._certificates.poll() is None:
            select.select([wakeup], [], [], 0.05)
            _raise_if_told_to_stop(wakeup)
        if self._certificates.returncode == 0:
            for component in self._components:
                component.prepare(self._options, self._home)

    def _follow(self, child: Child, wakeup: int) -> None:
        child.facts = self._until_ready(child, wakeup)
        self._say(f"  {child.component.name:<12} {child.facts.get('server', 'ready')}  ({self._elapsed():.1f} s)")

    def _announce(self) -> Running:
        first = self._children[0].facts
        running = Running(
            pid=os.getpid(),
            server=first["server"],
            kubeconfig=first["kubeconfig"],
            started=time.time(),
            components={child.component.name: child.process.pid for child in self._children},
            restarts={child.component.name: child.restarts for child in self._children if child.restarts},
            runtime=self._runtime,
        )
        self._home.announce(running)
        return running

    def _make_certificates(self) -> subprocess.Popen[bytes]:
        """Beside the API server's start, which takes as long. Should this fail, the API server itself tells why."""
        return subprocess.Popen(
            command(["certificates", *self._components[0].command(self._options, self._home)[1:]]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )

    def _spawn(self, component: Component) -> Child:
        process, ready = self._launch(component)
        child = Child(component, process, ready, {}, time.monotonic())
        self._children.append(child)
        return child

    def _launch(self, component: Component) -> tuple[subprocess.Popen[bytes], int]:
        """The process and the descriptor on which it says that it is ready. It has a session of its own, so that Ctrl-C
        reaches only the supervisor, which stops all in order.
        """
        reading, writing = os.pipe()
        log = self._home.open_log(component.name)
        try:
            process = subprocess.Popen(
                command([*component.command(self._options, self._home), "--ready-fd", str(writing)]),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                env=environment(),
                start_new_session=True,
            )
        finally:
            os.close(writing)
            os.close(log)
        return process, reading

    def _until_ready(self, child: Child, wakeup: int) -> Facts:
        """What the component says of itself. Raises CommandError when it says why it cannot, or says nothing."""
        deadline = time.monotonic() + START_TIMEOUT_S
        said = b""
        while not said.endswith(b"\n"):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise CommandError(f"{child.component.name} was not ready after {START_TIMEOUT_S:.0f} s")
            readable, _, _ = select.select([child.ready, wakeup], [], [], remaining)
            if wakeup in readable:
                _raise_if_told_to_stop(wakeup)
            if child.ready in readable:
                part = os.read(child.ready, 4096)
                if not part:
                    raise CommandError(f"{_epitaph(child)}; everything else is stopped{self._last_words(child)}")
                said += part
        facts: Facts = json.loads(said)
        if "error" in facts:
            raise CommandError(facts["error"])
        return facts

    def _give_kubeconfig(self, component: Component) -> None:
        from cluster import kubeconfig
        from cluster.files import KeyPair

        name, pki = component.identity, self._home.pki
        pair = KeyPair(pki / f"{name}.crt", pki / f"{name}.key")
        config = kubeconfig.build(
            self._children[0].facts["server"], (pki / "ca.crt").read_bytes(), pair, user=component.name
        )
        kubeconfig.write(self._home.component_kubeconfig(component.name), config)

    # -- life and end ------------------------------------------------------------------------------------------

    def _wait(self, wakeup: int) -> None:
        while True:
            due = [child.due for child in self._children if child.due is not None]
            select.select([wakeup], [], [], max(0.0, min(due) - time.monotonic()) if due else None)
            _raise_if_told_to_stop(wakeup)
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        """Start a component again that has ended, after its pause."""
        now = time.monotonic()
        if child.due is None and child.process.poll() is not None:
            if child is self._children[0] and self._keeps_objects_in_memory():
                raise CommandError(f"{_epitaph(child)}; everything else is stopped{self._last_words(child)}")
            if now - child.since > STEADY_S:
                child.pause_s = FIRST_PAUSE_S
            self._say(f"{_epitaph(child)}; it is started again in {child.pause_s:g} s{self._last_words(child)}")
            child.due, child.pause_s = now + child.pause_s, min(2 * child.pause_s, LONGEST_PAUSE_S)
        elif child.due is not None and now >= child.due:
            os.close(child.ready)
            child.process, child.ready = self._launch(child.component)
            _let_begin(child)
            child.since, child.due, child.restarts = now, None, child.restarts + 1
            self._announce()

    def _keeps_objects_in_memory(self) -> bool:
        return self._home.database is None and not self._options.etcd_servers

    def _last_words(self, child: Child) -> str:
        lines = self._home.log(child.component.name).read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return "".join(f"\n  {line}" for line in lines)

    def _stop(self, wakeup: int) -> None:
        """Last started, first stopped. A second signal, or a component that takes too long, means SIGKILL."""
        for child in reversed(self._children):
            child.process.terminate()
            deadline = time.monotonic() + child.component.stop_s
            while child.process.poll() is None:
                readable, _, _ = select.select([wakeup], [], [], 0.02)
                is_late = time.monotonic() > deadline
                if is_late or (readable and _told_to_stop(wakeup)):
                    child.process.kill()
                    child.process.wait()
            os.close(child.ready)
        if self._certificates is not None:
            self._certificates.wait()

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def _let_begin(child: Child) -> None:
    """See `cluster.readiness`. That it has ended meanwhile shows elsewhere."""
    assert child.process.stdin is not None
    with suppress(BrokenPipeError):
        child.process.stdin.write(b"\n")
        child.process.stdin.flush()


def _epitaph(child: Child) -> str:
    code = child.process.wait()
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"{child.component.name} ended {how}"


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor on which the numbers of arriving signals can be read: those to stop, and SIGCHLD."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    before_wakeup = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before_wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _told_to_stop(wakeup: int) -> bool:
    try:
        arrived = os.read(wakeup, 256)
    except BlockingIOError:
        return False
    return any(number != signal.SIGCHLD for number in arrived)


def _raise_if_told_to_stop(wakeup: int) -> None:
    if _told_to_stop(wakeup):
        raise Interrupted
