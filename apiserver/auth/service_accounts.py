"""Service account tokens: signed statements that live only as long as the account, and what else they are bound to.

`TokenIssuer` makes them, `ServiceAccountTokens` reads them: signature, issuer, audience, times, and then the account,
pod, secret or node they name, which must still be there under the same uid. Tokens kept in Secrets (of the older
issuer, without an end) are read too.
Follows: pkg/serviceaccount/{claims,legacy,jwt,openidmetadata}.go
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from apiserver.auth.authenticator import TokenError, TokenUser
from apiserver.auth.certificates import CREDENTIAL_ID
from apiserver.auth.jwt import Claims, JwtError, SigningKey, VerifyingKey, unverified_claims, verify
from apiserver.auth.rules import quote_list
from apiserver.resources.strategy import User
from openapi.meta.status import not_found
from openapi.meta.times import parse_time

Object = dict[str, Any]

PREFIX = "system:serviceaccount:"
GROUP = "system:serviceaccounts"
LEGACY_ISSUER = "kubernetes/serviceaccount"
PRIVATE = "kubernetes.io"
EXTRA = "authentication.kubernetes.io/"
NODE_NAME = f"{EXTRA}node-name"
LEEWAY_S = 60
"""Clocks differ: a token counts this much longer than it says, and this much earlier."""

INVALIDATED = "service account token has been invalidated"


class Objects(Protocol):
    """The objects that tokens are bound to; `resource` is serviceaccounts, pods, secrets or nodes."""

    def cached(self, resource: str, namespace: str, name: str) -> Object | None:
        """As the watch cache has it; not to be changed."""

    async def live(self, resource: str, namespace: str, name: str) -> Object | None:
        """As the store has it."""


class Reference(NamedTuple):
    """An object a token is bound to. A node may be known by name only."""

    name: str
    uid: str = ""

    def claim(self) -> Claims:
        return {"name": self.name, "uid": self.uid} if self.uid else {"name": self.name}


def reference(obj: Mapping[str, Any]) -> Reference:
    return Reference(obj["metadata"]["name"], obj["metadata"].get("uid", ""))


def username(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def split_username(user: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name; None for other users."""
    parts = user[len(PREFIX) :].split(":") if user.startswith(PREFIX) else []
    if len(parts) != 2 or not parts[0] or not parts[1]:
        return None
    return parts[0], parts[1]


def groups(namespace: str) -> tuple[str, ...]:
    return GROUP, f"{GROUP}:{namespace}"


