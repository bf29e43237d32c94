"""Validation rules in CEL: `x-kubernetes-validations` of a schema, checked when it is defined and run on objects.

Rules see their own part of the object as `self`, and on updates its older value as `oldSelf`. What they may cost
is judged in `rule_costs.py`; what they do cost is not limited.
Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from openapi.cel.objects import escaped
from openapi.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    ListOf,
    MapOf,
    OptionalOf,
    StructOf,
    VariableType,
)
from openapi.custom.field_paths import InvalidFieldPath, resolve
from openapi.custom.structural import EMBEDDED, INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, RULES, Schema
from openapi.meta import field as fields
from openapi.meta.field import FieldError, Verbatim, duplicate, forbidden, invalid, not_supported, required

Rule = Mapping[str, Any]
MAX_MESSAGE_BYTES = 5 * 1024
Variables = tuple[tuple[str, VariableType], ...]

_REASONS = {
    "FieldValueDuplicate": fields.DUPLICATE,
    "FieldValueForbidden": fields.FORBIDDEN,
    "FieldValueInvalid": fields.INVALID,
    "FieldValueRequired": fields.REQUIRED,
}
_FORMATS = {"byte": BYTES, "date": TIMESTAMP, "date-time": TIMESTAMP, "duration": DURATION}
_SCALARS = {"boolean": BOOL, "integer": INT, "number": DOUBLE, "string": STRING}
_METADATA = StructOf("kubernetes.ObjectMeta", (("name", STRING), ("generateName", STRING)))


# -- types and values --------------------------------------------------------------------------------------------


def cel_type(schema: Schema, *, is_root: bool = False) -> CelType:
    """The type of `self` for a part of a schema."""
    if schema.get(INT_OR_STRING):
        return DYN
    kind = schema.get("type", "")
    if kind in _SCALARS:
        return _FORMATS.get(schema.get("format", ""), STRING) if kind == "string" else _SCALARS[kind]
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return ListOf(cel_type(schema["items"]))
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        return MapOf(cel_type(extra))
    if kind == "object" and (schema.get("properties") or is_root or schema.get(EMBEDDED)):
        return _struct(schema, is_root=is_root)
    return DYN


def _struct(schema: Schema, *, is_root: bool) -> StructOf:
    members: dict[str, CelType] = {}
    if is_root or schema.get(EMBEDDED):
        members = {"apiVersion": STRING, "kind": STRING, "metadata": _METADATA}
    for name, below in (schema.get("properties") or {}).items():
        known = escaped(name)
        if known and name not in members:
            members[known] = cel_type(below)
    shape = repr(sorted((n, repr(t)) for n, t in members.items()))
    digest = hashlib.sha1(shape.encode(), usedforsecurity=False).hexdigest()
    return StructOf(f"selfType{digest}", tuple(members.items()))


def cel_value(value: Any, schema: Schema, *, is_root: bool = False) -> Any:
    """A part of an object as expressions see it."""
    if value is None or schema.get(INT_OR_STRING):
        return value
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        if isinstance(extra, Mapping):
            return {name: cel_value(item, extra) for name, item in value.items()}
        keeps = is_root or schema.get(EMBEDDED) or schema.get(PRESERVE)
        return {
            escaped(name) or name: cel_value(item, properties[name]) if name in properties else item
            for name, item in value.items()
            if name in properties or keeps
        }
    if isinstance(value, list):
        items = schema.get("items")
        return [cel_value(item, items) for item in value] if isinstance(items, Mapping) else value
    return _scalar(value, schema)


def _scalar(value: Any, schema: Schema) -> Any:
    kind = schema.get("type")
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind != "string" or not isinstance(value, str):
        return value
    return _formatted(value, schema.get("format", ""))


def _formatted(text: str, form: str) -> Any:
    """Text of a format that CEL has a type for."""
    if form == "byte":
        return text.encode()
    if form not in ("date", "date-time", "duration"):
        return text
    from openapi.cel.values import duration, timestamp

    if form == "duration":
        return duration(text)
    return timestamp(text if "T" in text else f"{text}T00:00:00Z")


# -- checking rules ----------------------------------------------------------------------------------------------


def validate_rule_texts(schema: Schema, path: str) -> Iterator[FieldError]:
    """What is wrong with a schema's own rules besides their expressions."""
    for i, rule in enumerate(schema.get(RULES) or ()):
        yield from _validate_texts(rule, schema, f"{path}.{RULES}[{i}]")


