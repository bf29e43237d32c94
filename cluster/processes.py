"""How processes of ours are started from others of ours, also from a checkout that is not installed."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(arguments: Sequence[str]) -> list[str]:
    """`-P`: a folder named like one of our packages where the user happens to be must not get in the way."""
    return [sys.executable, "-P", "-m", "cluster.main", *arguments]


def environment() -> dict[str, str]:
    """This process's environment; it finds our packages also where they run from a checkout."""
    environment = dict(os.environ)
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    if ROOT not in installed:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    return environment
