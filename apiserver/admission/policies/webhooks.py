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
from apiserver.admission.policies.matching import is_exempt
from apiserver.admission.policies.rounds import Rounds
from apiserver.admission.policies.tools import Tools
from apiserver.admission.policies.views import take_back, view_of
from apiserver.outbound import Target, dial_error, post
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.cel.errors import EvaluationError
from openapi.meta import status
from openapi.meta.field import quote
from openapi.schema.decode import DecodeError
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, json_patch

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
ADMISSION, REVIEW = "admission.k8s.io", "AdmissionReview"
REVIEW_VERSIONS = ("v1", "v1beta1")
DEFAULT_TIMEOUT_S = 10
_HEADERS = ((b"user-agent", b"kube-apiserver-admission"),)
_HARMLESS = frozenset(("None", "NoneOnDryRun"))


class CallFailed(Exception):
    """The webhook could not be asked, or did not answer as it must."""


class Caller:
    """Calls webhooks by URL, or by service through the addresses behind it."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._services = Lookup(store, catalog, "", "services")
        self._slices = Lookup(store, catalog, "discovery.k8s.io", "endpointslices")
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def call(self, hook: Struct, attributes: Attributes, *, mutates: bool) -> Object:
        """The `response` of the webhook's AdmissionReview. Raises CallFailed."""
        timeout_s = hook.get("timeoutSeconds") or DEFAULT_TIMEOUT_S
        uid, version = str(uuid.uuid4()), review_version(hook)
        request = {"uid": uid, **request_of(attributes)}
        request["object"], request["oldObject"] = attributes.obj, attributes.old
        review = {"kind": REVIEW, "apiVersion": f"{ADMISSION}/{version}", "request": request}
        try:
            code, body = await self.post(hook["clientConfig"], orjson.dumps(review), timeout_s)
        except (OSError, ValueError) as err:
            raise CallFailed(f"failed to call webhook: {err}") from err
        if not 200 <= code < 300:
            raise CallFailed(f"failed to call webhook: {_told(code, body)}")
        return read_review(body, uid, version, mutates=mutates)

    async def post(self, config: Struct, body: bytes, timeout_s: int) -> tuple[int, bytes]:
        """Send a body to where a client configuration points. Raises OSError, in the words of a Go client."""
        tls = self._tls(config.get("caBundle", ""))
        if config.get("url"):
            url = urlsplit(config["url"])
            query = f"?{url.query}&timeout={timeout_s}s" if url.query else f"?timeout={timeout_s}s"
            path = (url.path or "/") + query
            shown, name = f"{url.scheme}://{url.netloc}{path}", url.hostname or ""
            host, port = name, url.port or 443
        else:
            service = config["service"]
            path = "/" + service.get("path", "").lstrip("/") + f"?timeout={timeout_s}s"
            name = f"{service['name']}.{service['namespace']}.svc"
            shown = f"https://{name}:{service.get('port', 443)}{path}"
            try:
                host, port = self._address(service)
            except LookupError as err:
                raise OSError(f'Post "{shown}": {err.args[0]}') from err
        target = Target(host, port, path, tls)
        try:
            async with asyncio.timeout(timeout_s):
                return await post(target, body, server_name=name, headers=_HEADERS)
        except TimeoutError:
            raise OSError(f'Post "{shown}": context deadline exceeded') from None
        except (OSError, ValueError) as err:
            raise OSError(f'Post "{shown}": {dial_error(target, err)}') from err

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


def review_version(hook: Struct) -> str:
    """The version of AdmissionReview to ask with: the first of the webhook's that is known. Raises CallFailed."""
    for version in hook.get("admissionReviewVersions") or ():
        if version in REVIEW_VERSIONS:
            return str(version)
    why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
    raise CallFailed(f"could not create admission objects: {why}")


def read_review(body: bytes, uid: str, version: str, *, mutates: bool) -> Object:
    """The `response` of an answer, with its patch as JSON text. Raises CallFailed.

    Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/request/admissionreview.go
    """
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise CallFailed(f"failed to call webhook: couldn't get version/kind; json parse error: {err}") from err
    if not isinstance(review, dict) or not review.get("kind"):
        raise CallFailed(f"failed to call webhook: Object 'Kind' is missing in '{body.decode(errors='replace')}'")
    response: Object | None = review.get("response")
    if not isinstance(response, dict):
        raise CallFailed("received invalid webhook response: webhook response was absent")
    why = _fault(review, response, uid, mutates=mutates) if version == "v1" else ""
    if why:
        raise CallFailed(f"received invalid webhook response: {why}")
    return response


def _fault(review: Struct, response: Struct, uid: str, *, mutates: bool) -> str:
    """What is wrong with an answer at v1; empty if nothing."""
    patch, kind = response.get("patch"), response.get("patchType")
    if response.get("uid", "") != uid:
        return f"expected response.uid={quote(uid)}, got {quote(str(response.get('uid', '')))}"
    if (review.get("apiVersion"), review["kind"]) != (f"{ADMISSION}/v1", REVIEW):
        got = f"{review.get('apiVersion', '')}, Kind={review['kind']}"
        return f"expected webhook response of {ADMISSION}/v1, Kind={REVIEW}, got {got}"
    if not mutates:
        if patch:
            return "validating webhook may not return response.patch"
        return "validating webhook may not return response.patchType" if kind is not None else ""
    if patch and kind is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and kind is not None:
        return "webhook returned response.patchType but not response.patch"
    return f"webhook returned invalid response.patchType of {quote(kind)}" if kind == "" else ""


