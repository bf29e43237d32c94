"""Who may approve and sign certificates, and attest trust bundles; and that nobody asks to be a master.

Rights are asked for the synthetic resource `signers`: for one signer by name, or for all of its domain as `domain/*`.
Follows: plugin/pkg/admission/certificates/{approval,signing,ctbattest,subjectrestriction}/admission.go, util.go
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.resources.certificates.pem import REQUEST_TYPE, pem_blocks
from apiserver.resources.strategy import User
from openapi.catalog import GroupResource
from openapi.meta.field import quote

Object = dict[str, Any]
MaySign = Callable[[User, str, str], bool]
"""Whether a user has the right to a verb (approve, sign, attest) on a signer, by its name or as `domain/*`."""

GROUP = "certificates.k8s.io"
REQUESTS = GroupResource(GROUP, "certificatesigningrequests")
BUNDLES = GroupResource(GROUP, "clustertrustbundles")
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


class _SignerPlugin(Plugin):
    def __init__(self, may: MaySign) -> None:
        self._may = may

    def _is_allowed(self, attributes: Attributes, verb: str, signer: str) -> bool:
        domain = signer.partition("/")[0]
        return self._may(attributes.user, verb, signer) or self._may(attributes.user, verb, f"{domain}/*")


class CertificateApproval(_SignerPlugin):
    name = "CertificateApproval"
    operations = frozenset((UPDATE,))
    resources = frozenset((REQUESTS,))
    subresources = frozenset(("approval",))

    async def validate(self, attributes: Attributes) -> None:
        signer = _signer(attributes.old)
        if not self._is_allowed(attributes, "approve", signer):
            raise forbidden(attributes, f"user not permitted to approve requests with signerName {quote(signer)}")


class CertificateSigning(_SignerPlugin):
    name = "CertificateSigning"
    operations = frozenset((UPDATE,))
    resources = frozenset((REQUESTS,))
    subresources = frozenset(("status",))

    async def validate(self, attributes: Attributes) -> None:
        new, old = (((obj or {}).get("status") or {}) for obj in (attributes.obj, attributes.old))
        if all(new.get(field) == old.get(field) for field in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old)
        if not self._is_allowed(attributes, "sign", signer):
            raise forbidden(attributes, f"user not permitted to sign requests with signerName {quote(signer)}")


class ClusterTrustBundleAttest(_SignerPlugin):
    name = "ClusterTrustBundleAttest"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((BUNDLES,))

    async def validate(self, attributes: Attributes) -> None:
        signer = _signer(attributes.obj)
        if not signer or (attributes.old is not None and _is_housekeeping(attributes)):
            return
        if not self._is_allowed(attributes, "attest", signer):
            raise forbidden(attributes, f"user not permitted to attest for signerName {quote(signer)}")


class CertificateSubjectRestriction(Plugin):
    """Client certificates of the group of masters are not asked for through the API."""

    name = "CertificateSubjectRestriction"
    operations = frozenset((CREATE,))
    resources = frozenset((REQUESTS,))

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        if _signer(attributes.obj) != CLIENT_SIGNER:
            return
        try:
            organizations, _ = request_subject(attributes.obj["spec"].get("request") or "")
        except ValueError as err:
            raise forbidden(attributes, f"failed to parse CSR: {err}") from err
        if MASTERS in organizations:
            raise forbidden(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


@lru_cache(maxsize=64)
def request_subject(request: str) -> tuple[tuple[str, ...], str]:
    """The organizations and the common name that a request (PEM in base64) is for. Raises ValueError."""
    try:
        block = next(pem_blocks(base64.b64decode(request)), None)
    except binascii.Error as err:
        raise ValueError(str(err)) from err
    if block is None or block.type != REQUEST_TYPE:
        raise ValueError(f"PEM block type must be {REQUEST_TYPE}")
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.load_der_x509_csr(block.data).subject
    organizations = tuple(str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    common = [str(a.value) for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return organizations, common[-1] if common else ""


def _signer(obj: Object | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName", ""))


def _is_housekeeping(attributes: Attributes) -> bool:
    """Whether an update changes nothing but owners and finalizers."""
    assert attributes.obj is not None and attributes.old is not None
    return _content(attributes.obj) == _content(attributes.old)


def _content(obj: Object) -> Object:
    left_out = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in left_out}}


__all__ = [
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "ClusterTrustBundleAttest",
    "MaySign",
    "request_subject",
]
