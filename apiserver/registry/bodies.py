"""From the bytes of a body to an object that can be worked on: syntax, kind, types, unknown fields, defaults.

Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go and
staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/json.go
"""

from __future__ import annotations

import json
import re
from typing import Any

from apiserver.registry.endpoint import Endpoint
from openapi.catalog import Catalog, GroupVersionKind, Resource, split_api_version
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.schema.decode import CUSTOM_DECODER, DecodeError, NumberText, decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.gojson import JSONSyntaxError
from openapi.schema.node import Node
from openapi.schema.parse import in_order, parse
from openapi.schema.protobuf import (
    Envelope,
    ProtobufError,
    decode_message,
    has_protobuf,
    named,
    open_envelope,
)
from openapi.schema.yamlbody import YAML_PROBLEMS, YAMLError, parse_yaml

Object = dict[str, Any]

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED_BODIES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_OPTIONS = frozenset(
    ("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "WatchEvent")
)
"""Kinds that every group has."""
_UNVERSIONED = frozenset(("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"))
"""Kinds that every version of every group has."""
_NO_RESOURCES = {
    ("", "v1"): frozenset((
        "List", "NodeProxyOptions", "PodAttachOptions", "PodExecOptions", "PodLogOptions", "PodPortForwardOptions",
        "PodProxyOptions", "PodStatusResult", "RangeAllocation", "SerializedReference", "ServiceProxyOptions",
    )),
    ("authentication.k8s.io", "v1"): frozenset(("TokenRequest",)),
    ("autoscaling", "v1"): frozenset(("Scale",)),
    ("policy", "v1"): frozenset(("Eviction",)),
}  # fmt: skip
"""Kinds that are known without being those of resources."""
_TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf'\s*({_TOKEN}(?:/{_TOKEN})?)\s*(?:;\s*{_TOKEN}\s*=\s*(?:{_TOKEN}|"[^"]*")\s*)*;?\s*')
_NOT_A_MESSAGE = (
    "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to "
    "a protobuf message"
)
SCHEME = "pkg/api/legacyscheme/scheme.go:30"
META = "pkg/apis/meta/internalversion/scheme/register.go:31"


def media_type(header: str) -> str:
    """The media type of a Content-Type header; JSON where there is none, '' where the header is malformed."""
    if header == JSON or not header:
        return JSON
    found = _MEDIA_TYPE.fullmatch(header)
    return found[1].lower() if found is not None else ""


def unsupported(accepted: str = ACCEPTED_BODIES) -> status.StatusError:
    return status.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


