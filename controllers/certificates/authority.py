"""The CA that signs: from an approved request to a certificate.

Follows: pkg/controller/certificates/authority/{authority,policies}.go
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from controllers.certificates.requests import alternatives

LONGEST = timedelta(days=365)
SHORTEST = timedelta(minutes=10)
BACKDATE = timedelta(minutes=5)
SHORT = timedelta(hours=8)
"""Certificates that live no longer than this get their whole time from now on, in spite of the backdating."""

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}
_NO_USAGE = {name: False for name in sorted(set(_KEY_USAGES.values()))}

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def lifetime(seconds: int | None) -> timedelta:
    """How long a certificate lives whose request asks for so many seconds, or does not ask."""
    if seconds is None:
        return LONGEST
    return min(max(timedelta(seconds=seconds), SHORTEST), LONGEST)


def validity(now: datetime, wanted: timedelta, latest: datetime) -> tuple[datetime, datetime]:
    """From when until when; not longer than the CA itself, which ends at `latest`."""
    start = now - BACKDATE
    end = now + wanted if wanted <= SHORT else start + wanted
    return start, min(end, latest)


class Authority:
    """The CA in a pair of files, read anew when they change."""

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self._files = cert_file, key_file
        self._read_at: tuple[int, int] | None = None
        self._certificate: x509.Certificate
        self._key: _Key
        self._refresh()

    def sign(
        self, request: x509.CertificateSigningRequest, usages: Collection[str], wanted: timedelta, now: datetime
    ) -> bytes:
        """The certificate in PEM. Raises OSError and ValueError when the CA's files are no longer usable."""
        self._refresh()
        start, end = validity(now, wanted, self._certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._authority_key(), critical=False)
        )
        builder = _with_usages(builder, usages)
        names = alternatives(request)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        algorithm = None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self._key, algorithm).public_bytes(serialization.Encoding.PEM)

    def _refresh(self) -> None:
        cert_file, key_file = self._files
        changed = cert_file.stat().st_mtime_ns, key_file.stat().st_mtime_ns
        if changed == self._read_at:
            return
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, _Key):
            raise ValueError(f"{key_file}: not a key that can sign certificates")
        self._certificate, self._key, self._read_at = certificate, key, changed

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        try:
            known = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)


def _with_usages(builder: x509.CertificateBuilder, usages: Collection[str]) -> x509.CertificateBuilder:
    key_usages = {_KEY_USAGES[usage]: True for usage in usages if usage in _KEY_USAGES}
    if key_usages:
        if not key_usages.get("key_agreement"):
            # The two words after it mean something for a key agreement only.
            for usage in ("encipher_only", "decipher_only"):
                key_usages.pop(usage, None)
        builder = builder.add_extension(x509.KeyUsage(**{**_NO_USAGE, **key_usages}), critical=True)
    extended = list(dict.fromkeys(_EXTENDED_USAGES[usage] for usage in sorted(usages) if usage in _EXTENDED_USAGES))
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder
