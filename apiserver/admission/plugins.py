"""The in-tree admission plugins in Kubernetes' order: the one list."""

from __future__ import annotations

from apiserver.admission.plugin import Plugin
from apiserver.storage.store import Store
from openapi.catalog import Catalog


def admission_plugins(store: Store, catalog: Catalog) -> tuple[Plugin, ...]:
    """All plugins, each given what it looks at."""
    return ()
