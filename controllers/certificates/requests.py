"""Which certificates may be asked for: the rules of the built-in signers.

Follows: pkg/apis/certificates/helpers.go, pkg/controller/certificates/{signer/signer.go,approver/sarapprove.go}
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from cryptography import x509
from cryptography.x509.oid import NameOID

from controllers.runtime.objects import View

API_CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = frozenset({API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})

_NODES, _NODE_PREFIX = "system:nodes", "system:node:"
_KEY_USAGES = frozenset({"digital signature", "key encipherment"})


class Unreadable(ValueError):
    """What is asked for cannot be read."""


def parse(request: View) -> x509.CertificateSigningRequest:
    """The certificate request of a CertificateSigningRequest. Raises Unreadable."""
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    except (ValueError, binascii.Error) as error:
        raise Unreadable(str(error)) from error
    if not parsed.is_signature_valid:
        raise Unreadable("the request is not signed by its own key")
    return parsed


def condition(request: View, kind: str) -> View | None:
    """The condition of that type, if it holds."""
    for found in (request.get("status") or {}).get("conditions") or ():
        if found["type"] == kind and found.get("status", "True") in ("True", ""):
            return found  # type: ignore[no-any-return]
    return None


def is_issued(request: View) -> bool:
    return bool((request.get("status") or {}).get("certificate"))


def refusal(request: View, parsed: x509.CertificateSigningRequest) -> str:
    """Why the request's signer does not sign it; '' if it does."""
    signer, usages = request["spec"]["signerName"], request["spec"].get("usages") or ()
    if signer == API_CLIENT:
        return _client_refusal(usages)
    if signer == KUBELET_CLIENT:
        return kubelet_client_refusal(parsed, usages)
    if signer == KUBELET_SERVING:
        return _kubelet_serving_refusal(parsed, usages)
    return ""


def _client_refusal(usages: Collection[str]) -> str:
    for usage in usages:
        if usage != "client auth" and usage not in _KEY_USAGES:
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def kubelet_client_refusal(parsed: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    """Why it is no request for a kubelet's client certificate; '' if it is one."""
    if _names(parsed, NameOID.ORGANIZATION_NAME) != [_NODES]:
        return "subject organization is not system:nodes"
    for kind, text in _NAME_KINDS:
        if _alternatives(parsed, kind):
            return f"{text} subjectAltNames are not allowed"
    if not common_name(parsed).startswith(_NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _usages_refusal(usages, "client auth")


def _kubelet_serving_refusal(parsed: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    if _names(parsed, NameOID.ORGANIZATION_NAME) != [_NODES]:
        return "subject organization is not system:nodes"
    if not _alternatives(parsed, x509.DNSName) and not _alternatives(parsed, x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    for kind, text in ((x509.RFC822Name, "Email"), (x509.UniformResourceIdentifier, "URI")):
        if _alternatives(parsed, kind):
            return f"{text} subjectAltNames are not allowed"
    refused = _usages_refusal(usages, "server auth")
    if refused or common_name(parsed).startswith(_NODE_PREFIX):
        return refused
    return "subject common name does not begin with system:node:"


def _usages_refusal(usages: Collection[str], purpose: str) -> str:
    """Keys that are not RSA need no encipherment."""
    required = _KEY_USAGES | {purpose}
    if set(usages) in (required, required - {"key encipherment"}):
        return ""
    return f"usages did not match [{' '.join(sorted(required))}]"


_NAME_KINDS: tuple[tuple[type[x509.GeneralName], str], ...] = (
    (x509.DNSName, "DNS"),
    (x509.RFC822Name, "Email"),
    (x509.IPAddress, "IP"),
    (x509.UniformResourceIdentifier, "URI"),
)


def common_name(parsed: x509.CertificateSigningRequest) -> str:
    names = _names(parsed, NameOID.COMMON_NAME)
    return names[-1] if names else ""


def _names(parsed: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in parsed.subject.get_attributes_for_oid(oid)]


def alternatives(parsed: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The other names that are asked for, of the kinds that certificates here may have."""
    return [name for kind, _ in _NAME_KINDS for name in _alternatives(parsed, kind)]


def _alternatives(parsed: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> list[x509.GeneralName]:
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name for name in extension.value if isinstance(name, kind)]
