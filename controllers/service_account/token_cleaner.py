"""Marks, and a year later deletes, generated token Secrets that nobody has used for a year.

The API server notes on a Secret when its token was last used. Only Secrets that their account lists are looked at:
those are the ones that Kubernetes generated in old days.
Follows: pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar

from controllers.runtime.controller import Controller, Reads, Requeue, Runtime
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.kinds import CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS
from controllers.runtime.objects import Key, View, annotations_of, is_deleting, key_of, labels_of, namespace_of, uid_of
from openapi.meta.times import parse_time

log = logging.getLogger(__name__)

UNUSED = timedelta(days=365)
SYNC_S = 24 * 3600.0
TYPE = "kubernetes.io/service-account-token"
NAME_KEY = "kubernetes.io/service-account.name"
UID_KEY = "kubernetes.io/service-account.uid"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
TRACKING = Key("kube-system", "kube-apiserver-legacy-service-account-token-tracking")


class Verdict(Enum):
    """What becomes of a token Secret."""

    KEEP = "keep"
    MARK = "mark"
    DELETE = "delete"


def judge(secret: View, account: View | None, mounted: frozenset[str], now: datetime) -> Verdict:
    """Whether the Secret has been unused for long. `mounted` are the Secrets that pods of its namespace use."""
    metadata = secret["metadata"]
    limit = now - UNUSED
    if is_deleting(secret) or parse_time(metadata["creationTimestamp"]) >= limit:
        return Verdict.KEEP
    last_used = labels_of(secret).get(LAST_USED)
    if last_used is not None:
        day = _day(last_used)
        if day is None or day >= limit.date():
            return Verdict.KEEP
    if account is None or annotations_of(secret).get(UID_KEY, "") not in ("", uid_of(account)):
        return Verdict.KEEP
    listed = {reference.get("name") for reference in account.get("secrets") or ()}
    if metadata["name"] not in listed or metadata["name"] in mounted:
        return Verdict.KEEP
    since = _day(labels_of(secret).get(INVALID_SINCE, ""))
    if since is None:
        return Verdict.MARK
    return Verdict.KEEP if since >= limit.date() else Verdict.DELETE


def secrets_of_pod(pod: View) -> frozenset[str]:
    """The names of all Secrets that a pod refers to, wherever in its spec."""
    return frozenset(_secret_names(pod["spec"], ""))


_REFERENCES = ("secretRef", "SecretRef", "secretKeyRef")


def _secret_names(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _secret_names(item, key)
    elif isinstance(value, dict):
        if value.get("name") and (key in ("imagePullSecrets", "secret") or key.endswith(_REFERENCES)):
            yield value["name"]
        for name, inner in value.items():
            if name == "secretName" and isinstance(inner, str):
                yield inner
            else:
                yield from _secret_names(inner, name)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class LegacyTokenCleaner(Controller):
    name = "legacy-serviceaccount-token-cleaner-controller"
    account = "legacy-service-account-token-cleaner"
    workers = 0
    watches: ClassVar = (Reads(SERVICE_ACCOUNTS), Reads(PODS))

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.secrets = runtime.informers.filtered(SECRETS, f"type={TYPE}").store

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._sweep_daily(),)

    async def reconcile(self, key: Key) -> Requeue | None:
        return None

    async def _sweep_daily(self) -> None:
        while True:
            try:
                await self.sweep()
            except ApiError as error:
                log.warning("legacy tokens not looked at: %s", error)
            await asyncio.sleep(SYNC_S)

    async def sweep(self) -> None:
        """One look at all token Secrets. Raises ApiError."""
        now = self.clock()
        tracking = await self.client.get(CONFIG_MAPS, *TRACKING)
        since = _day((tracking.get("data") or {}).get("since", ""))
        if since is None or now.date() < since + timedelta(days=1) + UNUSED:
            return
        mounted: dict[str, frozenset[str]] = {}
        for secret in self.secrets.all():
            namespace = namespace_of(secret)
            if namespace not in mounted:
                used = (secrets_of_pod(pod) for pod in self.store(PODS).all(namespace))
                mounted[namespace] = frozenset().union(*used)
            account = self.store(SERVICE_ACCOUNTS).get(namespace, annotations_of(secret).get(NAME_KEY, ""))
            await self._carry_out(judge(secret, account, mounted[namespace], now), secret, now)

    async def _carry_out(self, verdict: Verdict, secret: View, now: datetime) -> None:
        metadata = secret["metadata"]
        try:
            if verdict is Verdict.MARK:
                labels = {INVALID_SINCE: now.date().isoformat()}
                patch = {"metadata": {"uid": metadata["uid"], "labels": labels}}
                await self.client.patch(SECRETS, *key_of(secret), patch)
            elif verdict is Verdict.DELETE:
                await self.client.delete(SECRETS, *key_of(secret), resource_version=metadata["resourceVersion"])
        except (Conflict, NotFound):
            return
