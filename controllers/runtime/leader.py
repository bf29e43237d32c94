"""Leader election by a Lease: of many processes of a kind, one works.

A lease that was not renewed for its duration, by this process's own clock, may be taken. Whoever cannot renew in time
must stop before that. On a graceful end the lease is given back, so that the next one need not wait.
Follows: staging/src/k8s.io/client-go/tools/leaderelection/leaderelection.go
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
import uuid
from dataclasses import dataclass

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import LEASES
from controllers.runtime.objects import Object
from openapi.meta.times import Clock, format_micro_time

log = logging.getLogger(__name__)

IDENTITY_HELP = "as whom to hold the lease; a process that has its holder's name goes on at once (default: a new name)"


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """In seconds: how long a lease holds, when a leader that cannot renew gives up, how often it is tried."""

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


def new_identity() -> str:
    """A name no other process has."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class LeadershipLost(Exception):
    """The lease could not be renewed in time; whatever only a leader may do must end now."""


class Elector:
    """One candidate for one lease: `acquire`, then `hold` for as long as it leads, then `release`."""

    def __init__(
        self, client: Client, namespace: str, name: str, identity: str, clock: Clock, times: LeaseTimes
    ) -> None:
        self._client = client.urgent("leader-election", times.renew_deadline_s / 2)
        self.namespace = namespace
        self.name = name
        self._clock = clock
        self._times = times
        self._lease: Object | None = None
        self._observed_spec: Object = {}
        self._observed_at = 0.0
        self.identity = identity

    @property
    def is_leader(self) -> bool:
        return bool(self._observed_spec.get("holderIdentity") == self.identity)

    async def acquire(self) -> Object:
        """Wait until this process leads; answers the lease."""
        while not await self._try():  # noqa: ASYNC110  nobody but the server knows when it is our turn
            await asyncio.sleep(self._times.retry_s * random.uniform(1.0, 1.2))
        log.info("leading", extra={"lease": self.name, "identity": self.identity})
        assert self._lease is not None
        return self._lease

    async def hold(self) -> None:
        """Renew until it fails for too long; then LeadershipLost."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._times.retry_s)
            left_s = self._times.renew_deadline_s - (time.monotonic() - renewed)
            try:
                async with asyncio.timeout(max(left_s, 0.001)):
                    if await self._try():
                        renewed = time.monotonic()
                        continue
            except TimeoutError:
                left_s = 0
            if left_s <= 0 or time.monotonic() - renewed > self._times.renew_deadline_s:
                raise LeadershipLost(f"{self.namespace}/{self.name}")

    async def release(self) -> None:
        """Give the lease back, if it is ours."""
        if not self.is_leader or self._lease is None:
            return
        now = format_micro_time(self._clock())
        spec = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": now,
            "acquireTime": now,
            "leaseTransitions": self._observed_spec.get("leaseTransitions", 0),
        }
        try:
            await self._client.update(LEASES, {**self._lease, "spec": spec})
        except ApiError as error:
            log.info("lease not released: %s", error)
        self._observed_spec = {}

    async def _try(self) -> bool:
        """One attempt to take or renew the lease."""
        try:
            if self.is_leader and self._lease is not None:
                return await self._write(self._lease)
            return await self._take()
        except ApiError as error:
            log.debug("lease attempt failed: %s", error)
            if error.code:
                # Somebody else may have changed it: look before the next attempt.
                self._lease = None
            return False

    async def _take(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self.namespace, self.name)
        except NotFound:
            metadata = {"name": self.name, "namespace": self.namespace}
            return await self._write({"kind": "Lease", "apiVersion": LEASES.api_version, "metadata": metadata})
        spec = lease.get("spec") or {}
        if spec != self._observed_spec:
            self._observed_spec, self._observed_at = spec, time.monotonic()
        held_s = float(spec.get("leaseDurationSeconds") or 0)
        holder = spec.get("holderIdentity")
        if holder and holder != self.identity and time.monotonic() < self._observed_at + held_s:
            return False
        return await self._write(lease)

    async def _write(self, lease: Object) -> bool:
        old, now = lease.get("spec") or {}, format_micro_time(self._clock())
        renewing = old.get("holderIdentity") == self.identity
        transitions = old.get("leaseTransitions", 0)
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": round(self._times.duration_s),
            "acquireTime": old.get("acquireTime", now) if renewing else now,
            "renewTime": now,
            "leaseTransitions": transitions if renewing or not old else transitions + 1,
        }
        wanted = {**lease, "spec": spec}
        exists = "resourceVersion" in lease["metadata"]
        call = self._client.update if exists else self._client.create
        self._lease = await call(LEASES, wanted)
        self._observed_spec, self._observed_at = self._lease["spec"], time.monotonic()
        return True
