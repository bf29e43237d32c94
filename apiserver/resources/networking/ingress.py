"""Ingresses: hosts and paths, and the services behind them.

Follows: pkg/registry/networking/ingress/strategy.go, pkg/apis/networking/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.addresses import strict_ip
from apiserver.resources.age import age
from apiserver.resources.field_rules import named
from apiserver.resources.networking.columns import INGRESS
from apiserver.resources.networking.references import validate_typed_reference
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid, not_supported, required
from openapi.meta.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_port_name,
    is_port_number,
    is_wildcard_dns1123_subdomain,
    name_is_dns_subdomain,
    parse_ip,
)

Struct = Mapping[str, Any]

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
NOT_AN_IP = "must be a DNS name, not an IP address"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
# Tables have room for this many hosts.
SHOWN_HOSTS = 3


class IngressStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        stored = {point.get("ip", "") for point in _points(old)}
        for index, point in enumerate(_points(obj)):
            path = f"status.loadBalancer.ingress[{index}]"
            ip, hostname = point.get("ip", ""), point.get("hostname", "")
            if ip:
                yield from strict_ip(ip, f"{path}.ip", stored)
            if hostname:
                yield from named(is_dns1123_subdomain, hostname, f"{path}.hostname")
                if parse_ip(hostname) is not None:
                    yield invalid(f"{path}.hostname", hostname, NOT_AN_IP)


class IngressStrategy(WithStatus):
    subresources = {"status": IngressStatus()}
    columns = INGRESS

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"loadBalancer": {}}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec, meta = obj.get("spec") or EMPTY, obj["metadata"]
        old_spec = None if old is None else old.get("spec") or EMPTY
        if old is not None:
            yield from validate_object_meta_update(meta, old["metadata"])
        yield from validate_object_meta(meta, namespaced=True, name=name_is_dns_subdomain)
        yield from _validate_spec(spec, old_spec)
        name, note = spec.get("ingressClassName"), (meta.get("annotations") or EMPTY).get(CLASS_ANNOTATION)
        if old is None and name is not None and note is not None and note != name:
            text = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{CLASS_ANNOTATION}", note, text)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        annotations = obj["metadata"].get("annotations") or EMPTY
        if old is None and CLASS_ANNOTATION in annotations and "ingressClassName" not in (obj.get("spec") or EMPTY):
            return (f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead",)
        return ()

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        addresses = {point.get("ip") or point.get("hostname", "") for point in _points(obj)}
        return [
            meta.get("name", ""),
            spec.get("ingressClassName", "<none>"),
            _hosts(spec.get("rules") or ()),
            ",".join(sorted(addresses - {""})),
            "80, 443" if spec.get("tls") else "80",
            age(meta.get("creationTimestamp"), now),
        ]


def _points(obj: Struct) -> Sequence[Struct]:
    points: Sequence[Struct] = ((obj.get("status") or EMPTY).get("loadBalancer") or EMPTY).get("ingress") or ()
    return points


def _hosts(rules: Sequence[Struct]) -> str:
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    text = ",".join(hosts[:SHOWN_HOSTS]) or "*"
    return f"{text} + {len(rules) - SHOWN_HOSTS} more..." if len(hosts) > SHOWN_HOSTS else text


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    rules, default = spec.get("rules") or (), spec.get("defaultBackend")
    if not rules and default is None:
        yield invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
    if default is not None:
        yield from _validate_backend(default, "spec.defaultBackend")
    lax_wildcards = any(_is_broken_wildcard(rule) for rule in (old_spec or EMPTY).get("rules") or ())
    for index, rule in enumerate(rules):
        yield from _validate_rule(rule, f"spec.rules[{index}]", lax_wildcards)
    yield from _validate_tls(spec, old_spec)
    name = spec.get("ingressClassName")
    if name is not None:
        yield from named(is_dns1123_subdomain, name, "spec.ingressClassName")


def _validate_tls(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    """Hosts and secrets; names of secrets that were stored broken may stay so."""
    stored = [tls.get("secretName", "") for tls in (old_spec or EMPTY).get("tls") or ()]
    lax = any(name and is_dns1123_subdomain(name) for name in stored)
    for index, tls in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(tls.get("hosts") or ()):
            check = is_wildcard_dns1123_subdomain if "*" in host else is_dns1123_subdomain
            yield from named(check, host, f"spec.tls[{index}].hosts[{place}]")
        secret = tls.get("secretName", "")
        if secret and not lax:
            yield from named(is_dns1123_subdomain, secret, f"spec.tls[{index}].secretName")


def _is_broken_wildcard(rule: Struct) -> bool:
    return "*" in rule.get("host", "") and any(_validate_http(rule, ""))


def _validate_rule(rule: Struct, path: str, lax_wildcards: bool) -> Iterator[FieldError]:
    host = rule.get("host", "")
    if host:
        if parse_ip(host) is not None:
            yield invalid(f"{path}.host", host, NOT_AN_IP)
        check = is_wildcard_dns1123_subdomain if "*" in host else is_dns1123_subdomain
        yield from named(check, host, f"{path}.host")
    if "*" not in host or not lax_wildcards:
        yield from _validate_http(rule, path)


def _validate_http(rule: Struct, path: str) -> Iterator[FieldError]:
    http = rule.get("http")
    if http is None:
        return
    paths = http.get("paths") or ()
    if not paths:
        yield required(f"{path}.http.paths")
    for index, entry in enumerate(paths):
        yield from _validate_path(entry, f"{path}.http.paths[{index}]")


def _validate_path(entry: Struct, path: str) -> Iterator[FieldError]:
    kind, text = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            yield invalid(f"{path}.path", text, "must be an absolute path")
        for part in _BAD_PARTS:
            if part in text:
                yield invalid(f"{path}.path", text, f"must not contain '{part}'")
        for end in _BAD_ENDS:
            if text.endswith(end):
                yield invalid(f"{path}.path", text, f"cannot end with '{end}'")
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            yield invalid(f"{path}.path", text, "must be an absolute path")
    else:
        yield not_supported(f"{path}.pathType", kind, _PATH_TYPES)
    yield from _validate_backend(entry.get("backend") or EMPTY, f"{path}.backend")


def _validate_backend(backend: Struct, path: str) -> Iterator[FieldError]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from validate_typed_reference(resource, f"{path}.resource")
    elif service is not None:
        yield from _validate_service(service, path)
    else:
        yield invalid(path, "", "resource or service backend is required")


def _validate_service(service: Struct, path: str) -> Iterator[FieldError]:
    name, port = service.get("name", ""), service.get("port") or EMPTY
    if not name:
        yield required(f"{path}.service.name")
    else:
        yield from named(is_dns1123_label, name, f"{path}.service.name")
    port_name, number = port.get("name", ""), port.get("number", 0)
    if port_name and number:
        yield invalid(path, "", "cannot set both port name & port number")
    elif port_name:
        yield from named(is_port_name, port_name, f"{path}.service.port.name")
    elif number:
        for problem in is_port_number(number):
            yield invalid(f"{path}.service.port.number", number, problem)
    else:
        yield required(path, "port name or number is required")
