"""Values against a structural schema, all errors at once, in the words of the API.

An update ratchets: what has not changed is not judged again.
Follows: k8s.io/kube-openapi/pkg/validation/validate, apiextensions-apiserver/pkg/apiserver/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from openapi.custom.formats import FORMATS
from openapi.custom.patterns import matches
from openapi.custom.structural import EMBEDDED, INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, Schema
from openapi.meta.field import (
    TYPE_INVALID,
    FieldError,
    duplicate,
    invalid,
    not_supported_listed,
    quote,
    required,
    too_long,
    too_many,
)

ABSENT = object()
"""There is no older value to compare with."""
NOWHERE = "<nil>"
"""The path of errors that name none."""
_INT32 = 2**31
_INT64 = 2**63


def validate_value(value: Any, schema: Schema, prefix: str = "", old: Any = ABSENT) -> Iterator[FieldError]:
    """What is wrong with a value. `prefix` is the path of the whole, which messages do not repeat."""
    return _Walk(prefix).value(value, schema, "", old)


def type_word(value: Any) -> str:
    """The JSON type of a value as messages call it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array", dict: "object"}[type(value)]


class _Walk:
    """One walk; `name` is the path relative to the prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def path(self, name: str) -> str:
        if not name:
            return self._prefix or NOWHERE
        return f"{self._prefix}.{name}" if self._prefix else name

    def value(self, value: Any, schema: Schema, name: str, old: Any = ABSENT) -> Iterator[FieldError]:
        if old is not ABSENT and old == value and type(old) is type(value):
            return
        if value is None and schema.get("nullable"):
            return
        yield from self._type(value, schema, name)
        yield from self._logic(value, schema, name)
        if isinstance(value, str):
            yield from self._string(value, schema, name)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from self._number(value, schema, name)
        elif isinstance(value, list):
            yield from self._list(value, schema, name, old)
        yield from self._enum(value, schema, name)
        if isinstance(value, dict):
            yield from self._object(value, schema, name, old)

    def _type(self, value: Any, schema: Schema, name: str) -> Iterator[FieldError]:
        wanted = ("integer", "string") if schema.get(INT_OR_STRING) else (schema.get("type") or "",)
        if wanted == ("",):
            return
        found = type_word(value)
        if found in wanted or (found == "integer" and "number" in wanted):
            return
        text = f"{name} in body must be of type {','.join(wanted)}: {quote(found)}"
        yield FieldError(TYPE_INVALID, self.path(name), found, text)

    def _string(self, value: str, schema: Schema, name: str) -> Iterator[FieldError]:
        most, least, pattern, form = (schema.get(k) for k in ("maxLength", "minLength", "pattern", "format"))
        if most is not None and len(value) > most:
            yield too_long(self.path(name), most)
        if least is not None and len(value) < least:
            yield invalid(self.path(name), value, f"{name} in body should be at least {least} chars long")
        if pattern and not matches(pattern, value):
            yield invalid(self.path(name), value, f"{name} in body should match '{pattern}'")
        check = FORMATS.get(form.replace("_", "-").lower()) if form else None
        if check is not None and not check(value):
            text = f"{name} in body must be of type {form}: {quote(value)}"
            yield FieldError(TYPE_INVALID, self.path(name), value, text)

    def _number(self, value: int | float, schema: Schema, name: str) -> Iterator[FieldError]:
        kind, form = schema.get("type", ""), schema.get("format", "")
        if kind == "integer" and not _fits(value, form):
            how = f"with format {form}" if form in ("int32", "int64") else "(default format)"
            text = f"Checked value must be of type integer {how} in {name}"
            yield invalid(self.path(""), "", text)
        factor = schema.get("multipleOf")
        if factor and value % factor:
            yield invalid(self.path(name), value, f"{name} in body should be a multiple of {_shown(factor)}")
        most, least = schema.get("maximum"), schema.get("minimum")
        if most is not None and (value >= most if schema.get("exclusiveMaximum") else value > most):
            how = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
            yield invalid(self.path(name), value, f"{name} in body should be {how} {_shown(most)}")
        if least is not None and (value <= least if schema.get("exclusiveMinimum") else value < least):
            how = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
            yield invalid(self.path(name), value, f"{name} in body should be {how} {_shown(least)}")

    def _list(self, value: list[Any], schema: Schema, name: str, old: Any) -> Iterator[FieldError]:
        items = schema.get("items")
        if isinstance(items, Mapping):
            olds = _correlated(old, schema)
            for index, item in enumerate(value):
                before = olds.get(_key_of(item, schema), ABSENT) if olds else ABSENT
                yield from self.value(item, items, f"{name}[{index}]", before)
        least, most = schema.get("minItems"), schema.get("maxItems")
        if least is not None and len(value) < least:
            text = f"{name} in body should have at least {least} items"
            yield invalid(self.path(name), len(value), text)
        if most is not None and len(value) > most:
            yield too_many(self.path(name), len(value), most)

    def _enum(self, value: Any, schema: Schema, name: str) -> Iterator[FieldError]:
        allowed = schema.get("enum")
        if allowed and not any(item == value and type(item) is type(value) for item in allowed):
            words = [item if isinstance(item, str) else orjson.dumps(item).decode() for item in allowed]
            yield not_supported_listed(self.path(name), value, words)

    def _object(self, value: dict[str, Any], schema: Schema, name: str, old: Any) -> Iterator[FieldError]:
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        if least is not None and len(value) < least:
            yield invalid(self.path(name), least, f"{name} in body should have at least {least} properties")
            return
        if most is not None and len(value) > most:
            yield too_many(self.path(name), len(value), most)
            return
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        for key in sorted(value):
            below = properties.get(key)
            if below is None and isinstance(extra, Mapping):
                below = extra
            if below is not None:
                yield from self.value(value[key], below, _child(name, key), before.get(key, ABSENT))
        for key in schema.get("required") or ():
            if key not in value:
                yield required(self.path(_child(name, key)))

    def _logic(self, value: Any, schema: Schema, name: str) -> Iterator[FieldError]:
        for part in schema.get("allOf") or ():
            yield from self.value(value, part, name)
        choices = schema.get("anyOf")
        if choices and not schema.get(INT_OR_STRING) and all(self._errors(value, c, name) for c in choices):
            yield self._whole(f'"{name}" must validate at least one schema (anyOf)')
            yield from min((self._errors(value, c, name) for c in choices), key=len)
        choices = schema.get("oneOf")
        if choices:
            failures = [self._errors(value, choice, name) for choice in choices]
            valid = sum(not errors for errors in failures)
            if not valid:
                yield self._whole(f'"{name}" must validate one and only one schema (oneOf). Found none valid')
                yield from min(failures, key=len)
            elif valid > 1:
                text = f'"{name}" must validate one and only one schema (oneOf). Found {valid} valid alternatives'
                yield self._whole(text)
        excluded = schema.get("not")
        if excluded is not None and not self._errors(value, excluded, name):
            yield self._whole(f'"{name}" must not validate the schema (not)')

    def _errors(self, value: Any, schema: Schema, name: str) -> list[FieldError]:
        return list(self.value(value, schema, name))

    def _whole(self, text: str) -> FieldError:
        return invalid(self.path(""), "", text)


def _child(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _shown(number: int | float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e21 else str(number)


def _fits(value: int | float, form: str) -> bool:
    if isinstance(value, float) and not value.is_integer():
        return False
    limit = _INT32 if form == "int32" else _INT64
    return -limit <= value < limit


def _correlated(old: Any, schema: Schema) -> dict[Any, Any]:
    """The older items of a list whose items have keys."""
    if not isinstance(old, list) or schema.get(LIST_TYPE) != "map":
        return {}
    return {_key_of(item, schema): item for item in old}


def _key_of(item: Any, schema: Schema) -> Any:
    keys = schema.get(LIST_KEYS) or ()
    return tuple(repr(item.get(key)) for key in keys) if isinstance(item, dict) else repr(item)


def validate_lists(value: Any, schema: Schema, path: str = "") -> Iterator[FieldError]:
    """Lists that are sets or maps have no item twice."""
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        for key in sorted(value):
            below = properties.get(key)
            if below is not None:
                yield from validate_lists(value[key], below, _child(path, key))
            elif isinstance(extra, Mapping):
                yield from validate_lists(value[key], extra, f"{path}[{key}]")
    elif isinstance(value, list):
        items = schema.get("items")
        for index, item in enumerate(value):
            if isinstance(items, Mapping):
                yield from validate_lists(item, items, f"{path}[{index}]")
        yield from _duplicates(value, schema, path)


def _duplicates(items: Sequence[Any], schema: Schema, path: str) -> Iterator[FieldError]:
    kind, keys = schema.get(LIST_TYPE), schema.get(LIST_KEYS) or ()
    if kind not in ("set", "map"):
        return
    seen: set[bytes] = set()
    for index, item in enumerate(items):
        shown = item
        if kind == "map":
            if not isinstance(item, dict):
                continue
            shown = {key: item[key] for key in keys if key in item}
        text = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
        if text in seen:
            yield duplicate(f"{path}[{index}]", shown)
        seen.add(text)


def allows_everything(schema: Schema) -> bool:
    """Whether there is nothing to validate: an open object."""
    return set(schema) <= {"type", PRESERVE, "description", EMBEDDED} and schema.get("type", "object") == "object"
