"""Rules for the parts that specs have in common: counts, percentages, label selectors, conditions.

They complete `field_rules`: validators yield `FieldError`s in the API's words, and objects are read-only here.
Follows: pkg/apis/apps/validation/validation.go (the shared helpers), apimachinery's LabelSelector validation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from apiserver.resources.field_rules import NEGATIVE, named
from openapi.meta.field import FieldError, Verbatim, invalid
from openapi.meta.names import is_dns1123_label, is_percent
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


def show_selector(selector: Struct | None) -> Any:
    """A label selector in a message: its fields in the API's order."""
    if selector is None:
        return None
    shown: dict[str, Any] = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        keys = ("key", "operator", "values")
        shown["matchExpressions"] = [{key: e[key] for key in keys if key in e} for e in selector["matchExpressions"]]
    return verbatim(shown)


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
