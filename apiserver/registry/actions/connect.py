"""What admission is asked about a connection to a pod, service or node: the options that it is opened with.

Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go ConnectResource
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.admission.plugin import CONNECT, Attributes
from apiserver.registry.actions.services import Services
from apiserver.registry.context import Context

KINDS: Mapping[tuple[str, str], str] = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}
_FLAGS = ("stdin", "stdout", "stderr", "tty")


async def admit_connect(services: Services, context: Context) -> None:
    """Ask the admission chain. Raises its refusal."""
    at = context.info.at
    kind = KINDS[at.resource, at.subresource]
    options = {"kind": kind, "apiVersion": "v1", **_options(context, at.subresource)}
    attributes = Attributes(
        CONNECT, context.endpoint.resource, at.subresource, context.namespace, at.name, options, None, context.user,
        context.now, {}, False, context.warnings, context.annotations,
    )  # fmt: skip
    await services.chain.mutate(attributes)
    await services.chain.validate(attributes)


def _options(context: Context, subresource: str) -> dict[str, Any]:
    info = context.info
    if subresource == "proxy":
        path = f"/{info.at.trailing}" if info.at.trailing else info.first("path")
        return {"path": path} if path else {}
    if subresource == "portforward":
        ports = [int(port) for text in info.query.get("ports") or () for port in text.split(",") if port.isdigit()]
        return {"ports": ports} if ports else {}
    found: dict[str, Any] = {flag: True for flag in _FLAGS if info.flag(flag)}
    if info.first("container"):
        found["container"] = info.first("container")
    if subresource == "exec":
        found["command"] = list(info.query.get("command") or ())
    return found
