"""Token requests are checked, bound to what exists, and answered with a token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apiserver.auth.jwt import SigningKey, unverified_claims
from apiserver.auth.service_accounts import TokenIssuer
from apiserver.registry.actions.token_request import TokenRequests
from apiserver.resources.strategy import User, WriteContext
from openapi.meta.status import StatusError

ISSUER = "https://kubernetes.default.svc"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("me"), NOW, namespace="n", name="s")
KEY = SigningKey(
    ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)


def named(name: str, uid: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": name, "uid": uid}, "spec": spec}


class Objects:
    known = {
        ("serviceaccounts", "n", "s"): named("s", "u-s"),
        ("pods", "n", "p"): named("p", "u-p", serviceAccountName="s", nodeName="m"),
        ("pods", "n", "q"): named("q", "u-q", serviceAccountName="s", nodeName="gone"),
        ("pods", "n", "other"): named("other", "u-o", serviceAccountName="else"),
        ("nodes", "", "m"): named("m", "u-m"),
        ("secrets", "n", "t"): named("t", "u-t"),
    }

    async def live(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.known.get((resource, namespace, name))


async def create(spec: dict[str, Any], context: WriteContext = CONTEXT, **metadata: Any) -> dict[str, Any]:
    issuer = TokenIssuer(ISSUER, KEY, clock=NOW.timestamp)
    obj = {"kind": "TokenRequest", "metadata": metadata, "spec": spec}
    return await TokenRequests(issuer, [ISSUER], Objects()).create(obj, context)


async def refusal(spec: dict[str, Any], context: WriteContext = CONTEXT, **metadata: Any) -> tuple[int, str]:
    with pytest.raises(StatusError) as refused:
        await create(spec, context, **metadata)
    return refused.value.code, refused.value.message


def claims(answer: dict[str, Any]) -> dict[str, Any]:
    found = unverified_claims(answer["status"]["token"])
    assert found is not None
    return found


def pod(name: str, **more: Any) -> dict[str, Any]:
    return {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, **more}}


async def test_an_empty_request_gets_the_defaults() -> None:
    answer = await create({})
    assert answer["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
    created = {"creationTimestamp": "2030-01-01T00:00:00Z"}
    assert answer["metadata"] == {"name": "s", "namespace": "n", "uid": "u-s", **created}
    assert answer["status"]["expirationTimestamp"] == "2030-01-01T01:00:00Z"
    assert claims(answer)["exp"] == NOW.timestamp() + 3600


async def test_a_token_is_bound_to_pod_and_node_or_secret() -> None:
    private = claims(await create(pod("p")))["kubernetes.io"]
    assert private["pod"] == {"name": "p", "uid": "u-p"}
    assert private["node"] == {"name": "m", "uid": "u-m"}
    assert claims(await create(pod("q")))["kubernetes.io"]["node"] == {"name": "gone"}
    secret = {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "t", "uid": "u-t"}}
    assert claims(await create(secret))["kubernetes.io"]["secret"] == {"name": "t", "uid": "u-t"}


async def test_the_injected_lifetime_is_stretched_for_clients_that_never_renew() -> None:
    answer = await create({**pod("p"), "expirationSeconds": 3607})
    assert claims(answer)["exp"] == NOW.timestamp() + 365 * 24 * 3600
    assert claims(answer)["kubernetes.io"]["warnafter"] == NOW.timestamp() + 3607
    assert answer["status"]["expirationTimestamp"] == "2030-01-01T01:00:07Z"
    elsewhere = await create({**pod("p"), "expirationSeconds": 3607, "audiences": ["vault"]})
    assert claims(elsewhere)["exp"] == NOW.timestamp() + 3607


LIFETIMES = [
    (599, "599: may not specify a duration less than 10 minutes"),
    ((1 << 32) + 1, "4294967297: may not specify a duration larger than 2^32 seconds"),
]


@pytest.mark.parametrize(("lifetime_s", "text"), LIFETIMES)
async def test_lifetimes_have_limits(lifetime_s: int, text: str) -> None:
    message = f'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: {text}'
    assert await refusal({"expirationSeconds": lifetime_s}) == (422, message)


async def test_names_in_the_body_are_those_of_the_path() -> None:
    code, message = await refusal({}, name="other")
    assert code == 422 and message.endswith('"other": must match the service account name if specified')
    code, message = await refusal({}, namespace="other")
    assert code == 422 and message.endswith('"other": must match the service account namespace if specified')
    assert (await refusal({}, uid="x"))[0] == 409
    assert (await create({}, name="s", namespace="n", uid="u-s"))["metadata"]["name"] == "s"


async def test_what_a_token_is_for_must_be_there() -> None:
    context = WriteContext(User("me"), NOW, namespace="n", name="gone")
    assert await refusal({}, context) == (404, 'serviceaccounts "gone" not found')
    assert await refusal(pod("gone")) == (404, 'pods "gone" not found')
    config_map = {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}
    assert await refusal(config_map) == (400, "cannot bind token to object of type /v1, Kind=ConfigMap")
    different = 'cannot bind token for serviceaccount "s" to pod running with different serviceaccount name.'
    assert await refusal(pod("other")) == (400, different)
    code, message = await refusal(pod("p", uid="x"))
    assert code == 409 and "the UID in the bound object reference (x) does not match the UID in record." in message
