"""The in-tree admission plugins in Kubernetes' order: the one list."""

from __future__ import annotations

from apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
    MaySign,
)
from apiserver.admission.claim_admin_access import ResourceClaimAdminAccess
from apiserver.admission.claim_resize import PersistentVolumeClaimResize
from apiserver.admission.default_class import DefaultIngressClass, DefaultStorageClass
from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.in_use_protection import StorageObjectInUseProtection
from apiserver.admission.limit_ranger import LimitRanger
from apiserver.admission.lookup import Lookup
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.node_declared_features import NodeDeclaredFeatureValidator
from apiserver.admission.node_restriction import NodeRestriction
from apiserver.admission.plugin import Plugin
from apiserver.admission.pod_resize import PodResizeValidator
from apiserver.admission.pod_security import PodSecurity
from apiserver.admission.pod_topology_labels import PodTopologyLabels
from apiserver.admission.policies.matching import Matcher
from apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from apiserver.admission.policies.views import Versions
from apiserver.admission.policies.webhooks import Caller, MutatingWebhooks, ValidatingWebhooks
from apiserver.admission.priority import Priority
from apiserver.admission.resource_quota import ResourceQuota
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import ServiceAccount
from apiserver.admission.taint_nodes import TaintNodesByCondition
from apiserver.storage.store import Store
from openapi.catalog import Catalog


def admission_plugins(store: Store, catalog: Catalog, may_sign: MaySign, versions: Versions) -> tuple[Plugin, ...]:
    """All plugins, each given what it looks at. `may_sign` tells who has rights to certificate signers."""
    matcher, caller = Matcher(Lookup(store, catalog, "", "namespaces"), versions), Caller(store, catalog)
    return (
        NamespaceLifecycle(store, catalog),
        LimitRanger(store, catalog),
        ServiceAccount(store, catalog),
        NodeRestriction(store, catalog),
        TaintNodesByCondition(),
        PodSecurity(store, catalog),
        Priority(store, catalog),
        DefaultTolerationSeconds(),
        DefaultStorageClass(store, catalog),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(store, catalog),
        RuntimeClass(store, catalog),
        CertificateApproval(may_sign),
        CertificateSigning(may_sign),
        ClusterTrustBundleAttest(may_sign),
        CertificateSubjectRestriction(),
        DefaultIngressClass(store, catalog),
        PodTopologyLabels(store, catalog),
        NodeDeclaredFeatureValidator(store, catalog),
        PodResizeValidator(store, catalog),
        ResourceClaimAdminAccess(store, catalog),
        MutatingAdmissionPolicy(store, catalog, matcher, versions),
        MutatingWebhooks(store, catalog, matcher, caller, versions),
        ValidatingAdmissionPolicy(store, catalog, matcher, versions),
        ValidatingWebhooks(store, catalog, matcher, caller, versions),
        ResourceQuota(store, catalog),
    )
