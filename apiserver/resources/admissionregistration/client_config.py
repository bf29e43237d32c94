"""Where a webhook is called: a URL or a service of the cluster. Shared with the conversion of custom resources.

Follows: staging/src/k8s.io/apiserver/pkg/util/webhook/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from openapi.meta.field import FieldError, invalid, required
from openapi.meta.names import is_dns1123_subdomain, is_port_number
from openapi.meta.urls import url_problem

Struct = Mapping[str, Any]

_FORM = "; desired format: https://host[/path]"


def validate_client_config(config: Struct, path: str) -> Iterator[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _validate_url(url, f"{path}.url")
    elif service is not None:
        yield from _validate_service(service, f"{path}.service")


def _validate_url(url: str, path: str) -> Iterator[FieldError]:
    problem = url_problem(url)
    if problem:
        yield required(path, f"url must be a valid URL: {problem}{_FORM}")
        return
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not host:
        yield invalid(path, host, f"host must be specified{_FORM}")
    if "@" in parts.netloc:
        yield invalid(path, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _validate_service(service: Struct, path: str) -> Iterator[FieldError]:
    for name in ("name", "namespace"):
        if not service.get(name):
            yield required(f"{path}.{name}")
    port = service.get("port", 443)
    problems = is_port_number(port)
    if problems:
        yield invalid(f"{path}.port", port, "port is not valid: " + ",".join(problems))
    if service.get("path") is not None:
        yield from _validate_path(service["path"], f"{path}.path")


def _validate_path(text: str, path: str) -> Iterator[FieldError]:
    if text in ("", "/"):
        return
    if text == "//":
        yield invalid(path, text, "segment[0] may not be empty")
        return
    if not text.startswith("/"):
        yield invalid(path, text, "must start with a '/'")
    for i, step in enumerate(text[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(path, text, f"segment[{i}] may not be empty")
            continue
        for problem in is_dns1123_subdomain(step):
            yield invalid(path, text, f"segment[{i}]: {problem}")
