"""Probes and lifecycle hooks: one handler each, sound numbers, and what only some of them may have.

Follows: pkg/apis/core/validation/validation.go validateProbe, validateHandler, validateLifecycle
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.resources.pods.options import Errors
from openapi.meta.field import forbidden, invalid, not_supported, required
from openapi.meta.names import is_http_header_name, is_port_name, is_port_number

Object = Mapping[str, Any]

NEGATIVE = "must be greater than or equal to 0"
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_SCHEMES = ("HTTP", "HTTPS")


def check_probes(container: Object, grace_s: int | None, path: str, errors: Errors) -> None:
    """The three probes of a container."""
    if "livenessProbe" in container:
        _check_probe(container["livenessProbe"], grace_s, f"{path}.livenessProbe", errors)
        _check_threshold(container["livenessProbe"], f"{path}.livenessProbe", errors)
    if "readinessProbe" in container:
        probe = container["readinessProbe"]
        _check_probe(probe, grace_s, f"{path}.readinessProbe", errors)
        if "terminationGracePeriodSeconds" in probe:
            where = f"{path}.readinessProbe.terminationGracePeriodSeconds"
            text = "must not be set for readinessProbes"
            errors.append(invalid(where, probe["terminationGracePeriodSeconds"], text))
    if "startupProbe" in container:
        _check_probe(container["startupProbe"], grace_s, f"{path}.startupProbe", errors)
        _check_threshold(container["startupProbe"], f"{path}.startupProbe", errors)


def _check_threshold(probe: Object, path: str, errors: Errors) -> None:
    threshold = probe.get("successThreshold", 0)
    if threshold != 1:
        errors.append(invalid(f"{path}.successThreshold", threshold, "must be 1"))


def _check_probe(probe: Object, grace_s: int | None, path: str, errors: Errors) -> None:
    _check_handler(probe, _PROBE_HANDLERS, grace_s, path, errors)
    for name in _NUMBERS:
        value = probe.get(name, 0)
        if value < 0:
            errors.append(invalid(f"{path}.{name}", value, NEGATIVE))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))


def check_lifecycle(lifecycle: Object, grace_s: int | None, path: str, errors: Errors) -> None:
    for hook in ("postStart", "preStop"):
        if hook in lifecycle:
            _check_handler(lifecycle[hook], _HOOK_HANDLERS, grace_s, f"{path}.{hook}", errors)


def _check_handler(
    handler: Object, kinds: tuple[str, ...], grace_s: int | None, path: str, errors: Errors
) -> None:
    found = False
    for kind in kinds:
        if kind not in handler:
            continue
        if found:
            errors.append(forbidden(f"{path}.{kind}", "may not specify more than 1 handler type"))
            continue
        found = True
        action, here = handler[kind], f"{path}.{kind}"
        if kind == "exec":
            if not action.get("command"):
                errors.append(required(f"{here}.command"))
        elif kind == "httpGet":
            _check_http(action, here, errors)
        elif kind == "sleep":
            _check_sleep(action, grace_s, here, errors)
        else:
            check_port(action.get("port", 0), f"{here}.port", errors)
    if not found:
        errors.append(required(path, "must specify a handler type"))


def _check_http(action: Object, path: str, errors: Errors) -> None:
    if not action.get("path"):
        errors.append(required(f"{path}.path"))
    check_port(action.get("port", 0), f"{path}.port", errors)
    scheme = action.get("scheme", "")
    if scheme not in _SCHEMES:
        errors.append(not_supported(f"{path}.scheme", scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        for problem in is_http_header_name(name):
            errors.append(invalid(f"{path}.httpHeaders", name, problem))


def check_port(port: int | str, path: str, errors: Errors) -> None:
    problems = is_port_number(port) if isinstance(port, int) else is_port_name(port)
    for problem in problems:
        errors.append(invalid(path, port, problem))


def _check_sleep(action: Object, grace_s: int | None, path: str, errors: Errors) -> None:
    seconds = action.get("seconds", 0)
    if grace_s is not None and not 0 <= seconds <= grace_s:
        text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
        errors.append(invalid(path, seconds, text))