def _told(code: int, body: bytes) -> str:
    """What an answer that is none is told as: its own Status, or what the code means."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and answer.get("kind") == "Status" and answer.get("message"):
        return str(answer["message"])
    return status.server_response(code, "", "", body.decode(errors="replace").strip()).message.removesuffix(" (  )")


class _Webhooks(Plugin):
    """What both kinds of webhooks share."""

    mutates = False

    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None
    configurations = ""

    def __init__(self, store: Store, catalog: Catalog, caller: Caller, tools: Tools) -> None:
        self._configurations = Lookup(store, catalog, GROUP, self.configurations)
        self._caller = caller
        self._matcher, self._versions, self._allows = tools

    def hooks(self, attributes: Attributes) -> Iterator[tuple[str, Object]]:
        """All webhooks in order, each under a name of its own."""
        entries = self._configurations.all()
        if not entries or is_exempt(attributes):
            return
        for entry in entries:
            for hook in fact(entry, "admission.webhooks", lambda obj: obj.get("webhooks") or []):
                yield f"{entry.name}/{hook['name']}", hook

    async def view(self, hook: Struct, attributes: Attributes) -> Attributes | None:
        """The question as the webhook is to see it; None if it is not asked. Raises what a condition's error means."""
        row = await self._matcher.match(attributes, hook, "rules") if hook.get("rules") else None
        if row is None:
            return None
        view = await view_of(attributes, row, self._versions)
        return view if self._conditions_hold(view, hook) else None

    def _conditions_hold(self, view: Attributes, hook: Struct) -> bool:
        conditions = hook.get("matchConditions")
        if not conditions:
            return True
        try:
            return Evaluation(view, None, None, has_params=False, allows=self._allows).holds(conditions)
        except EvaluationError as err:
            if hook.get("failurePolicy") == "Ignore":
                return False
            raise status.forbidden("", "", "", f"{err}") from err

    async def ask(self, hook: Struct, view: Attributes) -> Object | None:
        """The webhook's answer; None for a failure that is to be ignored. Raises 400, 500 and its refusal."""
        name = hook["name"]
        if view.dry_run and hook.get("sideEffects") not in _HARMLESS:
            raise status.bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = await self._caller.call(hook, view, mutates=self.mutates)
        except CallFailed as err:
            if hook.get("failurePolicy") == "Ignore":
                return None
            raise status.internal_error(f'failed calling webhook "{name}": {err}') from err
        view.warnings += [str(w) for w in response.get("warnings") or ()]
        for key, value in (response.get("auditAnnotations") or {}).items():
            view.annotations[f"{name}/{key}"] = str(value)
        if response.get("allowed") is not True:
            raise _refusal(name, response.get("status") or {})
        return response


class ValidatingWebhooks(_Webhooks):
    """Asks all webhooks at once; the first refusal in their order counts."""

    name = "ValidatingAdmissionWebhook"
    configurations = "validatingwebhookconfigurations"

    async def validate(self, attributes: Attributes) -> None:
        views = [(hook, await self.view(hook, attributes)) for _, hook in self.hooks(attributes)]
        asked = [self.ask(hook, view) for hook, view in views if view is not None]
        if not asked:
            return  # gathering nothing would still take a turn of the loop
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer


class MutatingWebhooks(_Webhooks):
    """Asks webhooks one after the other; in the second round those that wish it and missed a change."""

    name = "MutatingAdmissionWebhook"
    configurations = "mutatingwebhookconfigurations"
    mutates = True

    async def mutate(self, attributes: Attributes) -> None:
        hooks = list(self.hooks(attributes))
        if not hooks:
            return
        rounds = Rounds.of(attributes, self.name)
        for key, hook in hooks:
            view = await self.view(hook, attributes)
            if view is None or not rounds.wants(key):
                continue
            if await self._apply(hook, attributes, view):
                rounds.changed()
            if hook.get("reinvocationPolicy") == "IfNeeded":
                rounds.asked(key)
        rounds.end()

    async def _apply(self, hook: Struct, attributes: Attributes, view: Attributes) -> bool:
        """Whether the webhook changed the object."""
        response = await self.ask(hook, view)
        if response is None or not response.get("patch"):
            return False
        name = hook["name"]
        try:
            patch = orjson.loads(base64.b64decode(response["patch"]))
        except (binascii.Error, orjson.JSONDecodeError) as err:
            if hook.get("failurePolicy") == "Ignore":
                return False
            text = f'failed calling webhook "{name}": received undecodable patch in webhook response: {err}'
            raise status.internal_error(text) from err
        if not patch:
            return False
        if view.obj is None or attributes.obj is None:
            why = "attempted to modify the object, which is not supported for this operation"
            raise status.internal_error(f"admission webhook {quote(name)} {why}")
        try:
            return await take_back(attributes, view, json_patch(view.obj, patch), self._versions)
        except (JsonPatchError, InvalidPatch, DecodeError) as err:
            raise status.internal_error(str(err)) from err


def _refusal(name: str, result: Struct) -> status.StatusError:
    """What a webhook's refusal is answered with."""
    denied = f'admission webhook "{name}" denied the request'
    message, reason = result.get("message", ""), result.get("reason", "")
    text = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    code = result.get("code") or 0
    return status.StatusError(code if code >= 400 else 400, reason, text, details=result.get("details"))