class Bodies:
    """Reads bodies; needs the catalogue only to name kinds that are sent to the wrong place."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def read(self, raw: bytes, content_type: str, endpoint: Endpoint) -> tuple[Object, list[str]]:
        """The decoded, defaulted object of the endpoint's own kind, and the texts of strict errors."""
        row = endpoint.resource
        return self.read_kind(raw, content_type, row.gvk, endpoint.node)

    def read_kind(
        self, raw: bytes, content_type: str, gvk: GroupVersionKind, node: Node, *, strict_kind: bool = True
    ) -> tuple[Object, list[str]]:
        media = media_type(content_type)
        problems: list[str] = []
        if media == PROTOBUF and has_protobuf(node):
            document = self._message(raw, gvk, node)
        elif media in (JSON, YAML):
            document, problems = self._parse(raw, media, gvk)
            if CUSTOM_DECODER in node.memo:
                _check_custom_kind(document, raw, gvk)
            self._check_kind(document, raw, gvk)
        elif media == PROTOBUF and CUSTOM_DECODER in node.memo:
            _envelope(raw, gvk)
            raise cannot_handle(gvk, _NOT_A_MESSAGE)
        else:
            raise unsupported()
        meta = document.get("metadata")
        resets_ownership = isinstance(meta, dict) and meta.get("managedFields") == []
        try:
            unknown = decode(document, node, gvk)
        except DecodeError as err:
            why = with_literals(raw, node, gvk) if media == JSON and "cannot unmarshal number " in str(err) else ""
            raise cannot_handle(gvk, why or str(err)) from err
        if problems and unknown and media == JSON and CUSTOM_DECODER not in node.memo:
            problems = in_order(raw, problems, unknown)
        else:
            problems += unknown
        if resets_ownership:
            document["metadata"]["managedFields"] = []
        document["kind"] = gvk.kind
        document["apiVersion"] = f"{gvk.group}/{gvk.version}" if gvk.group else gvk.version
        apply_defaults(document, gvk)
        return document, problems

    def read_options(
        self, raw: bytes, content_type: str, gvk: GroupVersionKind, node: Node
    ) -> tuple[Object, list[str]]:
        """A body of options (DeleteOptions), which any group's apiVersion may carry.

        What is wrong with it is told as it is: raises a (reasonless) 500.
        """
        media = media_type(content_type)
        problems: list[str] = []
        if media not in (JSON, YAML, PROTOBUF):
            raise unsupported()
        try:
            if media == PROTOBUF:
                envelope = open_envelope(raw)
                document = named(decode_message(envelope.raw, node), envelope)
            else:
                document, problems = _document(raw, media)
            if document.get("kind", gvk.kind) != gvk.kind:
                kind, version = document["kind"], document.get("apiVersion") or "meta.k8s.io/v1"
                raise DecodeError(f'no kind "{kind}" is registered for version "{version}" in scheme "{META}"')
            return document, problems + decode(document, node, gvk)
        except (JSONSyntaxError, YAMLError, ProtobufError, DecodeError) as err:
            raise status.StatusError(500, "", str(err)) from err

    def _message(self, raw: bytes, gvk: GroupVersionKind, node: Node) -> Object:
        envelope = _envelope(raw, gvk)
        self._check_kind(named({}, envelope), raw, gvk)
        return named(_decode_message(envelope, gvk, node), envelope)

    def _parse(self, raw: bytes, media: str, gvk: GroupVersionKind) -> tuple[Object, list[str]]:
        try:
            return _document(raw, media)
        except (JSONSyntaxError, YAMLError) as err:
            raise _unrecognized(gvk, raw, str(err)) from err

    def _check_kind(self, document: Object, raw: bytes, gvk: GroupVersionKind) -> None:
        kind, version = document.get("kind") or gvk.kind, document.get("apiVersion")
        if version is None or version == "":
            version = f"{gvk.group}/{gvk.version}" if gvk.group else gvk.version
        for name, value in (("apiVersion", version), ("kind", kind)):
            if not isinstance(value, str):
                what = {list: "array", dict: "object", bool: "bool"}.get(type(value), "number")
                text = (
                    f"couldn't get version/kind; json parse error: json: cannot unmarshal {what} into Go struct field "
                    f".{name} of type string"
                )
                raise _unrecognized(gvk, raw, text)
        if version.count("/") > 1:
            raise _unrecognized(gvk, raw, f"unexpected GroupVersion string: {version}")
        group, short = split_api_version(version)
        if (group, short, kind) == gvk:
            return
        raise self._wrong_kind(group, short, kind, version, gvk)

    def _is_registered(self, group: str, version: str, kind: str) -> bool:
        """Whether a version of a built-in group has a kind that is no resource: a list, or the options of a request."""
        if kind in _UNVERSIONED or kind in _NO_RESOURCES.get((group, version), ()):
            return True
        rows = [row for row in self._catalog.of_group_version(group, version) if not row.custom]
        return bool(rows) and (kind in _OPTIONS or any(row.list_kind == kind for row in rows))

    def _wrong_kind(self, group: str, short: str, kind: str, version: str, gvk: GroupVersionKind) -> status.StatusError:
        known = self._catalog.by_gvk(group, short, kind)
        if (known is None or known.custom) and not self._is_registered(group, short, kind):
            why = f'no kind "{kind}" is registered for version "{version}" in scheme "{SCHEME}"'
        elif known is not None and (group, kind) == (gvk.group, gvk.kind):
            requested = f"{gvk.group}/{gvk.version}" if gvk.group else gvk.version
            return status.bad_request(
                f"the API version in the data ({version}) does not match the expected API version ({requested})"
            )
        else:
            package = go_package(gvk.group)
            why = f"converting ({short}.{kind}) to ({package}.{gvk.kind}): unknown conversion"
        return status.bad_request(f'{kind} in version "{short}" cannot be handled as a {gvk.kind}: {why}')


def _document(raw: bytes, media: str) -> tuple[Object, list[str]]:
    """The object in a body, and the texts of duplicates. Raises JSONSyntaxError and YAMLError."""
    try:
        document, problems = parse(raw) if media == JSON else parse_yaml(raw)
    except JSONSyntaxError as err:
        raise JSONSyntaxError(f"couldn't get version/kind; json parse error: {err}") from err
    if document is None:
        document = {}
    if not isinstance(document, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(document), "number")
        raise JSONSyntaxError(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
            'Kind string "json:\\"kind,omitempty\\"" }'
        )
    return document, problems


