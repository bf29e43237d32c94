"""Where the pods behind a service listen, as its endpoint slices say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SERVICE_LABEL = "kubernetes.io/service-name"


def ready_addresses(slices: Iterable[Mapping[str, Any]], port_name: str) -> list[tuple[str, int]]:
    """Address and port of each ready endpoint that has a port of that name."""
    found: list[tuple[str, int]] = []
    for piece in slices:
        for known in piece.get("ports") or ():
            if known.get("name", "") != port_name or not known.get("port"):
                continue
            for each in piece.get("endpoints") or ():
                if (each.get("conditions") or {}).get("ready", True):
                    found.append((each["addresses"][0], known["port"]))
    return found
