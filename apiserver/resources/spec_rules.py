"""Rules for the parts that specs have in common: counts, percentages, label selectors, conditions.

They complete `field_rules`: validators yield `FieldError`s in the API's words, and objects are read-only here.
Follows: pkg/apis/apps/validation/validation.go (the shared helpers), apimachinery's LabelSelector validation
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from apiserver.resources.field_rules import NEGATIVE, named
from openapi.meta.field import FieldError, Verbatim, duplicate, invalid, not_supported, required, too_long
from openapi.meta.names import is_dns1123_label, is_percent, is_qualified_name, regex_text
from openapi.meta.selectors import LabelSelector, SelectorError, from_label_selector, validate_label_selector

Struct = Mapping[str, Any]
EMPTY: Struct = {}

SELECTOR_MISMATCH = "`selector` does not match template `labels`"
_NAME_ADVICE = (
    "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
)
INVALID_SELECTOR = "invalid label selector"


def nonnegative_fields(struct: Struct, names: Iterable[str], path: str) -> Iterator[FieldError]:
    """None of these numbers is negative; absent ones are fine. An empty path is the object itself."""
    for name in names:
        value = struct.get(name)
        if value is not None and value < 0:
            yield invalid(f"{path}.{name}" if path else name, value, NEGATIVE)


def not_decremented(status: Struct, old_status: Struct, name: str, path: str) -> Iterator[FieldError]:
    """A counter in `status` never falls, once set."""
    value, old_value = status.get(name), old_status.get(name)
    if old_value is not None and (value is None or value < old_value):
        yield invalid(f"{path}.{name}", value or 0, "cannot be decremented")


def positive_int_or_percent(value: int | str, path: str) -> Iterator[FieldError]:
    if isinstance(value, str):
        yield from named(is_percent, value, path)
    elif value < 0:
        yield invalid(path, value, NEGATIVE)


def at_most_100_percent(value: int | str, path: str) -> Iterator[FieldError]:
    if isinstance(value, str) and not is_percent(value) and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def amount(value: int | str) -> int:
    """The number of a number or percentage; 0 for text that is neither."""
    if not isinstance(value, str):
        return value
    digits = value if is_percent(value) else value[:-1]
    try:
        return int(digits)
    except ValueError:
        return 0


def selector_of(spec: Struct | None) -> LabelSelector | None:
    """The compiled selector; None where it cannot be compiled."""
    try:
        return from_label_selector(spec)
    except SelectorError:
        return None


def is_empty_selector(selector: Struct) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def has_invalid_values(selector: Struct | None) -> bool:
    """Whether a stored selector already breaks the rules of values, so that a change of something else may keep it."""
    return any(".values[" in error.path for error in validate_label_selector(selector, ""))


def selector_form(selector: Struct | None) -> Any:
    """A label selector with its fields in the API's order."""
    if selector is None:
        return None
    form: dict[str, Any] = {}
    if selector.get("matchLabels"):
        form["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        keys = ("key", "operator", "values")
        form["matchExpressions"] = [{key: e[key] for key in keys if key in e} for e in selector["matchExpressions"]]
    return form


def show_selector(selector: Struct | None) -> Any:
    """A label selector in a message."""
    return None if selector is None else verbatim(selector_form(selector))


def verbatim(value: Any) -> Verbatim:
    """JSON as it stands: fields in the order given."""
    return Verbatim(orjson.dumps(value).decode())


def name_warning(name: str) -> list[str]:
    """A workload's name ends up in pod names and hostnames, so it had better be a DNS label."""
    problems = is_dns1123_label(name)
    if not problems:
        return []
    return [f"metadata.name: {_NAME_ADVICE}: [{' '.join(problems)}]"]


def labels_of(template: Struct) -> Mapping[str, str] | None:
    labels: Mapping[str, str] | None = (template.get("metadata") or EMPTY).get("labels")
    return labels


def condition_is_true(conditions: Sequence[Struct] | None, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions or ())


_CONDITION_STATUSES = ("False", "True", "Unknown")
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_is_reason = re.compile(_REASON).fullmatch
_REASON_PROBLEM = regex_text(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)
MAX_REASON_BYTES = 1024
MAX_MESSAGE_BYTES = 32 * 1024


def validate_conditions(conditions: Sequence[Struct], path: str) -> Iterator[FieldError]:
    """Conditions of the common form, each type once. Follows: apimachinery/pkg/apis/meta/v1/validation."""
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        kind = condition.get("type", "")
        if kind in seen:
            yield duplicate(f"{path}[{index}].type", kind)
        seen.add(kind)
        yield from _validate_condition(condition, f"{path}[{index}]")


def _validate_condition(condition: Struct, path: str) -> Iterator[FieldError]:
    status, reason = condition.get("status", ""), condition.get("reason", "")
    yield from named(is_qualified_name, condition.get("type", ""), f"{path}.type")
    if status not in _CONDITION_STATUSES:
        yield not_supported(f"{path}.status", status, _CONDITION_STATUSES)
    generation = condition.get("observedGeneration", 0)
    if generation < 0:
        yield invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero")
    if not condition.get("lastTransitionTime"):
        yield required(f"{path}.lastTransitionTime", "must be set")
    if not reason:
        yield required(f"{path}.reason", "must be set")
    elif not _is_reason(reason):
        yield invalid(f"{path}.reason", reason, _REASON_PROBLEM)
    if len(reason) > MAX_REASON_BYTES:
        yield too_long(f"{path}.reason", MAX_REASON_BYTES)
    if len(condition.get("message", "")) > MAX_MESSAGE_BYTES:
        yield too_long(f"{path}.message", MAX_MESSAGE_BYTES)
