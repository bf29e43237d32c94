"""Options of a request: what its query (and a deletion's body) says, checked as the API checks it.

All errors of one set of options come together in one 422 of the options' kind.
Follows: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apiserver.request import RequestInfo
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.meta.field import FieldError
from openapi.schema.ownership import validate_manager

Object = dict[str, Any]
META_GROUP = "meta.k8s.io"
_VALIDATIONS = ("Ignore", "Warn", "Strict")
_POLICIES = ("Foreground", "Background", "Orphan")


@dataclass(slots=True)
class WriteOptions:
    """Of a create, update or patch. `manager` is '' when the query does not name one."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None
    given_validation: str = ""
    """`validation` as the query names it."""

    def wire(self, kind: str) -> Object:
        """The options object that admission sees: CreateOptions or UpdateOptions, also of a patch."""
        options: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            options["dryRun"] = ["All"]
        if self.manager:
            options["fieldManager"] = self.manager
        if self.given_validation:
            options["fieldValidation"] = self.given_validation
        return options


@dataclass(slots=True)
class DeleteOptions:
    """Of a deletion. `grace_s`, `orphan` and `propagation` are None when not given."""

    dry_run: bool = False
    grace_s: int | None = None
    orphan: bool | None = None
    propagation: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    wire: Object = field(default_factory=dict)


def _dry_run_errors(values: Sequence[str]) -> Iterator[FieldError]:
    if any(v != "All" for v in values):
        yield FieldError(field_errors.NOT_SUPPORTED, "dryRun", list(values), 'supported values: "All"')


def _refuse(kind: str, errors: list[FieldError]) -> None:
    if errors:
        raise status.invalid(META_GROUP, kind, "", errors)


def write_options(request: RequestInfo, kind: str, *, is_apply: bool = False) -> WriteOptions:
    """`kind`: CreateOptions, UpdateOptions or PatchOptions. Raises the 422 of that kind."""
    query = request.query
    if not query and not is_apply:
        return WriteOptions()
    errors: list[FieldError] = []
    force = request.flag("force") if "force" in query else None
    manager = request.first("fieldManager")
    if kind == "PatchOptions":
        if is_apply and not manager:
            errors.append(field_errors.required("fieldManager", "is required for apply patch"))
        elif not is_apply and force is not None:
            errors.append(field_errors.forbidden("force", "may not be specified for non-apply patch"))
    errors += validate_manager(manager, "fieldManager")
    dry_run = query.get("dryRun", [])
    errors += _dry_run_errors(dry_run)
    validation = request.first("fieldValidation")
    if validation and validation not in _VALIDATIONS:
        errors.append(field_errors.not_supported_in_order("fieldValidation", validation, _VALIDATIONS))
    _refuse(kind, errors)
    return WriteOptions(bool(dry_run), manager, validation or "Warn", force, validation)


def delete_options(request: RequestInfo, body: Object | None) -> DeleteOptions:
    """From a DeleteOptions body, or from the query where there is none. Raises 400 and 422."""
    document = body if body is not None else _delete_query(request)
    errors: list[FieldError] = []
    orphan, policy = document.get("orphanDependents"), document.get("propagationPolicy")
    if orphan is not None and policy is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(field_errors.invalid("propagationPolicy", policy, detail))
    elif policy is not None and policy not in _POLICIES:
        errors.append(field_errors.not_supported_in_order("propagationPolicy", policy, (*_POLICIES, "nil")))
    dry_run = document.get("dryRun") or []
    errors += _dry_run_errors(dry_run)
    _refuse("DeleteOptions", errors)
    return unchecked_delete_options(document)


def unchecked_delete_options(document: Object) -> DeleteOptions:
    """From a DeleteOptions document as it is: evictions take any."""
    preconditions = document.get("preconditions") or {}
    wire = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **_without_type(document)}
    return DeleteOptions(
        bool(document.get("dryRun")),
        document.get("gracePeriodSeconds"),
        document.get("orphanDependents"),
        document.get("propagationPolicy"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        wire,
    )


def _without_type(document: Mapping[str, Any]) -> Object:
    return {k: v for k, v in document.items() if k not in ("kind", "apiVersion")}


def _delete_query(request: RequestInfo) -> Object:
    found: Object = {}
    if grace := request.first("gracePeriodSeconds"):
        found["gracePeriodSeconds"] = parse_int(grace)
    if "orphanDependents" in request.query:
        found["orphanDependents"] = request.flag("orphanDependents")
    if policy := request.first("propagationPolicy"):
        found["propagationPolicy"] = policy
    if "dryRun" in request.query:
        found["dryRun"] = request.query["dryRun"]
    return found


def parse_int(text: str, bits: int = 64) -> int:
    """A whole number of the query. Raises the 400 that Go's parser makes."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise status.bad_request(f"strconv.ParseInt: parsing {field_errors.quote(text)}: invalid syntax")
    value = int(text)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise status.bad_request(f"strconv.ParseInt: parsing {field_errors.quote(text)}: value out of range")
    return value


_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_UNITS = frozenset(("ns", "us", "µs", "μs", "ms", "s", "m", "h"))


def check_timeout(request: RequestInfo) -> None:
    """The `timeout` parameter is a Go duration, which may bring the end of a request forward. Raises 400."""
    text = request.first("timeout")
    problem = duration_problem(text) if text else ""
    if problem:
        raise status.bad_request(f"invalid timeout specified in the request URL - {problem}")


def duration_problem(text: str) -> str:
    """What Go's parser finds wrong with a duration, '' if it is one."""
    quoted = field_errors.quote(text)
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return ""
    position = 0
    while position < len(rest) or not rest:
        piece = _DURATION.match(rest, position)
        if piece is None:
            return f"time: invalid duration {quoted}"
        if not piece[2]:
            return f"time: missing unit in duration {quoted}"
        if piece[2] not in _UNITS:
            return f"time: unknown unit {field_errors.quote(piece[2])} in duration {quoted}"
        position = piece.end()
    return ""