def _check_custom_kind(document: Object, raw: bytes, gvk: GroupVersionKind) -> None:
    """The body of a custom kind says what it is. Raises 400 and 422."""
    kind, version = document.get("kind", ""), document.get("apiVersion", "")
    if not isinstance(kind, str) or not isinstance(version, str):
        return
    if not kind:
        text = raw.decode("utf-8", "replace")
        raise _unrecognized(gvk, raw, f"Object 'Kind' is missing in '{text}'")
    expected = f"{gvk.group}/{gvk.version}"
    if version != expected:
        raise status.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({expected})"
        )
    if kind != gvk.kind:
        meta = document.get("metadata")
        name = meta.get("name", "") if isinstance(meta, dict) else ""
        raise wrong_custom_kind(kind, version, name, gvk)


def wrong_custom_kind(kind: str, version: str, name: str, gvk: GroupVersionKind) -> status.StatusError:
    """The 422 of a custom object that says to be something else; it is named as what it says to be."""
    expected = f"{gvk.group}/{gvk.version}"
    errors = []
    if kind != gvk.kind:
        errors.append(field_errors.invalid("kind", kind, f"must be {gvk.kind}"))
    if version != expected:
        errors.append(field_errors.invalid("apiVersion", version, f"must be {expected}"))
    return status.invalid(split_api_version(version)[0], kind, name, errors)


def go_package(group: str) -> str:
    """The name of the package of a group's internal types."""
    return group.split(".", 1)[0] if group else "core"


def _envelope(raw: bytes, gvk: GroupVersionKind) -> Envelope:
    try:
        return open_envelope(raw)
    except ProtobufError as err:
        raise _unrecognized(gvk, raw, str(err)) from err


def _decode_message(envelope: Envelope, gvk: GroupVersionKind, node: Node) -> Object:
    try:
        return decode_message(envelope.raw, node)
    except ProtobufError as err:
        raise cannot_handle(gvk, str(err)) from err


def decode_object(document: Object, node: Node, gvk: GroupVersionKind) -> list[str]:
    """Check types and bring to canonical form in place. Raises the 400 of a wrong type."""
    try:
        return decode(document, node, gvk)
    except DecodeError as err:
        raise cannot_handle(gvk, str(err)) from err


def with_literals(raw: bytes, node: Node, gvk: GroupVersionKind) -> str:
    """The complaint about a number in a JSON body, with the number as the body writes it."""
    try:
        decode(json.loads(raw, parse_float=NumberText), node, gvk)
    except (DecodeError, ValueError) as err:
        return str(err) if isinstance(err, DecodeError) else ""
    return ""


def cannot_handle(gvk: GroupVersionKind, why: str) -> status.StatusError:
    return status.bad_request(f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: {why}')


def strict_error(problems: list[str]) -> str:
    return "strict decoding error: " + ", ".join(problems)


def judge_problems(problems: list[str], validation: str, gvk: GroupVersionKind, warnings: list[str]) -> None:
    """Refuse or warn of unknown and duplicate fields, as fieldValidation says."""
    if not problems or validation == "Ignore":
        return
    if validation == "Strict":
        raise cannot_handle(gvk, strict_error(problems))
    warnings += told(problems)


def told(problems: list[str]) -> list[str]:
    """Strict errors as warnings: the YAML reader's list of them as one each."""
    lines: list[str] = []
    for problem in problems:
        listed = problem.removeprefix(YAML_PROBLEMS)
        lines += [problem] if listed == problem else [line.strip() for line in listed.split("\n")]
    return lines


def _unrecognized(gvk: GroupVersionKind, raw: bytes, why: str) -> status.StatusError:
    return status.bad_request(
        f"the object provided is unrecognized (must be of type {gvk.kind}): {why} ({_summary(raw)})"
    )


def _summary(raw: bytes) -> str:
    """The beginning of a body as the message shows it: text if it is printable, hex otherwise."""
    if not raw:
        return "<empty>"
    short, more = (raw, "") if len(raw) < 30 else (raw[:30], " ...")
    try:
        text = short.decode("ascii")
        if text.isprintable() and raw[:1] == b"{":
            return text + more
    except UnicodeDecodeError:
        pass
    return short.hex() + more


def row_name(row: Resource) -> str:
    return f"{row.resource}.{row.group}" if row.group else row.resource
