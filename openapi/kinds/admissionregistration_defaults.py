"""Defaults of webhooks and admission policies.

Follows: pkg/apis/admissionregistration/v1/defaults.go
"""

from __future__ import annotations

from openapi.kinds.row import Defaults

ADMISSION = "io.k8s.api.admissionregistration.v1."

_WEBHOOK = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}
_MATCH = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}

DEFAULTS: Defaults = {
    ADMISSION + "MatchResources": (_MATCH,),
    ADMISSION + "MutatingAdmissionPolicySpec": ({"failurePolicy": "Fail"},),
    ADMISSION + "MutatingWebhook": ({**_WEBHOOK, "reinvocationPolicy": "Never"},),
    ADMISSION + "NamedRuleWithOperations": ({"scope": "*"},),
    ADMISSION + "RuleWithOperations": ({"scope": "*"},),
    ADMISSION + "ServiceReference": ({"port": 443},),
    ADMISSION + "ValidatingAdmissionPolicySpec": ({"failurePolicy": "Fail"},),
    ADMISSION + "ValidatingWebhook": (_WEBHOOK,),
}
