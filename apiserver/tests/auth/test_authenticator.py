"""Certificates, tokens and nothing at all authenticate in that order, and a bad token is refused."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver.auth.authenticator import Authenticator, TokenError, TokenUser
from apiserver.auth.certificates import UID_OID, read_certificate
from apiserver.resources.strategy import User
from openapi.meta.status import StatusError

START = datetime(2030, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(hours=1))
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


ALICE = certificate(
    (NameOID.ORGANIZATION_NAME, "g1"), (NameOID.ORGANIZATION_NAME, "g2"), (NameOID.COMMON_NAME, "alice")
)


class Clock:
    def __init__(self) -> None:
        self.now = START.timestamp() + 1

    def __call__(self) -> float:
        return self.now


class Tokens:
    """Knows the token "good", refuses "old"."""

    def __init__(self) -> None:
        self.asked = 0

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> TokenUser | None:
        self.asked += 1
        if token == "old":
            raise TokenError("it has expired")
        return TokenUser(User("bob", groups=("g",))) if token == "good" else None


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {token}".encode()}


async def test_a_certificate_names_user_and_groups_and_wins_over_a_bad_token() -> None:
    user = await Authenticator([Tokens()], clock=Clock()).authenticate(bearer("bad"), ALICE)
    assert (user.name, user.groups) == ("alice", ("g1", "g2", "system:authenticated"))
    [credential] = user.extra["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=") and len(credential) == len("X509SHA256=") + 64


async def test_a_certificate_that_ended_on_an_open_connection_is_refused() -> None:
    clock = Clock()
    authenticator = Authenticator([Tokens()], clock=clock)
    assert authenticator.remembered({}, ALICE) is None
    await authenticator.authenticate({}, ALICE)
    assert authenticator.remembered({}, ALICE) is not None
    clock.now += 3600
    assert authenticator.remembered({}, ALICE) is None
    with pytest.raises(StatusError) as refused:
        await authenticator.authenticate({}, ALICE)
    assert refused.value.code == 401


async def test_a_certificate_without_a_common_name_is_nobody() -> None:
    nameless = certificate((NameOID.ORGANIZATION_NAME, "g"))
    user = await Authenticator([Tokens()], clock=Clock()).authenticate({}, nameless)
    assert user.name == "system:anonymous"


def test_a_certificate_may_carry_a_uid() -> None:
    found = read_certificate(certificate((NameOID.COMMON_NAME, "a"), (UID_OID, "u1"))).user
    assert found is not None and found.uid == "u1"
    with pytest.raises(ValueError, match="expected 1 UID"):
        read_certificate(certificate((NameOID.COMMON_NAME, "a"), (UID_OID, "u1"), (UID_OID, "u2")))


@pytest.mark.parametrize("headers", [{}, {b"authorization": b"Basic YTpi"}, {b"authorization": b"Bearer "}])
async def test_without_credentials_one_is_anonymous(headers: dict[bytes, bytes]) -> None:
    user = await Authenticator([Tokens()]).authenticate(headers, None)
    assert (user.name, user.groups) == ("system:anonymous", ("system:unauthenticated",))


async def test_anonymous_can_be_turned_off() -> None:
    with pytest.raises(StatusError):
        await Authenticator([], anonymous=False).authenticate({}, None)


@pytest.mark.parametrize("token", ["bad", "old"])
async def test_a_token_nobody_knows_is_refused(token: str) -> None:
    with pytest.raises(StatusError) as refused:
        await Authenticator([Tokens(), Tokens()]).authenticate(bearer(token), None)
    assert (refused.value.code, refused.value.message) == (401, "Unauthorized")


async def test_a_token_is_looked_at_again_after_a_while() -> None:
    clock, tokens = Clock(), Tokens()
    authenticator = Authenticator([tokens], clock=clock)
    for _ in range(3):
        assert (await authenticator.authenticate(bearer("good"), None)).groups == ("g", "system:authenticated")
    assert tokens.asked == 1
    clock.now += 2
    await authenticator.authenticate(bearer("good"), None)
    assert tokens.asked == 2


async def test_a_websocket_may_carry_its_token_as_a_protocol() -> None:
    encoded = base64.urlsafe_b64encode(b"good").rstrip(b"=")
    offered = b"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io." + encoded
    user = await Authenticator([Tokens()]).authenticate({b"sec-websocket-protocol": offered}, None)
    assert user.name == "bob"


async def test_a_review_of_an_unknown_token_gives_every_reason() -> None:
    with pytest.raises(TokenError, match=r"^\[invalid bearer token, it has expired\]$"):
        await Authenticator([Tokens()]).review_token("old", ())
    with pytest.raises(TokenError, match=r"^invalid bearer token$"):
        await Authenticator([Tokens()]).review_token("bad", ())
