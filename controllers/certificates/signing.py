"""Signs approved requests of the built-in signers, or says in the request why not.

Follows: pkg/controller/certificates/signer/signer.go
"""

from __future__ import annotations

import base64
from typing import ClassVar

from controllers.certificates.authority import Authority, lifetime
from controllers.certificates.requests import SIGNERS, condition, is_issued, parse, refusal
from controllers.options import Options
from controllers.runtime.controller import Controller, For, Requeue, Runtime
from controllers.runtime.kinds import CERTIFICATE_SIGNING_REQUESTS
from controllers.runtime.objects import Key, View
from openapi.meta.times import format_time


def _is_ours(request: View) -> bool:
    if request["spec"]["signerName"] not in SIGNERS or is_issued(request):
        return False
    approved = condition(request, "Approved") is not None and condition(request, "Denied") is None
    return approved and condition(request, "Failed") is None


class SigningController(Controller):
    name = "certificatesigningrequest-signing-controller"
    account = "certificate-controller"
    watches: ClassVar = (For(CERTIFICATE_SIGNING_REQUESTS, when=lambda change: _is_ours(change.obj)),)

    def __init__(self, runtime: Runtime, authority: Authority) -> None:
        super().__init__(runtime)
        self._authority = authority

    async def reconcile(self, key: Key) -> Requeue | None:
        request = self.store(CERTIFICATE_SIGNING_REQUESTS).get(*key)
        if request is None or not _is_ours(request):
            return None
        parsed, spec = parse(request), request["spec"]
        status = dict(request.get("status") or {})
        refused = refusal(request, parsed)
        if refused:
            status["conditions"] = [*(status.get("conditions") or ()), self._failure(refused)]
        else:
            wanted = lifetime(spec.get("expirationSeconds"))
            certificate = self._authority.sign(parsed, spec.get("usages") or (), wanted, self.clock())
            status["certificate"] = base64.b64encode(certificate).decode()
        await self.client.update(CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, "status")
        return None

    def _failure(self, message: str) -> dict[str, str]:
        now = format_time(self.clock())
        return {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }


def signing(runtime: Runtime, options: Options) -> SigningController | None:
    """The controller, if there is a CA to sign with."""
    cert_file, key_file = options.cluster_signing_cert_file, options.cluster_signing_key_file
    if cert_file is None or key_file is None:
        return None
    return SigningController(runtime, Authority(cert_file, key_file))
