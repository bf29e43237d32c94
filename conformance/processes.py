"""Parts of a cluster as processes of their own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from conformance.wire import Wire

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
T = TypeVar("T")


class Process:
    """One `wherry` command. What it prints goes to a file in `home`."""

    def __init__(self, home: Path, name: str, *arguments: str) -> None:
        self._log = home / f"{name}.log"
        self._command = [sys.executable, "-m", "cluster.main", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            if self.runs:
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def end(self, timeout_s: float = 90.0) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout_s)
            self._process = None

    def freeze(self) -> None:
        """It neither does nor answers anything more; its connections stay open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def assert_runs(self) -> None:
        assert self.runs, self._log.read_text()[-2000:]


class ApiServer(Process):
    """An API server alone, on one port, over a data directory that outlives it."""

    def __init__(self, home: Path) -> None:
        self.kubeconfig = home / "kubeconfig"
        self._port = free_port()
        super().__init__(
            home, "apiserver", "apiserver", "--port", str(self._port),
            "--data-dir", str(home / "data"), "--kubeconfig", str(self.kubeconfig),
        )  # fmt: skip

    def start_and_wait(self) -> Wire:
        self.start()

        def answers() -> bool:
            self.assert_runs()
            try:
                return Wire.of(self.kubeconfig).request("GET", "/readyz").status == 200
            except OSError:
                return False

        eventually(answers, START_TIMEOUT_S)
        return Wire.of(self.kubeconfig)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def eventually(holds: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Wait until `holds()` is true; what it then is."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s"
        time.sleep(0.05)
    return found
