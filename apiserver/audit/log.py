"""Events of the audit log, one JSON line each, written at the stages of a request.

Follows: staging/src/k8s.io/apiserver/pkg/endpoints/filters/audit.go, pkg/audit/request.go, plugin/pkg/audit/log
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from apiserver.audit.policy import METADATA, NONE, REQUEST, RESPONSE, VERSION, Policy, Verdict
from apiserver.auth.attributes import Attributes
from apiserver.request import RequestInfo
from apiserver.resources.strategy import User
from openapi.meta.randoms import random_uuid
from openapi.meta.times import format_micro_time

Object = dict[str, Any]
Message = Any

MOST_BYTES = 3 * 1024 * 1024
"""Longer bodies are left out."""
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"

MAX_ID_BYTES = 64

current: ContextVar[Record | None] = ContextVar("audited request", default=None)
"""The request that runs, where it is audited."""


def id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The id by which a request is known in its answer and in the log: the client's own, or a new one (a UUID)."""
    given = headers.get(b"audit-id")
    if given:
        return given[:MAX_ID_BYTES]
    return random_uuid().encode()


class Audit:
    """Where events go. `path` `-` is the standard output."""

    def __init__(self, policy: Policy, path: str) -> None:
        self.policy = policy
        self._file: BinaryIO = sys.stdout.buffer if path == "-" else Path(path).open("ab", buffering=0)  # noqa: SIM115

    def begin(
        self, audit_id: bytes, info: RequestInfo, query: bytes, headers: Mapping[bytes, bytes], peer: str
    ) -> Record:
        record = Record(self, audit_id, info, query, headers, peer)
        current.set(record)
        return record

    def write(self, event: Object) -> None:
        self._file.write(orjson.dumps(event) + b"\n")

    def close(self) -> None:
        if self._file is not sys.stdout.buffer:
            self._file.close()


class Record:
    """One request. Nothing is logged of it before it is known whose it is."""

    def __init__(
        self,
        audit: Audit,
        audit_id: bytes,
        info: RequestInfo,
        query: bytes,
        headers: Mapping[bytes, bytes],
        peer: str,
    ) -> None:
        self._audit = audit
        self._verdict = Verdict(NONE)
        self._info = info
        self.annotations: dict[str, str] = {}
        self._sent, self._answered = bytearray(), bytearray()
        uri = info.at.path + (f"?{query.decode('latin-1')}" if query else "")
        self._event: Object = {
            "kind": "Event", "apiVersion": VERSION, "level": METADATA, "auditID": audit_id.decode("latin-1"),
            "stage": "", "requestURI": uri, "verb": info.verb, "user": {}, "sourceIPs": [peer] if peer else [],
        }  # fmt: skip
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        if agent:
            self._event["userAgent"] = agent
        self._received = format_micro_time(datetime.now(UTC))

    def identified(self, asked: Attributes) -> None:
        """It is known who asks for what: the policy decides, and the first stage is logged."""
        self._verdict = self._audit.policy.verdict(asked)
        self._event["level"] = self._verdict.level
        self._event["user"] = _user(asked.user)
        if asked.is_resource:
            named = {
                "resource": asked.resource, "namespace": asked.namespace, "name": asked.name,
                "apiGroup": asked.group, "apiVersion": asked.version, "subresource": asked.subresource,
            }  # fmt: skip
            self._event["objectRef"] = {name: value for name, value in named.items() if value}
        self._log("RequestReceived")

    def impersonated(self, user: User) -> None:
        self._event["impersonatedUser"] = _user(user)

    def decided(self, *, allowed: bool, reason: str) -> None:
        self.annotations[DECISION] = "allow" if allowed else "forbid"
        self.annotations[REASON] = reason

    def receive(self, receive: Callable[[], Awaitable[Message]]) -> Callable[[], Awaitable[Message]]:
        """Listens to what the client sends."""

        async def listening() -> Message:
            message = await receive()
            if self._verdict.level in (REQUEST, RESPONSE):
                self._sent += message.get("body", b"")
            return message

        return listening

    def send(self, send: Callable[[Message], Awaitable[None]]) -> Callable[[Message], Awaitable[None]]:
        """Listens to what the client is sent."""

        async def listening(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                if self._info.is_long_running:
                    self._event["responseStatus"] = {"metadata": {}, "code": message["status"]}
                    self._log("ResponseStarted")
            elif self._verdict.level == RESPONSE and not self._info.is_long_running:
                self._answered += message.get("body", b"")

        return listening

    def complete(self, code: int, failure: Mapping[str, Any] | None) -> None:
        """The answer is out; `failure` is its Status, where it is one."""
        shown: Object = {"metadata": {}}
        if failure is not None:
            shown |= {name: failure[name] for name in ("status", "message", "reason", "details") if failure.get(name)}
        self._event["responseStatus"] = {**shown, "code": code}
        for name, body in (("requestObject", self._sent), ("responseObject", self._answered)):
            found = _parsed(body)
            if found is not None:
                self._event[name] = self._trimmed(found)
        self._log("ResponseComplete")

    def _trimmed(self, obj: Object) -> Object:
        meta = obj.get("metadata")
        if self._verdict.omits_managed_fields and isinstance(meta, dict):
            obj["metadata"] = {name: value for name, value in meta.items() if name != "managedFields"}
        return obj

    def _log(self, stage: str) -> None:
        if self._verdict.level == NONE or stage in self._verdict.omitted:
            return
        event = {**self._event, "stage": stage, "requestReceivedTimestamp": self._received}
        event["stageTimestamp"] = format_micro_time(datetime.now(UTC))
        if self.annotations:
            event["annotations"] = self.annotations
        self._audit.write(event)


def _user(user: User) -> Object:
    found: Object = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def _parsed(body: bytearray) -> Object | None:
    """The JSON object of a body; None for anything else."""
    if not body.startswith(b"{") or len(body) > MOST_BYTES:
        return None
    try:
        found: Object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found
