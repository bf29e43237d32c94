"""The in-tree admission plugins in Kubernetes' order: the one list."""

from __future__ import annotations

from apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
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
from apiserver.admission.policies.evaluation import Allows
from apiserver.admission.policies.matching import Matcher
from apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from apiserver.admission.policies.tools import Tools
from apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from apiserver.admission.policies.views import Versions
from apiserver.admission.policies.webhooks import Caller, MutatingWebhooks, ValidatingWebhooks
from apiserver.admission.priority import Priority
from apiserver.admission.resource_quota import ResourceQuota
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import ServiceAccount
from apiserver.admission.taint_nodes import TaintNodesByCondition
from apiserver.resources.strategy import User
from apiserver.storage.store import Store
from openapi.catalog import Catalog


def admission_plugins(store: Store, catalog: Catalog, allows: Allows, versions: Versions) -> tuple[Plugin, ...]:
    """All plugins, each given what it looks at. `allows` tells what users may do."""
    matcher, caller = Matcher(Lookup(store, catalog, "", "namespaces"), versions), Caller(store, catalog)
    tools = Tools(matcher, versions, allows)

    def may_sign(user: User, verb: str, signer: str) -> bool:
        asked = {"group": "certificates.k8s.io", "resource": "signers", "name": signer, "verb": verb}
        return allows(user, asked)[0]

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
        MutatingAdmissionPolicy(store, catalog, tools),
        MutatingWebhooks(store, catalog, caller, tools),
        ValidatingAdmissionPolicy(store, catalog, tools),
        ValidatingWebhooks(store, catalog, caller, tools),
        ResourceQuota(store, catalog),
    )
