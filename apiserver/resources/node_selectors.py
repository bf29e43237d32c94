"""Node selectors: which nodes a volume or a pod may use. Shared by pods, volumes and device claims.

Follows: pkg/apis/core/validation/validation.go ValidateNodeSelector, pkg/api/node/util.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta import names
from openapi.meta.field import FieldError, forbidden, invalid, required
from openapi.meta.metadata import validate_label_name

Struct = Mapping[str, Any]

_LISTS = frozenset(("In", "NotIn"))
_TESTS = frozenset(("Exists", "DoesNotExist"))
_COMPARISONS = frozenset(("Gt", "Lt"))
_FIELDS = frozenset(("metadata.name",))

DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}


def validate_node_selector(selector: Struct, path: str, *, allow_invalid_values: bool = False) -> Iterator[FieldError]:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for i, term in enumerate(terms):
        yield from validate_node_selector_term(
            term, f"{path}.nodeSelectorTerms[{i}]", allow_invalid_values=allow_invalid_values
        )


def validate_node_selector_term(term: Struct, path: str, *, allow_invalid_values: bool = False) -> Iterator[FieldError]:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        yield from _expression(requirement, f"{path}.matchExpressions[{i}]", allow_invalid_values)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        yield from _field(requirement, f"{path}.matchFields[{i}]")


def _expression(requirement: Struct, path: str, allow_invalid_values: bool) -> Iterator[FieldError]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator in _LISTS:
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in _TESTS:
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in _COMPARISONS:
        if len(values) != 1:
            yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from validate_label_name(requirement.get("key", ""), f"{path}.key")
    if not allow_invalid_values:
        for i, value in enumerate(values):
            for text in names.is_label_value(value):
                yield invalid(f"{path}.values[{i}]", value, text)


def _field(requirement: Struct, path: str) -> Iterator[FieldError]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator in _LISTS:
        if len(values) != 1:
            text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            yield required(f"{path}.values", text)
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    key = requirement.get("key", "")
    if key not in _FIELDS:
        yield invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for i, value in enumerate(values):
        for text in names.name_is_dns_subdomain(value, False):
            yield invalid(f"{path}.values[{i}]", value, text)


def has_invalid_label_values(terms: list[Struct] | None) -> bool:
    """Some stored selectors hold values that are no label values; they may stay."""
    return any(
        names.is_label_value(value)
        for term in terms or ()
        for requirement in term.get("matchExpressions") or ()
        for value in requirement.get("values") or ()
    )


def node_selector_term_warnings(term: Struct, path: str, *, check_values: bool = False) -> Iterator[str]:
    """Labels of nodes that have newer names."""
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        key = requirement.get("key", "")
        where = f"{path}.matchExpressions[{i}]"
        if key in DEPRECATED_LABELS:
            yield f"{where}.key: {key} is {DEPRECATED_LABELS[key]}"
        if check_values:
            for j, value in enumerate(requirement.get("values") or ()):
                for text in names.is_label_value(value):
                    yield f"{where}.values[{j}]: {value} is invalid, {text}"