def _validate_texts(rule: Rule, schema: Schema, path: str) -> Iterator[FieldError]:
    text, message, dynamic = rule.get("rule", ""), rule.get("message", ""), rule.get("messageExpression", "")
    reason, place = rule.get("reason"), rule.get("fieldPath", "")
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif _has_newline(message.strip()):
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    elif _has_newline(text.strip()) and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    if dynamic and not dynamic.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    if reason is not None and reason not in _REASONS:
        yield not_supported(f"{path}.reason", reason, _REASONS)
    if place and not place.strip():
        yield invalid(f"{path}.fieldPath", place, "must be non-empty if specified")
    if _has_newline(place):
        yield invalid(f"{path}.fieldPath", place, "must not contain line breaks")
    if place and not _leads_to_field(place, schema):
        yield invalid(f"{path}.fieldPath", place, "must be a valid path")


def _has_newline(text: str) -> bool:
    return "\n" in text or "\r" in text


def _leads_to_field(path: str, schema: Schema) -> bool:
    """Whether a path like `.a.b['c']` names something that the schema knows."""
    try:
        resolve(path, schema)
    except InvalidFieldPath:
        return False
    return True


def validate_rules(
    schema: Schema, path: str, broken: Sequence[str] = (), *, is_root: bool = True, apart: str = ""
) -> Iterator[FieldError]:
    """What is wrong with the expressions of a schema's rules, those of its parts first.

    Parts at or above a `broken` path are left out; `apart` is where older values cease to be comparable.
    """
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, Mapping):
        yield from validate_rules(extra, f"{path}.additionalProperties", broken, is_root=False, apart=apart)
    for name, below in sorted((schema.get("properties") or {}).items()):
        yield from validate_rules(below, f"{path}.properties[{name}]", broken, is_root=False, apart=apart)
    if isinstance(items, Mapping):
        loose = apart or ("" if schema.get(LIST_TYPE) == "map" else path)
        yield from validate_rules(items, f"{path}.items", broken, is_root=False, apart=loose)
    if any(other == path or other.startswith((f"{path}.", f"{path}[")) for other in broken):
        return
    for i, rule in enumerate(schema.get(RULES) or ()):
        yield from _validate_rule(rule, schema, f"{path}.{RULES}[{i}]", is_root=is_root, apart=apart)


def _validate_rule(rule: Rule, schema: Schema, path: str, *, is_root: bool, apart: str) -> Iterator[FieldError]:
    text, dynamic = rule.get("rule", ""), rule.get("messageExpression", "")
    if not text.strip():
        return
    variables = _variables(rule, schema, is_root=is_root)
    problem = _problem(text, variables, BOOL)
    if problem:
        yield invalid(f"{path}.rule", _shown(rule), problem)
    elif dynamic:
        dynamic_problem = _problem(dynamic, variables, STRING)
        if dynamic_problem:
            yield invalid(f"{path}.messageExpression", _shown(rule), f"messageExpression {dynamic_problem}")
    optional = rule.get("optionalOldSelf")
    if _uses_old(text) and not problem:
        if apart:
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {apart}"
            yield invalid(f"{path}.rule", text, why)
    elif optional is not None:
        yield invalid(f"{path}.optionalOldSelf", optional, "may not be set if oldSelf is not used in rule")


def _problem(text: str, variables: Variables, wanted: str) -> str:
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError

    try:
        result = compile_expression(text, variables).result_type
    except CompileError as err:
        return f"compilation failed: {err}"
    if result == wanted:
        return ""
    return "cel expression must evaluate to a bool" if wanted == BOOL else "must evaluate to a string"


def _variables(rule: Rule, schema: Schema, *, is_root: bool) -> Variables:
    kind = cel_type(schema, is_root=is_root)
    return (("self", kind), ("oldSelf", OptionalOf(kind) if rule.get("optionalOldSelf") else kind))


def _shown(rule: Rule) -> Verbatim:
    names = ("Rule", "Message", "MessageExpression", "Reason", "FieldPath", "OptionalOldSelf")
    empty = {"Reason": None, "OptionalOldSelf": None}
    shown = {name: rule.get(name[0].lower() + name[1:], empty.get(name, "")) for name in names}
    return Verbatim(orjson.dumps(shown).decode())


# -- running rules -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _uses_old(text: str) -> bool:
    return "oldSelf" in text


