"""Who sends a request: by client certificate, else by bearer token, else anonymous.

A valid certificate wins over any token; a token that nobody knows is refused rather than taken for anonymous.
Answers are remembered, so a request usually costs one look-up.
Follows: pkg/kubeapiserver/authenticator/config.go,
staging/src/k8s.io/apiserver/pkg/authentication/request/{union,bearertoken,websocket}
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from apiserver.auth.attributes import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED
from apiserver.auth.certificates import read_certificate
from apiserver.resources.strategy import User
from openapi.meta import status

Headers = Mapping[bytes, bytes]

ANONYMOUS_USER = User(ANONYMOUS, groups=(UNAUTHENTICATED,))
REMEMBERED = 4096
"""How many certificates, and how many tokens, are remembered at once."""
TOKEN_TTL_S = 1.0
"""How long a token is taken as valid before it is looked at again: a deleted pod's token dies this soon."""

WEBSOCKET_PROTOCOL = b"base64url.bearer.authorization.k8s.io."


class TokenError(Exception):
    """Why a token is not accepted; shown to TokenReview's callers, never to who presents it."""


class TokenUser(NamedTuple):
    """Whom a token stands for; `audiences` are those asked for that it is meant for (empty when it names none)."""

    user: User
    audiences: tuple[str, ...] = ()


class TokenAuthenticator(Protocol):
    """One way to know tokens."""

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> TokenUser | None:
        """The token's user, None for a token of another kind. Raises TokenError.

        Without `audiences` the token has to be meant for the API server.
        """


class _Remembered(NamedTuple):
    user: User
    until: float


class Authenticator:
    """All ways in, in order. `clock` tells seconds since the epoch."""

    def __init__(
        self, tokens: Sequence[TokenAuthenticator], *, anonymous: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tuple(tokens)
        self._anonymous = ANONYMOUS_USER if anonymous else None
        self._clock = clock
        self._by_certificate: dict[bytes, _Remembered] = {}
        self._by_token: dict[bytes, _Remembered] = {}

    def remembered(self, headers: Headers, peer_der: bytes | None) -> User | None:
        """The answer of `authenticate` where it takes no work, else None."""
        if peer_der is not None:
            known = self._by_certificate.get(peer_der)
        else:
            credential = headers.get(b"authorization")
            if credential is None:
                return self._anonymous if b"sec-websocket-protocol" not in headers else None
            known = self._by_token.get(credential)
        return known.user if known is not None and known.until > self._clock() else None

    async def authenticate(self, headers: Headers, peer_der: bytes | None) -> User:
        """Who sends a request with `headers` (lower-case names) over a connection with the client certificate
        `peer_der`. Raises the 401.
        """
        user = self.remembered(headers, peer_der)
        if user is not None:
            return user
        user = self._by_client_certificate(peer_der) if peer_der is not None else None
        if user is None:
            user = await self._by_bearer_token(headers)
        if user is None:
            # A certificate that says nothing usable, when it expired say, is bad credentials, not none.
            if self._anonymous is None or self._is_expired(peer_der):
                raise status.unauthorized()
            return self._anonymous
        return user

    async def review_token(self, token: str, audiences: Sequence[str]) -> TokenUser:
        """Ask every way to know tokens. Raises TokenError with all their errors when none knows it."""
        errors = ["invalid bearer token"]
        for authenticator in self._tokens:
            try:
                found = await authenticator.authenticate_token(token, audiences)
            except TokenError as error:
                errors.append(str(error))
                continue
            if found is not None:
                return found._replace(user=_authenticated(found.user))
        texts = list(dict.fromkeys(errors))
        raise TokenError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")

    def _by_client_certificate(self, der: bytes) -> User | None:
        try:
            user, expires = read_certificate(der)
        except ValueError:
            return None
        if user is None or expires <= self._clock():
            return None
        user = _authenticated(user)
        _remember(self._by_certificate, der, _Remembered(user, expires))
        return user

    def _is_expired(self, der: bytes | None) -> bool:
        if der is None:
            return False
        try:
            user, expires = read_certificate(der)
        except ValueError:
            return True
        return user is not None and expires <= self._clock()

    async def _by_bearer_token(self, headers: Headers) -> User | None:
        credential = headers.get(b"authorization")
        token = bearer_token(credential) if credential is not None else websocket_token(headers)
        if not token:
            return None
        try:
            found = await self.review_token(token, ())
        except TokenError:
            raise status.unauthorized() from None
        if credential is not None:
            _remember(self._by_token, credential, _Remembered(found.user, self._clock() + TOKEN_TTL_S))
        return found.user


def bearer_token(credential: bytes) -> str:
    """The token of an Authorization header, empty when it holds none."""
    parts = credential.decode("latin-1").strip().split(" ", 2)
    return parts[1] if len(parts) > 1 and parts[0].lower() == "bearer" else ""


def websocket_token(headers: Headers) -> str:
    """The token that a browser sends as a websocket subprotocol, having no say over other headers."""
    offered = headers.get(b"sec-websocket-protocol", b"")
    for protocol in offered.split(b","):
        encoded = protocol.strip()
        if encoded.startswith(WEBSOCKET_PROTOCOL):
            encoded = encoded[len(WEBSOCKET_PROTOCOL) :]
            try:
                return base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise status.unauthorized() from None
    return ""


def _authenticated(user: User) -> User:
    """Everyone known belongs to one more group."""
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED))


def _remember(known: dict[bytes, _Remembered], key: bytes, value: _Remembered) -> None:
    """Keep the latest; the oldest makes room."""
    known.pop(key, None)
    if len(known) >= REMEMBERED:
        del known[next(iter(known))]
    known[key] = value
