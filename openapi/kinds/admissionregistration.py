"""admissionregistration.k8s.io: webhooks and policies that admit requests."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EXTENSIONS, ApiGroup

ADMISSIONREGISTRATION = ApiGroup("admissionregistration.k8s.io", "v1", "io.k8s.api.admissionregistration.v1")

RESOURCES: tuple[Resource, ...] = (
    ADMISSIONREGISTRATION.row(
        "mutatingadmissionpolicies", "MutatingAdmissionPolicy",
        namespaced=False,
        categories=EXTENSIONS,
    ),
    ADMISSIONREGISTRATION.row(
        "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding",
        namespaced=False,
        categories=EXTENSIONS,
    ),
    ADMISSIONREGISTRATION.row(
        "mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
        namespaced=False,
        categories=EXTENSIONS,
    ),
    ADMISSIONREGISTRATION.row(
        "validatingadmissionpolicies", "ValidatingAdmissionPolicy",
        namespaced=False,
        categories=EXTENSIONS,
        status=True,
    ),
    ADMISSIONREGISTRATION.row(
        "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding",
        namespaced=False,
        categories=EXTENSIONS,
    ),
    ADMISSIONREGISTRATION.row(
        "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
        namespaced=False,
        categories=EXTENSIONS,
    ),
)
