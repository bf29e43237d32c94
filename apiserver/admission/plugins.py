"""The in-tree admission plugins in Kubernetes' order: the one list."""

from __future__ import annotations

from apiserver.admission.claim_resize import PersistentVolumeClaimResize
from apiserver.admission.default_class import DefaultIngressClass, DefaultStorageClass
from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.in_use_protection import StorageObjectInUseProtection
from apiserver.admission.limit_ranger import LimitRanger
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.plugin import Plugin
from apiserver.admission.pod_resize import PodResizeValidator
from apiserver.admission.pod_topology_labels import PodTopologyLabels
from apiserver.admission.priority import Priority
from apiserver.admission.resource_quota import ResourceQuota
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import ServiceAccount
from apiserver.admission.taint_nodes import TaintNodesByCondition
from apiserver.storage.store import Store
from openapi.catalog import Catalog


def admission_plugins(store: Store, catalog: Catalog) -> tuple[Plugin, ...]:
    """All plugins, each given what it looks at."""
    return (
        NamespaceLifecycle(store, catalog),
        LimitRanger(store, catalog),
        ServiceAccount(store, catalog),
        TaintNodesByCondition(),
        Priority(store, catalog),
        DefaultTolerationSeconds(),
        DefaultStorageClass(store, catalog),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(store, catalog),
        RuntimeClass(store, catalog),
        DefaultIngressClass(store, catalog),
        PodTopologyLabels(store, catalog),
        PodResizeValidator(store, catalog),
        ResourceQuota(store, catalog),
    )