class TokenIssuer:
    """Signs tokens in the name of `issuer`. `clock` tells seconds since the epoch."""

    def __init__(self, issuer: str, key: SigningKey, *, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self._key = key
        self._clock = clock

    def issue(
        self,
        account: Mapping[str, Any],
        audiences: Sequence[str],
        lifetime_s: int,
        *,
        pod: Reference | None = None,
        secret: Reference | None = None,
        node: Reference | None = None,
        warn_after_s: int = 0,
    ) -> str:
        """A token for a ServiceAccount object. `warn_after_s` marks when its holder should have renewed it."""
        meta = account["metadata"]
        now = int(self._clock())
        private: Claims = {"namespace": meta["namespace"], "serviceaccount": reference(account).claim()}
        for name, bound in (("pod", pod), ("secret", secret), ("node", node)):
            if bound is not None:
                private[name] = bound.claim()
        if warn_after_s:
            private["warnafter"] = now + warn_after_s
        return self._key.sign(
            {
                "aud": list(audiences),
                "exp": now + lifetime_s,
                "iat": now,
                "iss": self.issuer,
                "jti": str(uuid.uuid4()),
                PRIVATE: private,
                "nbf": now,
                "sub": username(meta["namespace"], meta["name"]),
            }
        )


class ServiceAccountTokens:
    """Knows the tokens of `issuers`, and those in Secrets. `audiences` are the API server's own."""

    def __init__(
        self,
        issuers: Sequence[str],
        keys: Sequence[VerifyingKey],
        audiences: Sequence[str],
        objects: Objects,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = frozenset(issuers)
        self._keys = tuple(keys)
        self._audiences = tuple(audiences)
        self._objects = objects
        self._clock = clock

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> TokenUser | None:
        claims = unverified_claims(token)
        if claims is None:
            return None
        issuer = claims.get("iss")
        is_legacy = issuer == LEGACY_ISSUER
        if not is_legacy and not (isinstance(issuer, str) and issuer in self._issuers):
            return None
        try:
            verify(token, self._keys)
        except JwtError as error:
            raise TokenError(str(error)) from error
        fitting = self._fitting_audiences(claims, audiences or self._audiences)
        user = await (self._read_legacy(token, claims) if is_legacy else self._read(claims))
        return TokenUser(user, fitting)

    def _fitting_audiences(self, claims: Claims, wanted: Sequence[str]) -> tuple[str, ...]:
        named = claims.get("aud") or self._audiences
        held = (named,) if isinstance(named, str) else tuple(named)
        fitting = tuple(audience for audience in held if audience in wanted)
        if not fitting:
            raise TokenError(
                f"token audiences {quote_list(held)} is invalid for the target audiences {quote_list(wanted)}"
            )
        return fitting

    async def _read(self, claims: Claims) -> User:
        self._check_times(claims)
        private = claims.get(PRIVATE)
        if not isinstance(private, dict):
            raise TokenError("service account token claims could not be validated due to unexpected private claim")
        namespace = private.get("namespace", "")
        account, pod, secret, node = (_claimed(private, n) for n in ("serviceaccount", "pod", "secret", "node"))
        if account is None:
            account = Reference("")
        await self._check_account(namespace, account)
        if secret is not None:
            await self._check_bound("secrets", "secret", namespace, secret)
        if pod is not None:
            await self._check_bound("pods", "pod", namespace, pod)
        elif node is not None:
            await self._check_bound("nodes", "node", "", node)
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        for kind, bound in (("node", node), ("pod", pod)):
            if bound is not None and bound.name:
                extra[f"{EXTRA}{kind}-name"] = (bound.name,)
                if bound.uid:
                    extra[f"{EXTRA}{kind}-uid"] = (bound.uid,)
        return User(username(namespace, account.name), account.uid, groups(namespace), extra)

    async def _read_legacy(self, token: str, claims: Claims) -> User:
        """A token of a Secret ends with the Secret."""
        prefix = f"{PRIVATE}/serviceaccount/"
        fields = ("namespace", "secret.name", "service-account.name", "service-account.uid")
        namespace, secret_name, name, uid = (str(claims.get(prefix + field, "")) for field in fields)
        if claims.get("sub") != username(namespace, name) or not (namespace and secret_name and name and uid):
            raise TokenError("service account token claims are incomplete")
        secret = await self._find("secrets", namespace, secret_name, None)
        if secret is None or _secret_token(secret) != token.encode() or self._is_gone(secret):
            raise TokenError(INVALIDATED)
        await self._check_account(namespace, Reference(name, uid))
        return User(username(namespace, name), uid, groups(namespace))

    def _check_times(self, claims: Claims) -> None:
        now = self._clock()
        if claims.get("nbf", 0) > now + LEEWAY_S:
            raise TokenError("service account token is not valid yet")
        if claims.get("exp", 0) < now - LEEWAY_S:
            raise TokenError("service account token has expired")
        if claims.get("iat", 0) > now + LEEWAY_S:
            raise TokenError("service account token is issued in the future")

    async def _check_account(self, namespace: str, account: Reference) -> None:
        found = await self._find("serviceaccounts", namespace, account.name, account.uid)
        if found is None:
            raise TokenError(not_found("", "serviceaccounts", account.name).message)
        uid = found["metadata"].get("uid", "")
        if uid != account.uid:
            raise TokenError(f"service account UID ({uid}) does not match claim ({account.uid})")
        if self._is_gone(found):
            raise TokenError(f"service account {namespace}/{account.name} has been deleted")

    async def _check_bound(self, resource: str, kind: str, namespace: str, bound: Reference) -> None:
        found = await self._find(resource, namespace, bound.name, bound.uid)
        if found is None:
            raise TokenError(INVALIDATED)
        uid = found["metadata"].get("uid", "")
        if uid != bound.uid:
            raise TokenError(f"{kind} UID ({uid}) does not match service account {kind} ref claim ({bound.uid})")
        if self._is_gone(found):
            raise TokenError(INVALIDATED)

    async def _find(self, resource: str, namespace: str, name: str, uid: str | None) -> Object | None:
        """From the watch cache; from the store where that has not yet seen the object, or another one of its name."""
        found = self._objects.cached(resource, namespace, name)
        if found is None or (uid is not None and found["metadata"].get("uid", "") != uid):
            return await self._objects.live(resource, namespace, name)
        return found

    def _is_gone(self, obj: Object) -> bool:
        """Marked for deletion, and its time is over."""
        deleted = obj["metadata"].get("deletionTimestamp")
        return bool(deleted) and parse_time(deleted).timestamp() < self._clock() - LEEWAY_S


def _claimed(private: Claims, name: str) -> Reference | None:
    claim = private.get(name)
    if not isinstance(claim, dict):
        return None
    return Reference(str(claim.get("name", "")), str(claim.get("uid", "")))


def _secret_token(secret: Object) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get("token", ""))
    except binascii.Error:
        return b""


def openid_configuration(issuer: str, jwks_uri: str, keys: Sequence[VerifyingKey]) -> Object:
    """/.well-known/openid-configuration: how others learn to verify our tokens."""
    return {
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys}, reverse=True),
    }


def json_web_keys(keys: Sequence[VerifyingKey]) -> Object:
    """/openid/v1/jwks, served as application/jwk-set+json."""
    return {"keys": [key.jwk() for key in keys]}
