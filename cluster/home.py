"""A cluster's directory: its layout, who runs in it, and private ones in memory for clusters that keep nothing.

A running supervisor holds the lock of its home; whoever finds the lock free knows that nothing runs there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cluster.errors import CommandError, explain
from cluster.files import write_private

MEMORY = Path("/dev/shm")
YOUNG_S = 60.0
"""A home may be without a holder for so long after it was made: its supervisor is about to take it."""
LOG_LIMIT_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Running:
    """What a running cluster tells about itself; `components` are process ids by name, `restarts` how often one of them
    has ended by itself and was started again. `runtime` says to people what runs pods.
    """

    pid: int
    server: str
    kubeconfig: str
    started: float
    components: Mapping[str, int] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    runtime: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """`path` is on disk, or in memory where the cluster is ephemeral."""

    path: Path
    ephemeral: bool = False

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def database(self) -> Path | None:
        return None if self.ephemeral else self.path / "state.db"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.path / "admin.kubeconfig"

    def component_kubeconfig(self, component: str) -> Path:
        return self.path / f"{component}.kubeconfig"

    def open_log(self, component: str) -> int:
        """A descriptor of the component's log, to append to; one that has grown large is put aside first."""
        path = self.log(component)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def log(self, component: str) -> Path:
        return self.path / "logs" / f"{component}.log"

    def running(self) -> Running | None:
        """The cluster that runs here, if its supervisor is alive and it has started."""
        if self.holder() is None:
            return None
        try:
            found: dict[str, Any] = json.loads((self.path / "running.json").read_bytes())
        except FileNotFoundError:
            return None
        # Another version's cluster may tell more.
        return Running(**{known.name: found[known.name] for known in fields(Running) if known.name in found})

    def announce(self, running: Running) -> None:
        write_private(self.path / "running.json", json.dumps(asdict(running)).encode())

    def holder(self) -> int | None:
        """The process id of the supervisor that holds this home; None when it is free."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 32) or b"0")
        finally:
            os.close(descriptor)
        return None

    def wait_until_free(self, timeout_s: float) -> bool:
        """Wait for the supervisor to end; False when it has not by then."""
        deadline = time.monotonic() + timeout_s
        while self.holder() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold this home while a cluster runs in it. Raises CommandError when another one does."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _take(descriptor):
                pid = os.read(descriptor, 32).decode() or "unknown"
                raise CommandError(f"{self.path} is in use by another process (pid {pid}; `wherry down` stops it)")
            os.truncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
            (self.path / "running.json").unlink(missing_ok=True)
        finally:
            os.close(descriptor)


@contextmanager
def opened(data_dir: Path, *, ephemeral: bool) -> Iterator[Home]:
    """The home of a cluster, made where it is missing. An ephemeral one is gone afterwards."""
    if not ephemeral:
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(data_dir, os.W_OK | os.X_OK):
                raise CommandError(f"no permission to write to {data_dir} (--data-dir names another place)")
        except OSError as error:
            raise CommandError(f"cannot use the data directory {explain(error)}") from None
        yield Home(data_dir)
        return
    remove_abandoned_homes()
    path = Path(tempfile.mkdtemp(prefix=home_prefix(), dir=_memory()))
    try:
        yield Home(path, ephemeral=True)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def ephemeral_homes() -> list[Home]:
    """The homes of this user's ephemeral clusters, running or abandoned."""
    paths = _memory().glob(f"{home_prefix()}*")
    found = [path for path in paths if path.is_dir() and path.stat().st_uid == os.getuid()]
    return [Home(path, ephemeral=True) for path in sorted(found)]


def remove_abandoned_homes() -> None:
    """Remove what clusters left in memory whose supervisor was killed."""
    for home in ephemeral_homes():
        is_old = time.time() - home.path.stat().st_mtime > YOUNG_S
        if is_old and home.holder() is None:
            shutil.rmtree(home.path, ignore_errors=True)


def _take(descriptor: int) -> bool:
    """Lock, trying for a moment: whoever only asks for the holder has the lock for an instant."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02)
    return False


def _memory() -> Path:
    return MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def home_prefix() -> str:
    """How the names of this user's ephemeral homes begin."""
    return f"wherry-{os.getuid()}-"
