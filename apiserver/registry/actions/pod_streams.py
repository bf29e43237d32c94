"""log, exec, attach and portforward of a pod: checked here, answered by the pod's node.

Follows: pkg/registry/core/pod/strategy.go LogLocation, streamLocation, PortForwardLocation
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from apiserver.outbound import Target, Unreached, query_text
from apiserver.registry.actions.connect import admit_connect
from apiserver.registry.actions.nodes import Nodes
from apiserver.registry.actions.services import Services
from apiserver.registry.context import Context
from apiserver.registry.options import parse_int
from apiserver.response import Reply
from apiserver.streams import carry, fetch_text, upgrade_failure, wants_upgrade
from openapi.meta import status
from openapi.meta.field import WHOLE, FieldError, forbidden, invalid
from openapi.meta.field import quote as quoted
from openapi.meta.times import TimeError, parse_time

Object = dict[str, Any]

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_NUMBERS = (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1))
_STREAM_FLAGS = ("stdin", "stdout", "stderr", "tty")


class PodStreams:
    """The connecting subresources of pods."""

    def __init__(self, services: Services, nodes: Nodes) -> None:
        self._services = services
        self._nodes = nodes

    async def log(self, context: Context) -> Reply | None:
        query, name = context.info.query, context.info.at.name
        errors = list(_log_errors(context))
        if errors:
            raise status.invalid("", "PodLogOptions", name, errors)
        pod = await self._pod(context)
        container = _container(pod, context.info.first("container"), name)
        node = pod["spec"].get("nodeName")
        if not node:
            return Reply(204, (), "")
        wanted = {k: v for k, v in query.items() if k not in ("container", "insecureSkipTLSVerifyBackend", "pretty")}
        meta = pod["metadata"]
        path = f"/containerLogs/{meta['namespace']}/{name}/{quote(container)}{query_text(wanted)}"
        target = self._nodes.target(node, path)
        try:
            await fetch_text(context, target, lambda code, text: _log_refusal(name, code, text))
        except Unreached as err:
            raise status.StatusError(500, "", f"Get {quoted(target.url)}: {err}") from err
        return None

    async def execute(self, context: Context) -> None:
        await self._stream(context, "exec")

    async def attach(self, context: Context) -> None:
        await self._stream(context, "attach")

    async def port_forward(self, context: Context) -> None:
        given = context.info.query.get("ports") or ()
        ports = ",".join(str(parse_int(port, 32)) for text in given for port in text.split(",") if port)
        pod = await self._pod(context)
        await admit_connect(self._services, context)
        node = _node_of(pod)
        meta = pod["metadata"]
        path = f"/portForward/{meta['namespace']}/{meta['name']}{query_text({'port': [ports]} if ports else {})}"
        await _join(context, self._nodes.target(node, path))

    async def _stream(self, context: Context, verb: str) -> None:
        pod = await self._pod(context)
        info, meta = context.info, pod["metadata"]
        await admit_connect(self._services, context)
        container = _container(pod, info.first("container"), meta["name"])
        node = _node_of(pod)
        query: dict[str, list[str]] = {}
        for flag in _STREAM_FLAGS:
            if info.flag(flag):
                query["input" if flag == "stdin" else "output" if flag == "stdout" else
                      "error" if flag == "stderr" else flag] = ["1"]  # fmt: skip
        if verb == "exec":
            query["command"] = info.query.get("command") or []
        path = f"/{verb}/{meta['namespace']}/{meta['name']}/{quote(container)}{query_text(query)}"
        await _join(context, self._nodes.target(node, path))

    async def _pod(self, context: Context) -> Object:
        entry = await self._services.reads.get(context.endpoint, context.namespace, context.info.at.name, context.info)
        return entry.object()


async def _join(context: Context, target: Target) -> None:
    """Join the client's connection with one to `target`. Raises 400 where the client does not offer that."""
    if not wants_upgrade(context):
        raise status.bad_request("Upgrade request required")
    try:
        await carry(context, target)
    except Unreached as err:
        raise upgrade_failure(err) from err


def _log_refusal(name: str, code: int, text: str) -> status.StatusError:
    """Follows: staging/src/k8s.io/apiserver/pkg/registry/generic/rest/response_checker.go"""
    if code == 400:
        return status.bad_request(text)
    if code == 500:
        return status.internal_error(text)
    return status.server_response(code, "pods/log", name, text)


def _node_of(pod: Object) -> str:
    node: str = pod["spec"].get("nodeName", "")
    if not node:
        raise status.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return node


def _container(pod: Object, wanted: str, name: str) -> str:
    """The container that is meant. Raises 400 when that is not clear."""
    names = [c["name"] for field in _CONTAINERS for c in pod["spec"].get(field) or ()]
    if wanted:
        if wanted not in names:
            raise status.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    regular = pod["spec"].get("containers") or []
    if len(regular) == 1:
        return str(regular[0]["name"])
    raise status.bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")


def _log_errors(context: Context) -> Iterator[FieldError]:
    info = context.info
    since = info.first("sinceTime")
    for field, least in _NUMBERS:
        text = info.first(field)
        if field == "sinceSeconds" and since and text:
            yield forbidden(WHOLE, "at most one of `sinceTime` or `sinceSeconds` may be specified")
        elif text and parse_int(text) < least:
            detail = "must be greater than 0" if least else "must be greater than or equal to 0"
            yield invalid(field, parse_int(text), detail)
    if "stream" in info.query:
        yield forbidden("stream", "may not be specified")
    if since:
        try:
            parse_time(since)
        except TimeError as err:
            raise status.bad_request(str(err)) from err
