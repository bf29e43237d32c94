"""Writes into the status of ValidatingAdmissionPolicies what a check of their expressions has found.

Follows: pkg/controller/validatingadmissionpolicystatus/controller.go
"""

from __future__ import annotations

from typing import ClassVar

from controllers.admission_policy.checking import Kinds, expression_warnings
from controllers.runtime.controller import Controller, For, Reads, Requeue
from controllers.runtime.errors import NotFound
from controllers.runtime.kinds import CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_ADMISSION_POLICIES
from controllers.runtime.objects import Key, Object, View

MANAGER = "validatingadmissionpolicy-status"


class AdmissionPolicyStatus(Controller):
    name = "validatingadmissionpolicy-status-controller"
    account = "validatingadmissionpolicy-status-controller"
    watches: ClassVar = (
        For(VALIDATING_ADMISSION_POLICIES, when=lambda change: change.type != "DELETED"),
        Reads(CUSTOM_RESOURCE_DEFINITIONS),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        policy = self.store(VALIDATING_ADMISSION_POLICIES).get(*key)
        if policy is None or _is_checked(policy):
            return None
        # The list is always there, if only to be empty: then the check is seen to have been made.
        kinds = Kinds(self.store(CUSTOM_RESOURCE_DEFINITIONS).all())
        checking: Object = {"expressionWarnings": expression_warnings(policy, kinds)}
        applied = {
            "apiVersion": VALIDATING_ADMISSION_POLICIES.api_version,
            "kind": VALIDATING_ADMISSION_POLICIES.kind,
            "metadata": {"name": key.name},
            "status": {"observedGeneration": policy["metadata"].get("generation", 0), "typeChecking": checking},
        }
        try:
            await self.client.apply(VALIDATING_ADMISSION_POLICIES, applied, manager=MANAGER, subresource="status")
        except NotFound:
            return None
        return None


def _is_checked(policy: View) -> bool:
    observed = (policy.get("status") or {}).get("observedGeneration", 0)
    return bool(policy["metadata"].get("generation", 0) <= observed)
