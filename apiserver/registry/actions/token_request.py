"""serviceaccounts/token: a new token for a service account, bound to a pod, secret or node where asked.

Follows: pkg/registry/core/serviceaccount/storage/token.go, pkg/apis/authentication/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from apiserver.auth.service_accounts import Reference, TokenIssuer, reference
from apiserver.resources.strategy import WriteContext
from openapi.catalog import split_api_version
from openapi.meta import status
from openapi.meta.field import FieldError, invalid, quote
from openapi.meta.times import format_time

Object = dict[str, Any]

GROUP, KIND = "authentication.k8s.io", "TokenRequest"
MIN_S, MAX_S, DEFAULT_S = 600, 1 << 32, 3600
INJECTED_S = 3607
"""The lifetime that the server itself gives tokens it projects into pods; clients that never read a new one are
borne with for `EXTENDED_S`, and watched by the claim `warnafter`."""
EXTENDED_S = 365 * 24 * 3600

BINDABLE = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class LiveObjects(Protocol):
    """Objects as the store has them."""

    async def live(self, resource: str, namespace: str, name: str) -> Object | None: ...


class Bound(NamedTuple):
    """What a token is bound to."""

    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None


class TokenRequests:
    """Makes tokens. `audiences` are the API server's own, for requests that name none."""

    def __init__(self, issuer: TokenIssuer, audiences: Sequence[str], objects: LiveObjects) -> None:
        self._issuer = issuer
        self._audiences = list(audiences)
        self._objects = objects

    async def create(self, obj: Object, context: WriteContext) -> Object:
        meta, spec = obj["metadata"], obj.setdefault("spec", {})
        _check_names(meta, context)
        account = await self._get("serviceaccounts", context.namespace, context.name)
        uid = account["metadata"].get("uid", "")
        if meta.get("uid") and meta["uid"] != uid:
            why = f"the UID in the token request ({meta['uid']}) does not match the UID of the service account ({uid})"
            raise status.conflict(GROUP, KIND, context.name, why)
        meta.update(name=context.name, namespace=context.namespace, uid=uid, creationTimestamp=format_time(context.now))
        lifetime_s = spec.setdefault("expirationSeconds", DEFAULT_S)
        if not spec.get("audiences"):
            spec["audiences"] = list(self._audiences)
        errors = list(_lifetime_errors(lifetime_s))
        if errors:
            raise status.invalid(GROUP, KIND, "", errors)
        bound = await self._bind(spec.setdefault("boundObjectRef", None), context)
        obj["status"] = {
            "token": self._sign(account, spec["audiences"], lifetime_s, bound),
            "expirationTimestamp": format_time(context.now + timedelta(seconds=lifetime_s)),
        }
        return obj

    def _sign(self, account: Object, audiences: Sequence[str], lifetime_s: int, bound: Bound) -> str:
        is_injected = bound.pod is not None and lifetime_s == INJECTED_S and set(audiences) <= set(self._audiences)
        return self._issuer.issue(
            account,
            audiences,
            EXTENDED_S if is_injected else lifetime_s,
            pod=bound.pod,
            secret=bound.secret,
            node=bound.node,
            warn_after_s=lifetime_s if is_injected else 0,
        )

    async def _bind(self, ref: Object | None, context: WriteContext) -> Bound:
        if ref is None:
            return Bound()
        api_version, kind, name = ref.get("apiVersion", ""), ref.get("kind", ""), ref.get("name", "")
        group, version = split_api_version(api_version)
        resource = BINDABLE.get(kind)
        if group or resource is None:
            raise status.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        found = await self._get(resource, "" if kind == "Node" else context.namespace, name)
        bound = Bound(node=reference(found))
        if kind == "Secret":
            bound = Bound(secret=reference(found))
        elif kind == "Pod":
            bound = await self._bind_pod(found, context.name)
        uid = ref.get("uid", "")
        if uid and uid != found["metadata"].get("uid", ""):
            why = (
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise status.conflict(group, kind, name, why)
        return bound

    async def _bind_pod(self, pod: Object, account: str) -> Bound:
        """The token of a pod also tells the pod's node, by name at least."""
        spec = pod.get("spec") or {}
        if spec.get("serviceAccountName", "") != account:
            raise status.bad_request(
                f"cannot bind token for serviceaccount {quote(account)} to pod running with different "
                "serviceaccount name."
            )
        name = spec.get("nodeName", "")
        if not name:
            return Bound(pod=reference(pod))
        node = await self._objects.live("nodes", "", name)
        return Bound(pod=reference(pod), node=reference(node) if node is not None else Reference(name))

    async def _get(self, resource: str, namespace: str, name: str) -> Object:
        found = await self._objects.live(resource, namespace, name)
        if found is None:
            raise status.not_found("", resource, name)
        return found


def _check_names(meta: Object, context: WriteContext) -> None:
    """Name and namespace in the body, if any, are those of the path."""
    for field, wanted in (("name", context.name), ("namespace", context.namespace)):
        value = meta.get(field, "")
        if value and value != wanted:
            error = invalid(f"metadata.{field}", value, f"must match the service account {field} if specified")
            raise status.invalid(GROUP, KIND, context.name, [error])


def _lifetime_errors(lifetime_s: int) -> Iterator[FieldError]:
    if lifetime_s < MIN_S:
        yield invalid("spec.expirationSeconds", lifetime_s, "may not specify a duration less than 10 minutes")
    if lifetime_s > MAX_S:
        yield invalid("spec.expirationSeconds", lifetime_s, "may not specify a duration larger than 2^32 seconds")
