"""Tokens that live in Secrets: what they claim, and their signature. Pure.

They name no audience and never expire; the API server takes them as long as the Secret holds them.
Follows: pkg/serviceaccount/{legacy,jwt}.go
"""

from __future__ import annotations

import base64
import hashlib

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controllers.runtime.objects import Object, View, name_of, namespace_of, uid_of

ISSUER = "kubernetes/serviceaccount"
PREFIX = "kubernetes.io/serviceaccount/"
P256_BYTES = 32


def legacy_claims(account: View, secret: View) -> Object:
    """What the token of `secret` says about `account`."""
    namespace, name = namespace_of(account), name_of(account)
    return {
        "iss": ISSUER,
        f"{PREFIX}namespace": namespace,
        f"{PREFIX}secret.name": name_of(secret),
        f"{PREFIX}service-account.name": name,
        f"{PREFIX}service-account.uid": uid_of(account),
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


class Signer:
    """A private key from PEM: RSA, or ECDSA on P-256. Raises ValueError for other keys."""

    def __init__(self, pem: bytes) -> None:
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("a key that signs tokens is an RSA or ECDSA key")
        if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("a key that signs tokens is an ECDSA key on P-256")
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        header = {"alg": algorithm, "kid": _encode(hashlib.sha256(public).digest())}
        self._header = _encode(orjson.dumps(header))

    def sign(self, claims: View) -> str:
        """The token that carries `claims`."""
        signed = f"{self._header}.{_encode(orjson.dumps(claims, option=orjson.OPT_SORT_KEYS))}"
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big")
        return f"{signed}.{_encode(signature)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
