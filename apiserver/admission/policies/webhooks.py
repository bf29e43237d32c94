"""Admission webhooks: servers that are asked about a request, and may change or refuse it.

A webhook that does not answer in time counts as its failurePolicy says.
Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/{mutating,validating}/dispatcher.go
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import ssl
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CONNECT, CREATE, DELETE, UPDATE, Attributes, Plugin
from apiserver.admission.policies.evaluation import Evaluation, request_of
from apiserver.admission.policies.matching import Matcher, is_exempt
from apiserver.outbound import Target, post
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.cel.errors import EvaluationError
from openapi.meta import status
from openapi.schema.decode import DecodeError, decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, json_patch
from openapi.schema.load import schema_for

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
DEFAULT_TIMEOUT_S = 10
_HARMLESS = frozenset(("None", "NoneOnDryRun"))


class CallFailed(Exception):
    """The webhook could not be asked, or did not answer as it must."""


class Caller:
    """Calls webhooks by URL, or by service through the addresses behind it."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._services = Lookup(store, catalog, "", "services")
        self._slices = Lookup(store, catalog, "discovery.k8s.io", "endpointslices")
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def call(self, hook: Struct, attributes: Attributes) -> Object:
        """The `response` of the webhook's AdmissionReview. Raises CallFailed."""
        timeout_s = hook.get("timeoutSeconds") or DEFAULT_TIMEOUT_S
        request = {**request_of(attributes), "uid": str(uuid.uuid4())}
        request["object"], request["oldObject"] = attributes.obj, attributes.old
        review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
        try:
            async with asyncio.timeout(timeout_s):
                code, body = await self.post(hook["clientConfig"], orjson.dumps(review), timeout_s)
        except TimeoutError:
            raise CallFailed("failed to call webhook: context deadline exceeded") from None
        except (OSError, ValueError) as err:
            raise CallFailed(f"failed to call webhook: {err}") from err
        if code != 200:
            raise CallFailed(f"failed to call webhook: the server responded with code {code}")
        return _response(body, request["uid"])

    async def post(self, config: Struct, body: bytes, timeout_s: int) -> tuple[int, bytes]:
        """Send a body to where a client configuration points. Raises OSError and ValueError; others limit the time."""
        tls = self._tls(config.get("caBundle", ""))
        if config.get("url"):
            url = urlsplit(config["url"])
            query = f"?{url.query}&timeout={timeout_s}s" if url.query else f"?timeout={timeout_s}s"
            target = Target(url.hostname or "", url.port or 443, (url.path or "/") + query, tls)
            return await post(target, body, server_name=url.hostname or "")
        service = config["service"]
        path = "/" + service.get("path", "").lstrip("/") + f"?timeout={timeout_s}s"
        name = f"{service['name']}.{service['namespace']}.svc"
        url_text = f"https://{name}:{service.get('port', 443)}{path}"
        try:
            host, port = self._address(service)
        except LookupError as err:
            raise OSError(f'Post "{url_text}": {err.args[0]}') from err
        try:
            return await post(Target(host, port, path, tls), body, server_name=name)
        except OSError as err:
            raise OSError(f'Post "{url_text}": {err}') from err

    def _address(self, service: Struct) -> tuple[str, int]:
        """An address behind a service. Raises LookupError."""
        namespace, name, wanted = service["namespace"], service["name"], service.get("port", 443)
        entry = self._services.cached(namespace, name)
        if entry is None:
            raise LookupError(f'service "{name}" not found')
        ports = entry.object()["spec"].get("ports") or ()
        port = next((p for p in ports if p["port"] == wanted), None)
        if port is None:
            raise LookupError(f'no service port {wanted} found for service "{name}"')
        found = []
        for piece in self._slices.all(namespace):
            if piece.labels.get("kubernetes.io/service-name") != name:
                continue
            found += list(_addresses(piece.object(), port.get("name", "")))
        if not found:
            raise LookupError(f'no endpoints available for service "{name}"')
        return random.choice(found)

    def _tls(self, bundle: str) -> ssl.SSLContext:
        context = self._contexts.get(bundle)
        if context is None:
            context = ssl.create_default_context()
            if bundle:
                try:
                    context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
                except (ssl.SSLError, ValueError) as err:
                    raise OSError(f"unable to load root certificates: {err}") from err
            self._contexts[bundle] = context
        return context


def _addresses(piece: Object, port_name: str) -> Iterator[tuple[str, int]]:
    for port in piece.get("ports") or ():
        if port.get("name", "") == port_name and port.get("port"):
            for endpoint in piece.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint["addresses"][0], port["port"]