def has_rules(schema: Schema) -> bool:
    """Whether any part of a schema has rules."""
    if schema.get(RULES):
        return True
    parts = list((schema.get("properties") or {}).values())
    parts += [schema[word] for word in ("items", "additionalProperties") if isinstance(schema.get(word), Mapping)]
    return any(has_rules(part) for part in parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an object, its older value if there is one to compare with, and where it is.

    `unchanged`: it, or the nearest part around it that can be compared, is what it was.
    """

    value: Any
    schema: Schema
    old: Any
    path: str
    unchanged: bool = False
    is_root: bool = False

    def below(self, value: Any, schema: Schema, old: Any, path: str) -> _Part:
        return _Part(value, schema, old, path, self.unchanged if old is None else old == value)

    def parts(self) -> Iterator[_Part]:
        schema, path = self.schema, self.path
        if isinstance(self.value, dict):
            properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
            olds = self.old if isinstance(self.old, dict) else {}
            for name, value in sorted(self.value.items()):
                if name in properties:
                    yield self.below(value, properties[name], olds.get(name), f"{path}.{name}" if path else name)
                elif isinstance(extra, Mapping):
                    yield self.below(value, extra, olds.get(name), f"{path}[{name}]")
        elif isinstance(self.value, list) and isinstance(schema.get("items"), Mapping):
            olds = _by_key(self.old, schema)
            for index, item in enumerate(self.value):
                before = olds.get(_key(item, schema)) if olds else None
                yield self.below(item, schema["items"], before, f"{path}[{index}]")


def run_rules(value: Any, schema: Schema, old: Any = None, *, of_unchanged: bool = False) -> Iterator[FieldError]:
    """What the rules have against an object.

    Of what did not change, only those judge that compare it with `old`. What the others have against it, which may
    stay so but is told, comes with `of_unchanged`, and that alone.
    """
    return _run(_Part(value, schema, old, "", unchanged=old == value, is_root=True), of_unchanged=of_unchanged)


def _run(part: _Part, *, of_unchanged: bool) -> Iterator[FieldError]:
    if part.value is None:
        return
    rules, given = part.schema.get(RULES) or (), None
    for rule in rules:
        compares = _uses_old(rule.get("rule", ""))
        if compares and part.old is None and not rule.get("optionalOldSelf"):
            continue
        if (part.unchanged and not compares) is of_unchanged:
            given = given or _given(part)
            yield from _run_rule(rule, part.schema, given, part.path, is_root=part.is_root)
    for below in part.parts():
        yield from _run(below, of_unchanged=of_unchanged)


def _given(part: _Part) -> dict[str, Any]:
    given = {"self": cel_value(part.value, part.schema, is_root=part.is_root)}
    if part.old is not None:
        given["oldSelf"] = cel_value(part.old, part.schema, is_root=part.is_root)
    return given


def _by_key(old: Any, schema: Schema) -> dict[Any, Any]:
    if not isinstance(old, list) or schema.get(LIST_TYPE) != "map":
        return {}
    return {_key(item, schema): item for item in old}


def _key(item: Any, schema: Schema) -> Any:
    return tuple(repr(item.get(k)) for k in schema.get(LIST_KEYS) or ()) if isinstance(item, dict) else repr(item)


def _run_rule(
    rule: Rule, schema: Schema, given: Mapping[str, Any], path: str, *, is_root: bool
) -> Iterator[FieldError]:
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError, EvaluationError

    text, shown, where = rule.get("rule", ""), schema.get("type", ""), path or "<nil>"
    variables = _variables(rule, schema, is_root=is_root)
    try:
        if compile_expression(text, variables).evaluate(given) is True:
            return
    except CompileError as err:
        yield invalid(where, shown, f"rule compile error: compilation failed: {err}")
        return
    except EvaluationError as err:
        yield invalid(where, shown, _not_evaluated(str(err), rule))
        return
    message = _message(rule)
    dynamic = rule.get("messageExpression", "").strip()
    if dynamic:
        with suppress(CompileError, EvaluationError):
            message = _usable(compile_expression(dynamic, variables).evaluate(given)) or message
    at = f"{path}{rule['fieldPath']}".lstrip(".") if rule.get("fieldPath") else where
    yield _error(rule.get("reason"), at, shown, message)


def _usable(made: Any) -> str:
    """The message that an expression made, '' for none that can be shown."""
    text = made.strip() if isinstance(made, str) else ""
    return "" if "\n" in text or len(text.encode()) > MAX_MESSAGE_BYTES else text


def _named(rule: Rule) -> str:
    """What a rule is called by: its message or its expression."""
    given: str = rule.get("message") or rule.get("rule", "")
    return given.strip()


def _message(rule: Rule) -> str:
    return _named(rule) if rule.get("message") else f"failed rule: {_named(rule)}"


def _not_evaluated(problem: str, rule: Rule) -> str:
    if problem.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{problem}': {why}: {_named(rule)}"
    return f"{problem} evaluating rule: {_named(rule)}"


def _error(reason: str | None, path: str, shown: Any, message: str) -> FieldError:
    if reason == "FieldValueForbidden":
        return forbidden(path, message)
    if reason == "FieldValueRequired":
        return required(path, message)
    return duplicate(path, shown) if reason == "FieldValueDuplicate" else invalid(path, shown, message)
