"""Service account tokens are what was signed, for whom it was meant, while what they are bound to lives."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from apiserver.auth.authenticator import TokenError, TokenUser
from apiserver.auth.jwt import SigningKey, load_verifying_key, unverified_claims
from apiserver.auth.service_accounts import (
    LEGACY_ISSUER,
    Reference,
    ServiceAccountTokens,
    TokenIssuer,
    json_web_keys,
    openid_configuration,
)

ISSUER = "https://kubernetes.default.svc"
NOW = 2_000_000_000


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


KEY = SigningKey(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
ACCOUNT = {"metadata": {"namespace": "n", "name": "s", "uid": "u-s"}}


class World:
    """Objects by resource, namespace and name; `stale` ones the cache has not seen yet."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.stale: set[tuple[str, str, str]] = set()
        self.put("serviceaccounts", "n", "s", "u-s")

    def put(self, resource: str, namespace: str, name: str, uid: str, **more: Any) -> None:
        self.objects[resource, namespace, name] = {
            "metadata": {"namespace": namespace, "name": name, "uid": uid},
            **more,
        }

    def cached(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        key = (resource, namespace, name)
        return None if key in self.stale else self.objects.get(key)

    async def live(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((resource, namespace, name))

    def issue(self, *audiences: str, key: SigningKey = KEY, issuer: str = ISSUER, **bound: Any) -> str:
        lifetime_s = bound.pop("lifetime_s", 3600)
        made = TokenIssuer(issuer, key, clock=lambda: self.now)
        return made.issue(ACCOUNT, audiences or (ISSUER,), lifetime_s, **bound)

    async def read(self, token: str, audiences: Sequence[str] = ()) -> TokenUser | None:
        reader = ServiceAccountTokens([ISSUER], [KEY.public], [ISSUER], self, clock=lambda: self.now)
        return await reader.authenticate_token(token, audiences)

    async def refusal(self, token: str, audiences: Sequence[str] = ()) -> str:
        with pytest.raises(TokenError) as refused:
            await self.read(token, audiences)
        return str(refused.value)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_token_stands_for_its_account(world: World) -> None:
    token = world.issue()
    found = await world.read(token)
    assert found is not None and found.audiences == (ISSUER,)
    user = found.user
    assert (user.name, user.uid) == ("system:serviceaccount:n:s", "u-s")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:n")
    claims = unverified_claims(token)
    assert claims is not None
    assert user.extra == {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
    assert claims["kubernetes.io"] == {"namespace": "n", "serviceaccount": {"name": "s", "uid": "u-s"}}
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (NOW, NOW, NOW + 3600)
    assert (claims["aud"], claims["iss"], claims["sub"]) == ([ISSUER], ISSUER, "system:serviceaccount:n:s")


async def test_a_pod_bound_token_tells_pod_and_node_and_dies_with_the_pod(world: World) -> None:
    world.put("pods", "n", "p", "u-p")
    token = world.issue(pod=Reference("p", "u-p"), node=Reference("m", "u-m"))
    found = await world.read(token)
    assert found is not None
    prefix = "authentication.kubernetes.io/"
    extra = {key.removeprefix(prefix): value for key, value in found.user.extra.items()}
    del extra["credential-id"]
    assert extra == {"pod-name": ("p",), "pod-uid": ("u-p",), "node-name": ("m",), "node-uid": ("u-m",)}
    world.put("pods", "n", "p", "u-q")
    assert await world.refusal(token) == "pod UID (u-q) does not match service account pod ref claim (u-p)"
    del world.objects["pods", "n", "p"]
    assert await world.refusal(token) == "service account token has been invalidated"


@pytest.mark.parametrize(("resource", "namespace", "kind"), [("secrets", "n", "secret"), ("nodes", "", "node")])
async def test_tokens_bound_to_secrets_and_nodes_die_with_them(
    world: World, resource: str, namespace: str, kind: str
) -> None:
    token = world.issue(**{kind: Reference("x", "u-x")})
    assert await world.refusal(token) == "service account token has been invalidated"
    world.put(resource, namespace, "x", "u-x")
    assert await world.read(token) is not None


async def test_a_token_dies_with_its_account(world: World) -> None:
    token = world.issue()
    world.objects["serviceaccounts", "n", "s"]["metadata"]["deletionTimestamp"] = "2033-05-18T03:30:00Z"
    assert await world.refusal(token) == "service account n/s has been deleted"
    world.put("serviceaccounts", "n", "s", "other")
    assert await world.refusal(token) == "service account UID (other) does not match claim (u-s)"
    del world.objects["serviceaccounts", "n", "s"]
    assert await world.refusal(token) == 'serviceaccounts "s" not found'


async def test_an_object_the_cache_has_not_seen_is_read_from_the_store(world: World) -> None:
    world.stale.add(("serviceaccounts", "n", "s"))
    assert await world.read(world.issue()) is not None


async def test_times_count_with_a_minute_of_grace(world: World) -> None:
    token = world.issue(lifetime_s=600)
    world.now = NOW + 659
    assert await world.read(token) is not None
    world.now = NOW + 661
    assert await world.refusal(token) == "service account token has expired"
    world.now = NOW - 61
    assert await world.refusal(token) == "service account token is not valid yet"


async def test_audiences_must_meet(world: World) -> None:
    token = world.issue("a", "b")
    found = await world.read(token, ("b", "c"))
    assert found is not None and found.audiences == ("b",)
    expected = f'token audiences ["a" "b"] is invalid for the target audiences ["{ISSUER}"]'
    assert await world.refusal(token) == expected


async def test_forged_tokens_are_refused(world: World) -> None:
    header, payload, signature = world.issue().split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "system:serviceaccount:kube-system:admin"
    forged = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=").decode()
    assert "error in cryptographic primitive" in await world.refusal(f"{header}.{forged}.{signature}")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert "error in cryptographic primitive" in await world.refusal(f"{unsigned}.{payload}.")
    stranger = SigningKey(pem(ec.generate_private_key(ec.SECP256R1())))
    assert await world.refusal(world.issue(key=stranger)) == "invalid signature, no keys found"


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "!.!.!", "e30.W10.x", "e30.e30.x"])
async def test_other_tokens_are_left_to_others(world: World, token: str) -> None:
    assert await world.read(token) is None
    assert await world.read(world.issue(issuer="https://elsewhere")) is None


async def test_a_token_kept_in_a_secret_lives_as_long_as_the_secret(world: World) -> None:
    prefix = "kubernetes.io/serviceaccount/"
    token = KEY.sign(
        {
            "iss": LEGACY_ISSUER,
            "sub": "system:serviceaccount:n:s",
            f"{prefix}namespace": "n",
            f"{prefix}secret.name": "t",
            f"{prefix}service-account.name": "s",
            f"{prefix}service-account.uid": "u-s",
        }
    )
    assert await world.refusal(token) == "service account token has been invalidated"
    world.put("secrets", "n", "t", "u-t", data={"token": base64.b64encode(token.encode()).decode()})
    found = await world.read(token)
    assert found is not None and found.user.name == "system:serviceaccount:n:s"


async def test_an_elliptic_key_signs_too() -> None:
    key = SigningKey(pem(ec.generate_private_key(ec.SECP256R1())))
    world = World()
    reader = ServiceAccountTokens([ISSUER], [KEY.public, key.public], [ISSUER], world, clock=lambda: NOW)
    assert await reader.authenticate_token(world.issue(key=key), ()) is not None
    assert json_web_keys([key.public])["keys"][0].items() >= {"kty": "EC", "alg": "ES256", "use": "sig"}.items()


def test_the_public_documents_describe_the_keys() -> None:
    [key] = json_web_keys([KEY.public])["keys"]
    assert (key["use"], key["kty"], key["alg"], key["e"]) == ("sig", "RSA", "RS256", "AQAB")
    document = openid_configuration(ISSUER, "https://h/openid/v1/jwks", [KEY.public])
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]


def test_either_half_of_a_key_verifies() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert load_verifying_key(pem(key)).key_id == load_verifying_key(public).key_id
