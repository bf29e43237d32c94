"""Options of lists and watches, and the continue token of paged lists.

Follows: staging/src/k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go and
staging/src/k8s.io/apiserver/pkg/storage/continue.go
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import orjson

from apiserver.registry.endpoint import Endpoint
from apiserver.registry.options import META_GROUP, parse_int
from apiserver.request import RequestInfo
from apiserver.storage.entry import Entry
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.meta.field import FieldError
from openapi.meta.selectors import (
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from openapi.schema.gojson import syntax_error

_TOKEN_VERSION = "meta.k8s.io/v1"
_MATCHES = ("", "Exact", "NotOlderThan")


@dataclass(slots=True)
class ListOptions:
    """`resource_version` is None when not given. `name` is the one name that the field selector allows, if any."""

    labels: LabelSelector | None
    fields: FieldSelector | None
    name: str
    namespace: str
    resource_version: int | None
    match: str
    limit: int
    token: str
    timeout_s: float | None
    bookmarks: bool
    initial_events: bool | None

    @property
    def selective(self) -> bool:
        return self.labels is not None or self.fields is not None

    @property
    def is_exact(self) -> bool:
        """Whether the state at that very revision is asked for; pages of a revision have always been of that one."""
        return bool(self.resource_version) and (self.match == "Exact" or (not self.match and self.limit > 0))

    @property
    def ignores_limit(self) -> bool:
        """Any state will do, so the whole one is at hand."""
        return self.resource_version == 0 and not self.token

    def matching(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries that match. The usual selector, one label with one value, takes the short way."""
        labels = self.labels
        if labels is not None and self.fields is None and len(labels.requirements) == 1:
            key = labels.requirements[0].key
            value = labels.exact(key)
            if value is not None:
                return [entry for entry in entries if entry.labels.get(key) == value]
        predicate = self.predicate()
        return entries if predicate is None else [entry for entry in entries if predicate(entry)]

    def predicate(self) -> Callable[[Entry], bool] | None:
        """A test of one entry, None when everything matches."""
        labels, fields = self.labels, self.fields
        if labels is None and fields is None:
            return None
        if fields is None:
            assert labels is not None
            matches = labels.matches
            return lambda entry: matches(entry.labels)
        by_fields = fields.matches
        if labels is None:
            return lambda entry: by_fields(entry.fields)
        by_labels = labels.matches
        return lambda entry: by_labels(entry.labels) and by_fields(entry.fields)


