"""One request from top to bottom.

parse, authenticate, impersonate, take a seat, authorize, look up, negotiate, verb, answer: in this order, here and
nowhere else. All refusals are StatusErrors and leave through one place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from apiserver.aggregation.proxy import Aggregator, Delegated
from apiserver.audit.log import Audit, id_of
from apiserver.audit.log import current as audited
from apiserver.auth.attributes import Attributes, forbidden
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.authorizer import Chain as Authorizers
from apiserver.auth.impersonation import Impersonation, requested_identity
from apiserver.deadline import Deadline
from apiserver.fairness import Fairness
from apiserver.metrics import Metrics
from apiserver.registry.actions.connect import KINDS as CONNECTED
from apiserver.registry.context import Context, Receive
from apiserver.registry.endpoint import Endpoint
from apiserver.registry.endpoints import Endpoints
from apiserver.registry.options import check_timeout
from apiserver.registry.patch_bodies import patch_type
from apiserver.registry.verbs import Verbs
from apiserver.registry.watches import Watches
from apiserver.request import VERBS, RequestInfo, parse
from apiserver.resources.strategy import User
from apiserver.response import PLAIN, PROTOBUF, Negotiated, Reply, Send, negotiate, send_reply, status_reply
from openapi.meta import status
from openapi.meta.field import quote
from openapi.meta.selectors import SelectorError, parse_field_selector

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Action = Callable[[Context], Awaitable[Reply | None]]
"""A subresource or a kind that is not stored; None when it has answered by itself (streams)."""
ActionKey = tuple[str, str, str]
"""Group, resource, subresource."""

CUSTOM = "*"
"""Group and resource of the actions of custom kinds."""
WRITE_TIMEOUT_S = 60.0
_OF_OBJECTS = frozenset(("get", "update", "patch", "delete"))
_VERBS = frozenset((*VERBS.values(), "list", "watch", "deletecollection"))
_READ_VERBS = frozenset(("get", "list"))
_PLAIN_404 = Reply(404, (b"404 page not found\n",), "text/plain; charset=utf-8")
_BUSY = Reply(
    429, (b"Too many requests, please try again later.\n",), "text/plain; charset=utf-8",
    (("retry-after", "1"), ("x-content-type-options", "nosniff")),
)  # fmt: skip


class Paths(Protocol):
    """Everything that is not a resource: discovery, health, version, metrics, OpenAPI."""

    async def answer(self, info: RequestInfo, headers: Mapping[bytes, bytes]) -> Reply | None:
        """None when there is no such path. Raises StatusError."""
        ...

    def serves_group(self, group: str) -> bool: ...


class Pipeline:
    """The ASGI application."""

    def __init__(
        self,
        *,
        endpoints: Endpoints,
        verbs: Verbs,
        watches: Watches,
        actions: Mapping[ActionKey, Mapping[str, Action]],
        paths: Paths,
        authenticator: Authenticator,
        authorizer: Authorizers,
        metrics: Metrics,
        fairness: Fairness,
        aggregator: Aggregator,
        audit: Audit | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._verbs: Mapping[str, Action] = {
            "create": verbs.create,
            "get": verbs.get,
            "list": verbs.list,
            "update": verbs.update,
            "patch": verbs.patch,
            "delete": verbs.delete,
            "deletecollection": verbs.deletecollection,
        }
        self._watches = watches
        self._actions = actions
        self._paths = paths
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._impersonation = Impersonation(authorizer)
        self._metrics = metrics
        self._fairness = fairness
        self._aggregator = aggregator
        self._audit = audit
        self._write_deadline = Deadline(WRITE_TIMEOUT_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        info = parse(scope["method"], scope["path"], scope["query_string"])
        headers: dict[bytes, bytes] = dict(scope["headers"])
        record, failure = None, None
        audit_id = id_of(headers)
        if self._audit is not None:
            peer = (scope.get("client") or ("",))[0]
            record = self._audit.begin(audit_id, info, scope["query_string"], headers, peer)
            receive, send = record.receive(receive), record.send(send)
        stream = _Sent(send, audit_id)
        try:
            reply = await self._answer(scope, info, headers, receive, stream)
        except _PlainAnswer as answer:
            reply = answer.reply
        except status.StatusError as err:
            reply = status_reply(err, _error_form(headers))
            failure = err.body()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a request failed", extra={"method": info.method, "path": info.at.path})
            reply = status_reply(_panic())
        code = stream.code
        if reply is not None:
            code = reply.code
            if not stream.code:
                gzip = b"gzip" in headers.get(b"accept-encoding", b"")
                await send_reply(stream.send, reply, accepts_gzip=gzip, bodiless=info.method == "HEAD")
        if record is not None:
            record.complete(code, failure)
        self._count(info, code, time.perf_counter() - began)

    async def _answer(
        self, scope: Scope, info: RequestInfo, headers: dict[bytes, bytes], receive: Receive, stream: _Sent
    ) -> Reply | None:
        """Find out who asks, and wait for a seat. Raises StatusError."""
        if info.malformed:
            raise _PlainAnswer(_internal_error(info))
        if "timeout" in info.query and not info.is_long_running:
            check_timeout(info)
        peer = scope["state"].get("peer")
        user = self._authenticator.remembered(headers, peer)
        if user is None:
            user = await self._authenticator.authenticate(headers, peer)
        attributes = _attributes(user, info)
        record = None if self._audit is None else audited.get()
        if record is not None:
            record.identified(attributes)
        if any(h.startswith(b"impersonate-") for h in headers):
            wanted = requested_identity(scope["headers"])
            if wanted is not None:
                user = self._impersonation.impersonate(wanted, attributes)
                attributes = attributes._replace(user=user)
                if record is not None:
                    record.impersonated(user)
        if info.is_long_running and info.verb != "watch":
            return await self._permitted(scope, info, attributes, headers, receive, stream.send)
        flow = self._fairness.classify(user, info)
        stream.headers += flow.headers
        if info.verb == "watch":
            return await self._permitted(scope, info, attributes, headers, receive, stream.send)
        if not (self._fairness.start(flow.level) or await self._fairness.wait(flow)):
            raise _PlainAnswer(_BUSY)
        try:
            return await self._permitted(scope, info, attributes, headers, receive, stream.send)
        finally:
            self._fairness.give_back(flow.level)

    async def _permitted(
        self, scope: Scope, info: RequestInfo, attributes: Attributes, headers: dict[bytes, bytes], receive: Receive,
        send: Send,
    ) -> Reply | None:  # fmt: skip
        """Let the authorizer decide, then hand the request to whom it is for. Raises StatusError."""
        decision = self._authorizer.authorize(attributes)
        record = None if self._audit is None else audited.get()
        if record is not None:
            record.decided(allowed=decision.allowed, reason=decision.reason)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)
        user = attributes.user
        if not info.at.is_resource or self._endpoints.find(info.at.group, info.at.version, info.at.resource) is None:
            owner = self._owner(info)
            if owner is not None:
                connection = scope["state"].get("connection")
                request = Delegated(info, user, headers, scope["headers"], receive, send, connection)
                return await self._aggregator.answer(request, *owner)
        if not info.at.is_resource:
            return await self._answer_path(info, headers)
        if info.verb == "watch":
            return await self._watch(self._context(scope, info, user, headers, receive, send))
        return await self._perform(self._context(scope, info, user, headers, receive, send))

    async def _perform(self, context: Context) -> Reply | None:
        """Run the action of a verb. What was gathered as warnings goes out with a refusal too."""
        action = self._action(context)
        try:
            if context.info.verb in _READ_VERBS or context.is_long_running:
                reply = await action(context)
            else:
                with self._write_deadline:
                    reply = await action(context)
        except TimeoutError:
            raise status.timeout("request did not complete within the allotted timeout") from None
        except status.StatusError as err:
            err.warnings = context.warnings
            raise
        if reply is not None:
            reply.warnings = context.warnings
        return reply

    def _context(
        self, scope: Scope, info: RequestInfo, user: User, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> Context:
        """Look the resource up and negotiate. Raises 404, 405, 406."""
        at = info.at
        endpoint = self._endpoints.find(at.group, at.version, at.resource)
        if endpoint is None:
            if at.group and not self._paths.serves_group(at.group):
                raise _PlainAnswer(_PLAIN_404)
            raise status.page_not_found()
        try:
            _check_scope(endpoint, info)
        except status.StatusError:
            if endpoint.resource.custom:
                raise _PlainAnswer(_PLAIN_404) from None
            raise
        connects = not at.group and (at.resource, at.subresource) in CONNECTED
        if info.method == "HEAD" and not endpoint.resource.custom and not (connects and at.subresource == "proxy"):
            raise status.method_not_allowed()
        _check_name(endpoint, info)
        collection = not at.name and info.method == "GET"
        accept = headers.get(b"accept", b"").decode("latin-1")
        try:
            negotiated = PLAIN if connects else negotiate(
                accept, listing=collection or info.verb == "watch", watching=info.verb == "watch",
                has_protobuf=PROTOBUF not in accept or endpoint.has_protobuf,
                has_table="as=Table" not in accept or endpoint.has_table(at.subresource),
                routed=not endpoint.resource.custom,
            )  # fmt: skip
        except status.StatusError as err:
            bare = Context(info, endpoint, user, headers, PLAIN, datetime.now(UTC), receive, send)
            raise self._refusal(bare, err) from None
        agent = headers.get(b"user-agent", b"")
        pretty = info.flag("pretty") if "pretty" in info.query else agent.startswith((b"curl", b"Wget", b"Mozilla"))
        context = Context(info, endpoint, user, headers, negotiated, datetime.now(UTC), receive, send)
        context.pretty = pretty
        if self._audit is not None:
            context.annotations = _audit_annotations()
        context.connection = scope["state"].get("connection")
        context.all_headers = scope["headers"]
        if endpoint.resource.deprecation:
            context.warnings.append(endpoint.resource.deprecation)
        return context

    def _refusal(self, context: Context, unacceptable: status.StatusError) -> status.StatusError:
        """What is told of an answer that cannot be made: a route looks at the method and the body's type first."""
        info = context.info
        if context.endpoint.resource.custom or info.verb == "watch":
            return unacceptable
        self._action(context)
        if info.verb == "patch":
            patch_type(context.content_type, custom=False)
        text = unacceptable.message.removeprefix("406: Not Acceptable")
        bodiless = context.headers.get(b"content-length", b"0") == b"0" and info.method in ("POST", "PUT", "PATCH")
        if bodiless and text != unacceptable.message:
            return status.StatusError(415, "UnsupportedMediaType", f"415: Unsupported Media Type{text}", details={})
        return unacceptable

    def _action(self, context: Context) -> Action:
        """What answers a verb. Raises 404 for unknown subresources, 405 for verbs that are not served."""
        info, row = context.info, context.endpoint.resource
        verb, subresource = info.verb, info.at.subresource
        special = self._actions.get((row.group, row.resource, subresource))
        if special is None and subresource and row.custom:
            special = self._custom_action(context)
        if special is not None:
            action = special.get(verb)
            if action is not None:
                return action
            if subresource or not row.verbs:
                raise _not_served(context)
        if subresource:
            known = row.subresource(subresource)
            if known is None and row.custom:
                raise status.not_found(row.group, row.resource, info.at.name)
            if known is None:
                raise status.page_not_found()
            if verb not in known.verbs or verb not in self._verbs or subresource not in context.endpoint.subresources:
                raise _not_served(context)
        elif verb not in row.verbs:
            raise _not_served(context)
        return self._verbs[verb]

    def _custom_action(self, context: Context) -> Mapping[str, Action] | None:
        """The action of a subresource that any custom kind may have."""
        subresource = context.info.at.subresource
        if context.endpoint.resource.subresource(subresource) is None:
            return None
        return self._actions.get((CUSTOM, CUSTOM, subresource))

    async def _watch(self, context: Context) -> Reply | None:
        row, info = context.endpoint.resource, context.info
        if info.at.watch_prefix and (info.at.subresource or "watch" not in row.verbs):
            raise status.page_not_found()
        if info.method != "GET" or info.at.subresource:
            raise status.method_not_allowed()
        if "watch" not in row.verbs:
            if "list" in row.verbs:
                raise status.method_not_supported(row.group, row.resource, "watch")
            raise status.method_not_allowed()
        labels = _labels(context.info)[2:6]
        key = ("WATCH", *labels, _scope(context.info), "apiserver")
        watches = self._metrics.watches
        watches[key] = watches.get(key, 0) + 1
        try:
            await self._watches.watch(context)
        finally:
            watches[key] -= 1
        return None

    def _owner(self, info: RequestInfo) -> tuple[str, str] | None:
        """Group and version of the API service that hands a request to another server."""
        at = info.at
        if at.is_resource:
            owner = (at.group, at.version)
        else:
            match at.path.strip("/").split("/"):
                case ["apis", group, version]:
                    owner = (group, version)
                case ["openapi", "v3", *_]:
                    return self._aggregator.openapi_owner(at.path)
                case _:
                    return None
        return owner if owner[0] and self._aggregator.serves(*owner) else None

    async def _answer_path(self, info: RequestInfo, headers: Mapping[bytes, bytes]) -> Reply:
        reply = await self._paths.answer(info, headers)
        return _PLAIN_404 if reply is None else reply

    def _count(self, info: RequestInfo, code: int, seconds: float) -> None:
        self._metrics.request(_labels(info), str(code), seconds)