def _response(body: bytes, uid: str) -> Object:
    try:
        review = orjson.loads(body)
        response: Object = review["response"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as err:
        raise CallFailed("received invalid webhook response: expected an AdmissionReview with a response") from err
    if not isinstance(response, dict) or response.get("uid") != uid:
        got = response.get("uid", "") if isinstance(response, dict) else ""
        raise CallFailed(f'received invalid webhook response: expected response.uid="{uid}", got "{got}"')
    return response


class _Webhooks(Plugin):
    """What both kinds of webhooks share."""

    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None
    configurations = ""

    def __init__(self, store: Store, catalog: Catalog, matcher: Matcher, caller: Caller) -> None:
        self._configurations = Lookup(store, catalog, GROUP, self.configurations)
        self._matcher = matcher
        self._caller = caller

    async def chosen(self, attributes: Attributes) -> list[Object]:
        """The webhooks to ask, in order. Raises what a match condition's error means."""
        entries = self._configurations.all()
        if not entries or is_exempt(attributes):
            return []
        found = []
        for entry in entries:
            for hook in fact(entry, "admission.webhooks", lambda obj: obj.get("webhooks") or []):
                matches = hook.get("rules") and await self._matcher.matches(attributes, hook, "rules")
                if matches and self._conditions_hold(attributes, hook):
                    found.append(hook)
        return found

    def _conditions_hold(self, attributes: Attributes, hook: Struct) -> bool:
        conditions = hook.get("matchConditions")
        if not conditions:
            return True
        try:
            return Evaluation(attributes, None, None, has_params=False).holds(conditions)
        except EvaluationError as err:
            if hook.get("failurePolicy") == "Ignore":
                return False
            raise status.forbidden("", "", "", f"{err}") from err

    async def ask(self, hook: Struct, attributes: Attributes) -> Object | None:
        """The webhook's answer; None for a failure that is to be ignored. Raises 400, 500 and its refusal."""
        name = hook["name"]
        if attributes.dry_run and hook.get("sideEffects") not in _HARMLESS:
            raise status.bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = await self._caller.call(hook, attributes)
        except CallFailed as err:
            if hook.get("failurePolicy") == "Ignore":
                return None
            raise status.internal_error(f'failed calling webhook "{name}": {err}') from err
        attributes.warnings += [str(w) for w in response.get("warnings") or ()]
        for key, value in (response.get("auditAnnotations") or {}).items():
            attributes.annotations[f"{name}/{key}"] = str(value)
        if response.get("allowed") is not True:
            raise _refusal(name, response.get("status") or {})
        return response


class ValidatingWebhooks(_Webhooks):
    """Asks all webhooks at once; the first refusal in their order counts."""

    name = "ValidatingAdmissionWebhook"
    configurations = "validatingwebhookconfigurations"

    async def validate(self, attributes: Attributes) -> None:
        hooks = await self.chosen(attributes)
        if not hooks:
            return
        answers = await asyncio.gather(*(self.ask(h, attributes) for h in hooks), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


class MutatingWebhooks(_Webhooks):
    """Asks webhooks one after the other; those that wish it once more when the object changed after them."""

    name = "MutatingAdmissionWebhook"
    configurations = "mutatingwebhookconfigurations"

    async def mutate(self, attributes: Attributes) -> None:
        hooks = await self.chosen(attributes)
        changed_after: list[Object] = []
        for number, hook in enumerate(hooks):
            if await self._apply(hook, attributes):
                changed_after = [h for h in hooks[:number] if h.get("reinvocationPolicy") == "IfNeeded"]
        for hook in changed_after:
            await self._apply(hook, attributes)

    async def _apply(self, hook: Struct, attributes: Attributes) -> bool:
        """Whether the webhook changed the object."""
        response = await self.ask(hook, attributes)
        if response is None or not response.get("patch") or attributes.obj is None:
            return False
        before = attributes.obj
        try:
            patch = orjson.loads(base64.b64decode(response["patch"]))
            changed = json_patch(before, patch)
            row = attributes.resource
            if not row.custom:
                decode(changed, schema_for(row.gvk), row.gvk)
                apply_defaults(changed, row.gvk)
        except (binascii.Error, orjson.JSONDecodeError, JsonPatchError, InvalidPatch, DecodeError) as err:
            text = f'failed calling webhook "{hook["name"]}": received invalid webhook response: {err}'
            raise status.internal_error(text) from err
        attributes.obj = changed
        return bool(changed != before)


def _refusal(name: str, result: Struct) -> status.StatusError:
    """What a webhook's refusal is answered with."""
    denied = f'admission webhook "{name}" denied the request'
    message, reason = result.get("message", ""), result.get("reason", "")
    text = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    code = result.get("code") or 0
    return status.StatusError(code if code >= 400 else 400, reason, text, details=result.get("details"))