def list_options(request: RequestInfo, endpoint: Endpoint, *, watching: bool) -> ListOptions:
    """Read and check the query. Raises 400 for what does not parse, 422 for what does not go together."""
    query = request.query
    if not query:
        return ListOptions(None, None, "", "", None, "", 0, "", None, False, None)
    seconds = parse_int(request.first("timeoutSeconds")) if request.first("timeoutSeconds") else None
    limit = parse_int(request.first("limit")) if request.first("limit") else 0
    labels = _labels(request.first("labelSelector"))
    fields = _fields_selector(request.first("fieldSelector"), endpoint)
    _check_together(request, watching=watching)
    named = request.at.name
    if named and fields is not None and fields.exact("metadata.name") != named:
        raise status.bad_request("fieldSelector metadata.name doesn't match requested name")
    return ListOptions(
        labels=labels,
        fields=fields,
        name=(fields.exact("metadata.name") or "") if fields else "",
        namespace=(fields.exact("metadata.namespace") or "") if fields else "",
        resource_version=parse_resource_version(request.first("resourceVersion")),
        match=request.first("resourceVersionMatch"),
        limit=max(limit, 0),
        token=request.first("continue"),
        timeout_s=None if seconds is None else float(seconds),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_events=request.flag("sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def parse_resource_version(text: str) -> int | None:
    """None for ''. Raises the (reasonless) 500 that the API gives for what is no number."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]+", text) or int(text) >= 1 << 64:
        why = "value out of range" if re.fullmatch(r"[0-9]+", text) else "invalid syntax"
        quoted = field_errors.quote(text)
        message = f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: {why}"
        raise status.StatusError(500, "", message)
    return int(text)


def _labels(text: str) -> LabelSelector | None:
    if not text:
        return None
    try:
        selector = parse_label_selector(text)
    except SelectorError as err:
        raise status.bad_request(str(err)) from err
    return None if selector.empty else selector


def _fields_selector(text: str, endpoint: Endpoint) -> FieldSelector | None:
    if not text:
        return None
    try:
        selector = parse_field_selector(text)
    except SelectorError as err:
        raise status.bad_request(str(err)) from err
    if selector.empty:
        return None
    aliases = endpoint.strategy.field_aliases.get(endpoint.resource.api_version)
    if aliases:
        selector = FieldSelector([replace(t, field=aliases.get(t.field, t.field)) for t in selector.terms])
    for term in selector.terms:
        name = term.field
        if name in ("metadata.name", "metadata.namespace") or name in endpoint.selectable:
            continue
        if endpoint.selectable or endpoint.resource.custom:
            raise status.bad_request(endpoint.strategy.unknown_field.format(name=name))
        raise status.bad_request(
            f'{field_errors.quote(name)} is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    return selector


def _check_together(request: RequestInfo, *, watching: bool) -> None:
    errors: list[FieldError] = []
    match, version = request.first("resourceVersionMatch"), request.first("resourceVersion")
    if "sendInitialEvents" in request.query:
        errors += _initial_events_errors(match, watching=watching)
    elif match:
        if watching:
            errors.append(field_errors.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for watch"))
        elif not version:
            detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            errors.append(field_errors.forbidden("resourceVersionMatch", detail))
        if request.first("continue"):
            detail = "resourceVersionMatch is forbidden when continue is provided"
            errors.append(field_errors.forbidden("resourceVersionMatch", detail))
        if match not in _MATCHES:
            errors.append(
                field_errors.not_supported_in_order("resourceVersionMatch", match, ("Exact", "NotOlderThan", ""))
            )
        if match == "Exact" and version == "0":
            detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            errors.append(field_errors.forbidden("resourceVersionMatch", detail))
    if errors:
        raise status.invalid(META_GROUP, "ListOptions", "", errors)


def _initial_events_errors(match: str, *, watching: bool) -> list[FieldError]:
    if not watching:
        return [field_errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    if not match:
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        return [field_errors.forbidden("resourceVersionMatch", detail)]
    if match != "NotOlderThan":
        return [field_errors.not_supported("resourceVersionMatch", match, ["NotOlderThan"])]
    return []


def encode_token(revision: int, start: str) -> str:
    """`start`: the key, relative to the resource's prefix, that the next chunk begins with."""
    document = {"v": _TOKEN_VERSION, "rv": revision, "start": start}
    return base64.urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def decode_token(text: str) -> tuple[int, str]:
    """Revision and start key of a continue token. Raises 400."""
    bad = re.search(r"[^A-Za-z0-9_-]", text)
    if bad is not None:
        raise _bad_token(f"illegal base64 data at input byte {bad.start()}")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as err:
        raise _bad_token(f"illegal base64 data at input byte {len(text) - len(text) % 4}") from err
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as err:
        raise _bad_token(syntax_error(raw)) from err
    if not isinstance(document, dict):
        what = {list: "array", str: "string", bool: "bool"}.get(type(document), "number")
        raise _bad_token(f"json: cannot unmarshal {what} into Go value of type storage.continueToken")
    version, revision, start = document.get("v", ""), document.get("rv", 0), document.get("start", "")
    if version != _TOKEN_VERSION:
        raise _wrong_token(f": server does not recognize this encoded version {version}")
    if not isinstance(revision, int) or not revision:
        raise _wrong_token(f": incorrect encoded start resourceVersion (version {_TOKEN_VERSION})")
    if not isinstance(start, str) or not start:
        raise _wrong_token(f": encoded start key empty (version {_TOKEN_VERSION})")
    if {"", ".", ".."} & set(start.removeprefix("/").split("/")):
        raise _bad_token(start)
    return revision, start


def _wrong_token(why: str) -> status.StatusError:
    return status.bad_request(f"invalid continue token: continue key is not valid{why}")


def _bad_token(why: str) -> status.StatusError:
    return _wrong_token(f": {why}")
