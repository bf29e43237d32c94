"""Client certificates: the common name is the user, the organizations are the groups.

TLS has verified the certificate against the client CA before it gets here; only its end is checked again, because a
connection may outlive it.
Follows: staging/src/k8s.io/apiserver/pkg/authentication/request/x509/x509.go
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.resources.strategy import User

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
UID_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""The subject attribute that carries a user's uid."""


class CertificateUser(NamedTuple):
    """Whom a certificate stands for until `expires` (seconds since the epoch); nobody without a common name."""

    user: User | None
    expires: float


def read_certificate(der: bytes) -> CertificateUser:
    """Who presents the certificate `der`. Raises ValueError where it cannot stand for anyone."""
    certificate = x509.load_der_x509_certificate(der)
    expires = certificate.not_valid_after_utc.timestamp()
    subject = certificate.subject
    names = _values(subject, NameOID.COMMON_NAME)
    if not names or not names[-1]:
        return CertificateUser(None, expires)
    user = User(
        name=names[-1],
        uid=_uid(subject),
        groups=tuple(_values(subject, NameOID.ORGANIZATION_NAME)),
        extra={CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)},
    )
    return CertificateUser(user, expires)


def _uid(subject: x509.Name) -> str:
    values = _values(subject, UID_OID)
    if len(values) > 1:
        raise ValueError(f"expected 1 UID, but found multiple: {values}")
    if values and not values[0]:
        raise ValueError("UID cannot be an empty string")
    return values[0] if values else ""


def _values(subject: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)]
