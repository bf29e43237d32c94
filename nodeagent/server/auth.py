"""Who asks the node, and whether the API server lets them: certificates, TokenReview and SubjectAccessReview.

Verdicts are kept for as long as a kubelet keeps them, so that the API server is not asked for every request.
Follows: pkg/kubelet/server/auth.go; cmd/kubelet/app/auth.go
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson

Call = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""POST of an object to a path of the API server."""

TOKEN_TTL_S = 120.0
ALLOWED_TTL_S = 300.0
DENIED_TTL_S = 30.0
CACHE_LIMIT = 4096

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OWN_SUBRESOURCES = {"stats": "stats", "metrics": "metrics", "logs": "log", "checkpoint": "checkpoint"}
_FINE_SUBRESOURCES = {"pods": "pods", "runningpods": "pods", "healthz": "healthz", "configz": "configz"}
_AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: Sequence[str] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


V = TypeVar("V")


class _Verdicts(Generic[V]):
    """Answers that hold for a while."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, V]] = {}

    def get(self, key: str) -> V | None:
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def put(self, key: str, verdict: V, ttl_s: float) -> None:
        if len(self._known) >= CACHE_LIMIT:
            self._known.clear()
        self._known[key] = (time.monotonic() + ttl_s, verdict)


class Gate:
    """Authenticates and authorizes requests to one node."""

    def __init__(self, node_name: str, call: Call) -> None:
        self._node_name = node_name
        self._call = call
        self._tokens: _Verdicts[User] = _Verdicts()
        self._access: _Verdicts[bool] = _Verdicts()

    async def user(self, certificate: Mapping[str, Any] | None, authorization: str) -> User | None:
        """Who it is by a verified certificate, else by a bearer token; None for nobody."""
        if certificate:
            user = certificate_user(certificate)
            if user is not None:
                return user
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return await self._token_user(token.strip())

    async def _token_user(self, token: str) -> User | None:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._tokens.get(key)
        if known is not None:
            return known
        review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}}
        status = (await self._call(_TOKEN_REVIEWS, review)).get("status") or {}
        if not status.get("authenticated"):
            return None
        found = status.get("user") or {}
        groups = tuple(dict.fromkeys((*(found.get("groups") or ()), _AUTHENTICATED)))
        user = User(found.get("username", ""), groups, found.get("uid", ""), found.get("extra") or {})
        self._tokens.put(key, user, TOKEN_TTL_S)
        return user

    async def allows(self, user: User, method: str, path: str) -> bool:
        """Whether any of the permissions that fit the path is granted."""
        verb = _VERBS.get(method, "")
        for subresource in subresources(path):
            if await self._may(user, verb, subresource):
                return True
        return False

    async def _may(self, user: User, verb: str, subresource: str) -> bool:
        spec: dict[str, Any] = {
            "resourceAttributes": {
                "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource,
                "name": self._node_name,
            },
            "user": user.name, "groups": list(user.groups), "uid": user.uid,
            "extra": {name: list(values) for name, values in user.extra.items()},
        }  # fmt: skip
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS).decode()
        known = self._access.get(key)
        if known is not None:
            return known
        review = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec}
        status = (await self._call(_ACCESS_REVIEWS, review)).get("status") or {}
        allowed = bool(status.get("allowed"))
        self._access.put(key, allowed, ALLOWED_TTL_S if allowed else DENIED_TTL_S)
        return allowed


def certificate_user(certificate: Mapping[str, Any]) -> User | None:
    """The user in a certificate as `ssl` decodes it: the common name, in the groups of its organizations."""
    names = [pair for part in certificate.get("subject") or () for pair in part]
    common = next((value for kind, value in names if kind == "commonName"), "")
    if not common:
        return None
    groups = [value for kind, value in names if kind == "organizationName"]
    return User(common, (*groups, _AUTHENTICATED))


def subresources(path: str) -> Sequence[str]:
    """The subresources of nodes of which one must be allowed for a path."""
    first = path.lstrip("/").partition("/")[0]
    own = _OWN_SUBRESOURCES.get(first)
    if own is not None:
        return (own,)
    fine = _FINE_SUBRESOURCES.get(first)
    return (fine, "proxy") if fine is not None else ("proxy",)


def denial(user: User, method: str, path: str, node_name: str) -> str:
    """What a caller is told who may not."""
    wanted = " ".join(subresources(path))
    return f"Forbidden (user={user.name}, verb={_VERBS.get(method, '')}, resource=nodes, subresource(s)=[{wanted}])"
