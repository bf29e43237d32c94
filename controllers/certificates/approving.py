"""Approves the client certificates of kubelets, if whoever asks is allowed to have them.

Follows: pkg/controller/certificates/approver/sarapprove.go
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from cryptography import x509

from controllers.certificates.requests import (
    KUBELET_CLIENT,
    common_name,
    condition,
    is_issued,
    kubelet_client_refusal,
    parse,
)
from controllers.runtime.controller import Controller, For, Requeue
from controllers.runtime.kinds import CERTIFICATE_SIGNING_REQUESTS, SUBJECT_ACCESS_REVIEWS
from controllers.runtime.objects import Key, Object, View
from openapi.meta.times import format_time

log = logging.getLogger(__name__)

_SELF = "Auto approving self kubelet client certificate after SubjectAccessReview."
_OTHER = "Auto approving kubelet client certificate after SubjectAccessReview."
_RETRY_S = 60.0


def permissions(request: View, parsed: x509.CertificateSigningRequest) -> list[tuple[str, str]]:
    """The subresources of which one must be allowed, each with the message of its approval; none: not our business."""
    spec = request["spec"]
    if spec["signerName"] != KUBELET_CLIENT or kubelet_client_refusal(parsed, spec.get("usages") or ()):
        return []
    own = [("selfnodeclient", _SELF)] if spec.get("username") == common_name(parsed) else []
    return [*own, ("nodeclient", _OTHER)]


def review_of(request: View, subresource: str) -> Object:
    """The question whether the requester may create that subresource of requests."""
    spec = request["spec"]
    attributes = {
        "group": "certificates.k8s.io",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": subresource,
        "version": "*",
    }
    wanted: dict[str, Any] = {"user": spec.get("username", ""), "resourceAttributes": attributes}
    wanted |= {field: spec[field] for field in ("uid", "groups", "extra") if spec.get(field)}
    return {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": wanted}


class ApprovingController(Controller):
    name = "certificatesigningrequest-approving-controller"
    account = "certificate-controller"
    watches: ClassVar = (
        For(CERTIFICATE_SIGNING_REQUESTS, when=lambda change: change.obj["spec"]["signerName"] == KUBELET_CLIENT),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        request = self.store(CERTIFICATE_SIGNING_REQUESTS).get(*key)
        if request is None or is_issued(request):
            return None
        if condition(request, "Approved") is not None or condition(request, "Denied") is not None:
            return None
        wanted = permissions(request, parse(request))
        for subresource, message in wanted:
            review = await self.client.create(SUBJECT_ACCESS_REVIEWS, review_of(request, subresource))
            if (review.get("status") or {}).get("allowed"):
                await self._approve(request, message)
                return None
        if wanted:
            log.info("kubelet's request not approved: its requester may not", extra={"key": str(key)})
        # Rights may be granted later, which no watch of ours tells.
        return Requeue(_RETRY_S) if wanted else None

    async def _approve(self, request: View, message: str) -> None:
        now = format_time(self.clock())
        approved = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = request.get("status") or {}
        status = {**status, "conditions": [*(status.get("conditions") or ()), approved]}
        await self.client.update(CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, "approval")
