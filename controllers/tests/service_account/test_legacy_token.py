"""Tokens in Secrets."""

from __future__ import annotations

import base64

import orjson
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from controllers.service_account.legacy_token import Signer, legacy_claims


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_token_claims_the_account_and_its_secret_and_verifies() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}}
    token = Signer(pem(key)).sign(legacy_claims(account, {"metadata": {"name": "s", "namespace": "n"}}))
    header, claims, signature = token.split(".")
    key.public_key().verify(decoded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert orjson.loads(decoded(header))["alg"] == "RS256"
    assert orjson.loads(decoded(claims)) == {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "n",
        "kubernetes.io/serviceaccount/secret.name": "s",
        "kubernetes.io/serviceaccount/service-account.name": "a",
        "kubernetes.io/serviceaccount/service-account.uid": "u",
        "sub": "system:serviceaccount:n:a",
    }


def test_other_curves_are_refused() -> None:
    with pytest.raises(ValueError, match="P-256"):
        Signer(pem(ec.generate_private_key(ec.SECP384R1())))
