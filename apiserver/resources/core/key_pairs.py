"""Whether a certificate and a private key in PEM belong together, in the words of Go's crypto/tls.

Used to warn of TLS secrets that no server could use; it never refuses one.
"""

from __future__ import annotations

import re
from typing import Any

_BLOCK = re.compile(
    rb"-----BEGIN ([^\r\n-]*)-----[ \t]*\r?\n(?:.*?\r?\n)?-----END \1-----", re.DOTALL
)


def _blocks(pem: bytes) -> list[tuple[str, bytes]]:
    """Type and whole text of each PEM block."""
    return [(match[1].decode("latin-1"), match[0] + b"\n") for match in _BLOCK.finditer(pem)]


def key_pair_problem(certificate: bytes, key: bytes) -> str:
    """Why the pair cannot be used, or ''."""
    blocks = _blocks(certificate)
    certificates = [text for kind, text in blocks if kind == "CERTIFICATE"]
    if not certificates:
        return _no_certificate([kind for kind, _ in blocks])
    skipped: list[str] = []
    for kind, text in _blocks(key):
        if kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY"):
            return _mismatch(certificates[0], text)
        skipped.append(kind)
    return _no_key(skipped)


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
            "PEM inputs may have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the '
        f"following types: [{' '.join(skipped)}]"
    )


def _no_key(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if len(skipped) == 1 and skipped[0] == "CERTIFICATE":
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of '
        f"the following types: [{' '.join(skipped)}]"
    )


def _mismatch(certificate: bytes, key: bytes) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        public: Any = x509.load_pem_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    try:
        own: Any = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    if type(own) is not type(public):
        return "tls: private key type does not match public key type"
    return "" if own == public else "tls: private key does not match public key"
