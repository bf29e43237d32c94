"""JSON web tokens as the API server signs and reads them: compact form, RS256 or ES256, keys told apart by `kid`.

A key's id is the hash of its public half, so every process with the same key gives it the same id.
Follows: pkg/serviceaccount/{jwt,openidmetadata}.go
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

Claims = dict[str, Any]

RS256, ES256 = "RS256", "ES256"
P256_BYTES = 32
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class JwtError(ValueError):
    """The text is no token, or not one of ours."""


class VerifyingKey:
    """The public half of a key: verifies, and describes itself as a JWK."""

    __slots__ = ("_key", "algorithm", "key_id")

    def __init__(self, key: PublicKey) -> None:
        self._key = key
        self.algorithm = RS256 if isinstance(key, rsa.RSAPublicKey) else ES256
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = _encode(hashlib.sha256(der).digest())

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            else:
                self._key.verify(_to_der(signature), signed, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, JwtError):
            return False
        return True

    def jwk(self) -> dict[str, str]:
        found = {"use": "sig", "kid": self.key_id, "alg": self.algorithm}
        if isinstance(self._key, rsa.RSAPublicKey):
            numbers = self._key.public_numbers()
            return {**found, "kty": "RSA", "n": _encode(_bytes(numbers.n)), "e": _encode(_bytes(numbers.e))}
        point = self._key.public_numbers()
        x, y = (_encode(value.to_bytes(P256_BYTES, "big")) for value in (point.x, point.y))
        return {**found, "kty": "EC", "crv": "P-256", "x": x, "y": y}


class SigningKey:
    """A private key from PEM: RSA, or ECDSA on P-256. Raises ValueError for other keys."""

    __slots__ = ("_header", "_key", "public")

    def __init__(self, pem: bytes) -> None:
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("a key that signs tokens is an RSA or ECDSA key")
        self._key = key
        self.public = _verifying(key.public_key())
        header = {"alg": self.public.algorithm, "kid": self.public.key_id}
        self._header = _encode(orjson.dumps(header)).encode()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token that carries `claims`."""
        signed = self._header + b"." + _encode(orjson.dumps(claims, option=orjson.OPT_SORT_KEYS)).encode()
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big")
        return f"{signed.decode()}.{_encode(signature)}"


def load_verifying_key(pem: bytes) -> VerifyingKey:
    """A public key from PEM, or the public half of a private one."""
    if b"PRIVATE KEY" in pem:
        return SigningKey(pem).public
    return _verifying(serialization.load_pem_public_key(pem))


def _verifying(key: object) -> VerifyingKey:
    if isinstance(key, rsa.RSAPublicKey):
        return VerifyingKey(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerifyingKey(key)
    raise ValueError("a key that verifies tokens is an RSA key or an ECDSA key on P-256")


def unverified_claims(token: str) -> Claims | None:
    """What a token claims before its signature is looked at; None where the text is no token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(_decode(parts[1]))
    except (JwtError, orjson.JSONDecodeError):
        return None
    return claims if isinstance(claims, dict) else None


def verify(token: str, keys: Sequence[VerifyingKey]) -> None:
    """Check the signature of a token that `unverified_claims` could read. Raises JwtError."""
    signed, _, encoded = token.rpartition(".")
    try:
        header = orjson.loads(_decode(signed.partition(".")[0]))
    except orjson.JSONDecodeError:
        raise JwtError("token header is not JSON") from None
    if not isinstance(header, dict):
        raise JwtError("token header is no object")
    key_id = header.get("kid", "")
    candidates = [key for key in keys if not key_id or key.key_id == key_id]
    if not candidates:
        raise JwtError("invalid signature, no keys found")
    # The algorithm is the key's, never the token's choice.
    signature = _decode(encoded)
    if not any(key.algorithm == header.get("alg") and key.verifies(signature, signed.encode()) for key in candidates):
        raise JwtError("go-jose/go-jose: error in cryptographic primitive")


def _to_der(signature: bytes) -> bytes:
    if len(signature) != 2 * P256_BYTES:
        raise JwtError("a P-256 signature has 64 bytes")
    return encode_dss_signature(int.from_bytes(signature[:P256_BYTES]), int.from_bytes(signature[P256_BYTES:]))


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise JwtError("not base64") from None
