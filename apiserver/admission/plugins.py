"""The in-tree admission plugins in Kubernetes' order: the one list."""

from __future__ import annotations

from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.plugin import Plugin
from apiserver.admission.priority import Priority
from apiserver.admission.service_account import ServiceAccount
from apiserver.storage.store import Store
from openapi.catalog import Catalog


def admission_plugins(store: Store, catalog: Catalog) -> tuple[Plugin, ...]:
    """All plugins, each given what it looks at."""
    return (
        NamespaceLifecycle(store, catalog),
        ServiceAccount(store, catalog),
        Priority(store, catalog),
        DefaultTolerationSeconds(),
    )
