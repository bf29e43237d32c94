"""Secrets: typed bags of bytes. The type is fixed at creation and says which keys must be there.

Follows: pkg/registry/core/secret/strategy.go, pkg/apis/core/validation/validation.go ValidateSecret
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.core.configmaps import MAX_BYTES, decoded_size
from apiserver.resources.core.key_pairs import key_pair_problem
from apiserver.resources.field_rules import immutable, unchanged_when_locked
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, invalid, required, too_long
from openapi.schema.gojson import json_word, syntax_error

SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
TLS = "kubernetes.io/tls"

_DOCKER_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_REDACTED = "<secret contents redacted>"


class Secrets(Strategy):
    columns = columns.SECRET

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from immutable(obj.get("type", ""), old.get("type", ""), "type")
            yield from unchanged_when_locked(obj, old, ("data",))
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        data = obj.get("data") or {}
        for key in sorted(data):
            for text in names.is_config_map_key(key):
                yield invalid(f"data[{key}]", key, text)
        if sum(decoded_size(value or "") for value in data.values()) > MAX_BYTES:
            yield too_long("data", MAX_BYTES)
        yield from _validate_type(obj, data)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        if obj.get("type") != TLS:
            return ()
        data = obj.get("data") or {}
        problem = key_pair_problem(_bytes(data.get("tls.crt")), _bytes(data.get("tls.key")))
        return (problem,) if problem else ()

    def fields(self, obj: Object) -> dict[str, str]:
        return {"type": obj.get("type", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [
            meta["name"], obj.get("type", ""), len(obj.get("data") or ()), age(meta.get("creationTimestamp"), now)
        ]


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text) if text else b""


def _object_problem(raw: bytes) -> str:
    """Why `raw` is no JSON object, in Go's words, or ''; null is one, as Go has it."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return syntax_error(raw)
    if value is None or isinstance(value, dict):
        return ""
    return f"json: cannot unmarshal {json_word(value)} into Go value of type map[string]interface {{}}"


def _validate_type(obj: Object, data: Object) -> Iterator[FieldError]:
    kind = obj.get("type", "")
    if kind == SERVICE_ACCOUNT_TOKEN:
        if not (obj["metadata"].get("annotations") or {}).get(SERVICE_ACCOUNT_NAME):
            yield required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")
    elif kind in _DOCKER_KEYS:
        key = _DOCKER_KEYS[kind]
        if key not in data:
            yield required(f"data[{key}]")
            return
        problem = _object_problem(_bytes(data[key]))
        if problem:
            yield invalid(f"data[{key}]", _REDACTED, problem)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            yield required("data[username]")
            yield required("data[password]")
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            yield required("data[ssh-privatekey]")
    elif kind == TLS:
        for key in ("tls.crt", "tls.key"):
            if key not in data:
                yield required(f"data[{key}]")
