"""Deletes requests that are over: signed, denied or failed an hour ago, or waiting for a day.

Follows: pkg/controller/certificates/cleaner/cleaner.go
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from cryptography import x509

from controllers.runtime.controller import Controller, For, Requeue
from controllers.runtime.errors import NotFound
from controllers.runtime.kinds import CERTIFICATE_SIGNING_REQUESTS
from controllers.runtime.objects import Key, View, is_deleting, uid_of
from openapi.meta.times import parse_time

_PENDING = timedelta(hours=24)
_AFTER: Mapping[str, timedelta] = {kind: timedelta(hours=1) for kind in ("Approved", "Denied", "Failed")}


def ends_at(request: View) -> datetime:
    """When the request is over."""
    status = request.get("status") or {}
    conditions = status.get("conditions") or ()
    created = parse_time(request["metadata"]["creationTimestamp"])
    if not conditions:
        return created + _PENDING
    ends = [
        parse_time(found["lastUpdateTime"]) + _AFTER[found["type"]]
        for found in conditions
        if found["type"] in _AFTER and found.get("lastUpdateTime")
    ]
    expiry = _expiry(status.get("certificate"))
    return min([*ends, expiry] if expiry is not None else ends, default=created + _PENDING)


def _expiry(certificate: str | None) -> datetime | None:
    """When the issued certificate ends; None for none, or one that cannot be read."""
    if not certificate:
        return None
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc
    except ValueError:
        return None


class CleanerController(Controller):
    name = "certificatesigningrequest-cleaner-controller"
    account = "certificate-controller"
    workers = 1
    watches: ClassVar = (For(CERTIFICATE_SIGNING_REQUESTS),)

    async def reconcile(self, key: Key) -> Requeue | None:
        request = self.store(CERTIFICATE_SIGNING_REQUESTS).get(*key)
        if request is None or is_deleting(request):
            return None
        left = (ends_at(request) - self.clock()).total_seconds()
        if left > 0:
            return Requeue(left)
        try:
            await self.client.delete(CERTIFICATE_SIGNING_REQUESTS, *key, uid=uid_of(request))
        except NotFound:
            return None
        return None
