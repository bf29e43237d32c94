"""`wherry down`, `status` and `kubeconfig`: a look at, and an end to, clusters that other processes run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cluster.errors import CommandError, explain
from cluster.home import Home, Running, ephemeral_homes

STOP_TIMEOUT_S = 90.0
PROBE_TIMEOUT_S = 2.0


def find(data_dir: Path, kubeconfig: Path | None) -> Home:
    """The home that is meant: that of `data_dir`, or that of the running cluster whose kubeconfig is `kubeconfig`.

    Only one is ever meant: other clusters of the same user may be in other people's or programs' use.
    Raises CommandError when no cluster that runs has that kubeconfig.
    """
    if kubeconfig is None:
        return Home(data_dir)
    for home in (Home(data_dir), *ephemeral_homes()):
        running = home.running()
        if running is not None and Path(running.kubeconfig) == kubeconfig:
            return home
    raise CommandError(f"no cluster that runs has the kubeconfig {kubeconfig}")


def down(home: Home) -> int:
    """Stop the cluster of `home`; that there is none is no failure."""
    if not _stop(home):
        print(f"Nothing runs in {home.path}.")
    return 0


def status(home: Home) -> int:
    """Show the cluster of `home`; 0 only if it is ready."""
    if home.holder() is None:
        print(f"Nothing runs in {home.path}.")
        return 1
    return 0 if _show(home) else 1


def print_kubeconfig(data_dir: Path, *, merge: bool) -> int:
    """Print the admin's kubeconfig, or merge it into the user's own."""
    from cluster import kubeconfig

    path = _kubeconfig(Home(data_dir))
    try:
        if not merge:
            print(path.read_text(), end="")
            return 0
        target = user_kubeconfig()
        ours = kubeconfig.load(path)
        kubeconfig.merge_into(target, ours)
    except OSError as error:
        raise CommandError(explain(error)) from None
    except ValueError as error:
        raise CommandError(str(error)) from None
    print(f'{target} now has the context "{ours["current-context"]}", and it is the current one.')
    return 0


def user_kubeconfig() -> Path:
    """The file kubectl writes to: the first of $KUBECONFIG, else `~/.kube/config`."""
    listed = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(listed[0]) if listed else Path.home() / ".kube" / "config"


def _kubeconfig(home: Home) -> Path:
    running = home.running()
    path = Path(running.kubeconfig) if running is not None else home.admin_kubeconfig
    if not path.exists():
        raise CommandError(f"there is no cluster in {home.path} yet (`wherry up` makes one)")
    return path


def _stop(home: Home) -> bool:
    pid = home.holder()
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise CommandError(f"no permission to stop process {pid}, which runs {home.path}") from None
    except ProcessLookupError:
        return False
    if not home.wait_until_free(STOP_TIMEOUT_S):
        raise CommandError(f"process {pid} has not stopped after {STOP_TIMEOUT_S:.0f} s")
    print(f"Stopped the cluster in {'memory' if home.ephemeral else home.path}.")
    return True


def _show(home: Home) -> bool:
    running = home.running()
    place = "in memory" if home.ephemeral else str(home.path)
    if running is None:
        print(f"cluster     {place}, starting")
        return False
    is_ready = _is_ready(running)
    print(f"cluster     {place}, {'ready' if is_ready else 'not ready'}, up {_age(time.time() - running.started)}")
    print(f"server      {running.server}")
    print(f"kubeconfig  {running.kubeconfig}")
    if running.runtime:
        print(f"runtime     {running.runtime}")
    for name, pid in running.components.items():
        restarts = running.restarts.get(name, 0)
        again = f", started again {restarts} time{'s' if restarts > 1 else ''}" if restarts else ""
        print(f"{name:<11} pid {pid}{again}")
    return is_ready


def _is_ready(running: Running) -> bool:
    """What /readyz says, which everybody may ask."""
    import ssl
    import urllib.error
    import urllib.request

    from cluster import kubeconfig

    try:
        ca = kubeconfig.read(running.kubeconfig).ca_pem.decode()
        context = ssl.create_default_context(cadata=ca)
        handler = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
        with opener.open(f"{running.server}/readyz", timeout=PROBE_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
