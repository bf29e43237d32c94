"""What a request asks for, read from its method and path alone.

`parse` is pure and memoised: it knows nothing of the catalogue, users or bodies.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))
_LONG_RUNNING = frozenset(("attach", "exec", "log", "portforward", "proxy"))


@dataclass(frozen=True, slots=True)
class PathInfo:
    """The part of a request that its path decides. `trailing` is what follows the subresource (proxy paths)."""

    is_resource: bool
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    trailing: str = ""
    watch_prefix: bool = False


class RequestInfo(NamedTuple):
    """One request. `verb` is Kubernetes' (`list`, `watch`, `deletecollection` too) or the lower-case method.

    `query` is parsed, `query_string` as it was sent.
    """

    method: str
    verb: str
    at: PathInfo
    query: dict[str, list[str]]
    query_string: bytes = b""

    @property
    def is_long_running(self) -> bool:
        """Watches, and streams to pods and nodes, have no time limit."""
        return self.verb in ("watch", "proxy") or self.at.subresource in _LONG_RUNNING

    @property
    def malformed(self) -> bool:
        """A prefix of old that names nothing: /api/v1/watch."""
        return self.at.is_resource and self.at.resource in ("watch", "proxy") and not self.at.name

    def first(self, name: str) -> str:
        """The first value of a query parameter, '' when there is none."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """A boolean parameter as the API reads it: anything but '', 0 and false is true."""
        values = self.query.get(name)
        return values is not None and values[0].lower() not in ("false", "0")


@lru_cache(maxsize=16384)
def parse_path(path: str) -> PathInfo:
    """Split a decoded path (no query) into its parts."""
    stripped = path.strip("/")
    parts = stripped.split("/")
    if len(parts) < 2 or parts[0] not in ("api", "apis"):
        return PathInfo(False, path)
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        if len(parts) < 3:
            return PathInfo(False, path)
        group, version, rest = parts[1], parts[2], parts[3:]
    if not rest or rest == [""]:
        return PathInfo(False, path)
    watch_prefix = rest[0] == "watch" and len(rest) > 1
    if watch_prefix:
        rest = rest[1:]
    return _resource_path(path, group, version, rest, watch_prefix)


def _resource_path(path: str, group: str, version: str, rest: list[str], watch_prefix: bool) -> PathInfo:
    namespace = ""
    if rest[0] == "namespaces" and not group:
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            namespace, rest = rest[1], rest[2:]
        elif len(rest) > 1:
            namespace = rest[1]
    elif rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    trailing = "/".join(rest[3:]) if len(rest) > 3 else ""
    return PathInfo(True, path, group, version, namespace, rest[0], name, subresource, trailing, watch_prefix)


@lru_cache(maxsize=4096)
def _parse_query(text: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        found.setdefault(key, []).append(value)
    return tuple((k, tuple(v)) for k, v in found.items())


def parse(method: str, path: str, query_string: bytes) -> RequestInfo:
    """`path` with percent escapes decoded, `query_string` as sent."""
    at = parse_path(path)
    query = {k: list(v) for k, v in _parse_query(query_string)} if query_string else {}
    verb = VERBS.get(method, method.lower()) if at.is_resource else method.lower()
    if at.is_resource:
        if at.watch_prefix:
            verb = "watch"  # whatever the method: others are refused by it later
        elif verb == "get" and not at.name:
            verb = "watch" if _wants_watch(query) else "list"
        elif verb == "delete" and not at.name:
            verb = "deletecollection"
    return RequestInfo(method, verb, at, query, query_string)


def _wants_watch(query: dict[str, list[str]]) -> bool:
    values = query.get("watch")
    return values is not None and values[0].lower() not in ("false", "0")
