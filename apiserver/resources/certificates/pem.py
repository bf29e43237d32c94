"""PEM blocks of signing requests and certificates: whether they are what they should be.

The library is loaded at first use: a server that never signs anything starts without it.
Follows: pkg/apis/certificates/validation/validation.go, staging/src/k8s.io/api/certificates helpers
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from apiserver.resources.certificates.asn1 import structure_problem

REQUEST_TYPE = "CERTIFICATE REQUEST"
CERTIFICATE_TYPE = "CERTIFICATE"
_REQUEST_STRUCTS = ("certificateRequest", "tbsCertificateRequest")

_blocks = re.compile(rb"-----BEGIN ([^\r\n]*?)-----[ \t]*\r?\n(.*?)-----END \1-----[ \t]*(?:\r?\n|$)", re.DOTALL)
_header = re.compile(rb"[^\r\n:]+:[^\r\n]*\r?\n")


@dataclass(frozen=True, slots=True)
class PemBlock:
    type: str
    headers: bool
    data: bytes


def pem_blocks(text: bytes) -> Iterator[PemBlock]:
    """The blocks that can be read; anything between them is left out."""
    for match in _blocks.finditer(text):
        body, headers = match[2], False
        while header := _header.match(body):
            body, headers = body[header.end() :], True
        try:
            data = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        yield PemBlock(match[1].decode(errors="replace"), headers, data)


def _decoded(value: str | None) -> bytes:
    """The bytes of a field that JSON carries in base64."""
    return base64.b64decode(value) if value else b""


@lru_cache(maxsize=256)
def request_problem(value: str | None) -> str | None:
    """Why `spec.request` is no request that its own key has signed."""
    block = next(pem_blocks(_decoded(value)), None)
    if block is None or block.type != REQUEST_TYPE:
        return f"PEM block type must be {REQUEST_TYPE}"
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        request = x509.load_der_x509_csr(block.data)
        is_signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        return structure_problem(block.data, *_REQUEST_STRUCTS) or f"asn1: structure error: {error}"
    return None if is_signed else _signature_problem(request.public_key())


def _signature_problem(key: object) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        return "x509: ECDSA verification failure"
    if isinstance(key, rsa.RSAPublicKey):
        return "crypto/rsa: verification error"
    return "x509: Ed25519 verification failure"


@lru_cache(maxsize=256)
def certificate_problem(value: str | None) -> str | None:
    """Why `status.certificate` is no chain of certificates; nothing at all is fine."""
    text = _decoded(value)
    if not text:
        return None
    count = 0
    for block in pem_blocks(text):
        if block.type != CERTIFICATE_TYPE:
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.type}"'
        if block.headers:
            return "no PEM block headers are permitted"
        count += 1
        problem = _der_problem(block.data)
        if problem:
            return problem
    return None if count else "must contain at least one CERTIFICATE PEM block"


def _der_problem(data: bytes) -> str | None:
    if not data:
        return "found CERTIFICATE PEM block containing 0 certificates"
    from cryptography import x509

    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return "x509: malformed certificate"
    return None