class _Sent:
    """Names every answer by the request's audit id and what else is in `headers`, and remembers its code."""

    __slots__ = ("_send", "code", "headers")

    def __init__(self, send: Send, audit_id: bytes) -> None:
        self._send = send
        self.headers: tuple[tuple[bytes, bytes], ...] = ((b"audit-id", audit_id),)
        self.code = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            message["headers"] = [*self.headers, *message.get("headers", ())]
        await self._send(message)


class _PlainAnswer(Exception):
    """A path that no API group of this server serves: plain text, not a Status."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


def _internal_error(info: RequestInfo) -> Reply:
    """The plain text for what cannot be told apart by its path."""
    path = info.at.path
    why = f"failed to create RequestInfo: unable to determine kind and namespace from url, {path}"
    return Reply(500, (f"Internal Server Error: {quote(path)}: {why}\n".encode(),), "text/plain; charset=utf-8")


def _audit_annotations() -> dict[str, str]:
    """Where what admission notes of a request goes into its audit events."""
    record = audited.get()
    return {} if record is None else record.annotations


def _attributes(user: User, info: RequestInfo) -> Attributes:
    """The question for the authorizer."""
    at = info.at
    if not at.is_resource:
        return Attributes(user, info.verb, path=at.path, is_resource=False)
    fields, labels, name = "", "", at.name
    if info.query:
        fields, labels = info.first("fieldSelector"), info.first("labelSelector")
        if fields and not name and info.verb in ("list", "watch"):
            name = _selected_name(fields)
    return Attributes(
        user, info.verb, at.group, at.version, at.resource, at.subresource, at.namespace, name, at.path, True,
        fields, labels,
    )  # fmt: skip


def _selected_name(fields: str) -> str:
    """The one object that a list of `metadata.name=x` is about."""
    try:
        return parse_field_selector(fields).exact("metadata.name") or ""
    except SelectorError:
        return ""


def _not_served(context: Context) -> status.StatusError:
    """The 405 of a verb: built-in kinds have no route for it, custom ones look at it themselves."""
    row, verb = context.endpoint.resource, context.info.verb
    if not row.custom:
        return status.method_not_allowed()
    return status.method_not_supported(row.group, row.resource, verb if verb in _VERBS else "")


def _check_name(endpoint: Endpoint, info: RequestInfo) -> None:
    """Objects are made in their collection and changed by their name. Raises 404 and 405, for custom kinds 400."""
    at, custom = info.at, endpoint.resource.custom
    if at.name and not at.subresource and not custom and _OF_OBJECTS.isdisjoint(endpoint.resource.verbs):
        raise status.page_not_found()
    if info.verb in ("update", "patch") and not at.name:
        raise status.bad_request("name must be provided") if custom else status.method_not_allowed()
    if info.verb == "create" and at.name and not at.subresource and not custom:
        raise status.method_not_allowed()


def _check_scope(endpoint: Endpoint, info: RequestInfo) -> None:
    """A path must fit the resource's scope. Raises 404 or 405."""
    at, row = info.at, endpoint.resource
    if row.namespaced:
        if at.namespace:
            return
        if at.name or "list" not in row.verbs:
            raise status.page_not_found()
        if info.verb not in ("list", "watch"):
            raise status.method_not_allowed()
    elif at.namespace and (row.resource != "namespaces" or at.name != at.namespace):
        raise status.page_not_found()


def _error_form(headers: Mapping[bytes, bytes]) -> Negotiated:
    """The media type of a Status: YAML when that alone is asked for."""
    accept = headers.get(b"accept", b"").decode("latin-1")
    try:
        return Negotiated(negotiate(accept).media)
    except status.StatusError:
        return PLAIN


def _panic() -> status.StatusError:
    text = "This request caused apiserver to panic. Look in the logs for details."
    return status.StatusError(500, "InternalError", text)


def _scope(info: RequestInfo) -> str:
    if info.at.name or info.verb == "create":
        return "resource"
    return "namespace" if info.at.namespace else "cluster"


def _labels(info: RequestInfo) -> tuple[str, ...]:
    """The labels that requests are counted under."""
    at = info.at
    if not at.is_resource:
        return (info.method, "", "", "", "", at.path if len(at.path) < 64 else "", "", "apiserver")
    dry = "All" if "dryRun" in info.query else ""
    return (_METRIC_VERBS.get(info.verb, info.method), dry, at.group, at.version, at.resource, at.subresource,
            _scope(info), "apiserver")  # fmt: skip


_METRIC_VERBS = {
    "create": "POST", "get": "GET", "list": "LIST", "watch": "WATCH", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION",
}  # fmt: skip
