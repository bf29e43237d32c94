"""Selectors of labels and fields: parsed once, matched often.

Follows: staging/src/k8s.io/apimachinery/pkg/{labels,fields}/selector.go,
pkg/apis/meta/v1/{helpers.go,validation/validation.go}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from openapi.meta.field import FieldError, aggregate, forbidden, invalid, not_supported, quote, required
from openapi.meta.names import is_label_value, is_qualified_name

EXISTS, NOT_EXISTS = "exists", "!"
IN, NOT_IN = "in", "notin"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS = "=", "==", "!="
GREATER, LESS = "gt", "lt"

_BINARY = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS)
_POSITIVE = frozenset((IN, EQUALS, DOUBLE_EQUALS))
_SIGNS = {GREATER: ">", LESS: "<", IN: " in ", NOT_IN: " notin "}


class SelectorError(ValueError):
    """The text or value is no selector, in the words of the API."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `values` are sorted when they come from a text."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        operator = self.operator
        value = labels.get(self.key)
        if operator in _POSITIVE:
            return value is not None and value in self.values
        if operator in (NOT_IN, NOT_EQUALS):
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == NOT_EXISTS:
            return value is None
        number = _integer(value) if value is not None else None
        limit = _integer(self.values[0]) if len(self.values) == 1 else None
        if number is None or limit is None:
            return False
        return number > limit if operator == GREATER else number < limit

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == NOT_EXISTS:
            return "!" + self.key
        values = ",".join(sorted(self.values))
        if self.operator in (IN, NOT_IN):
            values = f"({values})"
        return f"{self.key}{_SIGNS.get(self.operator, self.operator)}{values}"


def _integer(text: str) -> int | None:
    """A 64-bit decimal number, or None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > 19:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class LabelSelector:
    """All requirements must hold. `nothing` selectors match no object at all."""

    __slots__ = ("_equal", "_others", "nothing", "requirements")

    def __init__(self, requirements: Sequence[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda r: r.key))
        self.nothing = nothing
        single = [r for r in self.requirements if r.operator in _POSITIVE and len(r.values) == 1]
        self._equal = tuple((r.key, r.values[0]) for r in single)
        self._others = tuple(r for r in self.requirements if r not in single)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.nothing and not self.requirements

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        if labels is None:
            labels = {}
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self._others)

    def exact(self, key: str) -> str | None:
        """The one value that the label `key` must have, if the selector says so."""
        first = next((r for r in self.requirements if r.key == key), None)
        if first is not None and first.operator in _POSITIVE and len(first.values) == 1:
            return first.values[0]
        return None

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, LabelSelector) and self.requirements == other.requirements
        return same and isinstance(other, LabelSelector) and self.nothing == other.nothing

    def __hash__(self) -> int:
        return hash((self.requirements, self.nothing))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def new_requirement(key: str, operator: str, values: Sequence[str], key_path: str = "key") -> Requirement:
    """A checked requirement; raises SelectorError."""
    errors: list[FieldError] = []
    problems = is_qualified_name(key)
    if problems:
        errors.append(invalid(key_path, key, "; ".join(problems)))
    errors.extend(_value_count_errors(operator, values))
    for index, value in enumerate(values):
        problems = is_label_value(value)
        if problems:
            errors.append(invalid(f"values[{index}][{key}]", value, "; ".join(problems)))
    if errors:
        raise SelectorError(aggregate(errors))
    return Requirement(key, operator, tuple(values))


def _value_count_errors(operator: str, values: Sequence[str]) -> Iterator[FieldError]:
    shown = list(values)
    if operator in (IN, NOT_IN):
        if not values:
            yield invalid("values", shown, "for 'in', 'notin' operators, values set can't be empty")
    elif operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS):
        if len(values) != 1:
            yield invalid("values", shown, "exact-match compatibility requires one single value")
    elif operator in (EXISTS, NOT_EXISTS):
        if values:
            yield invalid("values", shown, "values set must be empty for exists and does not exist")
    elif operator in (GREATER, LESS):
        if len(values) != 1:
            yield invalid("values", shown, "for 'Gt', 'Lt' operators, exactly one value is required")
        for index, value in enumerate(values):
            if _integer(value) is None:
                yield invalid(f"values[{index}]", value, "for 'Gt', 'Lt' operators, the value must be an integer")
    else:
        yield not_supported("operator", operator, (*_BINARY, EXISTS, NOT_EXISTS))


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> LabelSelector:
    """The selector of a `labelSelector` parameter; raises SelectorError."""
    return LabelSelector(_LabelParser(text).parse()) if text else EVERYTHING


_END = ""
_WORD = "word"
_SYMBOLS = frozenset("=!(),><")
_SPACE = frozenset(" \t\r\n")
_TOKENS = frozenset((")", ",", "!", "==", "=", ">", "<", "!=", "(", "in", "notin"))
_OPERATORS = {"in": IN, "notin": NOT_IN, "=": EQUALS, "==": DOUBLE_EQUALS, "!=": NOT_EQUALS, ">": GREATER, "<": LESS}


class _LabelParser:
    """Reads `x in (a,b),y,!z,w!=v` token by token. A token is its kind (`word`, or the symbol itself) and its text."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.position = 0

    def peek(self) -> tuple[str, str]:
        """The next token where names and values stand: there `in` and `notin` are plain words."""
        kind, text = self.tokens[self.position]
        return (_WORD, text) if kind in ("in", "notin") else (kind, text)

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            kind, text = self.peek()
            if kind == _END:
                return requirements
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            kind, text = self.take()
            if kind == _END:
                return requirements
            if kind != ",":
                raise SelectorError(f"found '{text}', expected: ',' or 'end of string'")
            kind, text = self.peek()
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        kind, key = self.take()
        negated = kind == "!"
        if negated:
            kind, key = self.take()
        if kind != _WORD:
            raise SelectorError(f"found '{key}', expected: identifier")
        problems = is_qualified_name(key)
        if problems:
            raise SelectorError(str(invalid("<nil>", key, "; ".join(problems))))
        if self.peek()[0] in (_END, ","):
            return new_requirement(key, NOT_EXISTS if negated else EXISTS, ())
        if negated:
            return new_requirement(key, NOT_EXISTS, ())
        kind, text = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        operator = _OPERATORS.get(kind)
        if operator is None:
            raise SelectorError(f"found '{text}', expected: {', '.join(_BINARY)}")
        values = self.values() if operator in (IN, NOT_IN) else self.exact_value()
        return new_requirement(key, operator, sorted(values))

    def values(self) -> set[str]:
        kind, text = self.take()
        if kind != "(":
            raise SelectorError(f"found '{text}' expected: '('")
        kind, text = self.peek()
        if kind == ")":
            self.take()
            return {""}
        if kind not in (_WORD, ","):
            raise SelectorError(f"found '{text}', expected: ',', ')' or identifier")
        values = self.identifiers()
        if self.take()[0] != ")":
            raise SelectorError(f"found '{text}', expected: ')'")
        return values

    def identifiers(self) -> set[str]:
        """A list of values in which empty ones count: `(a,,b)`."""
        values: set[str] = set()
        while True:
            kind, text = self.take()
            following, following_text = self.peek()
            if kind == _WORD:
                values.add(text)
                if following == ")":
                    return values
                if following != ",":
                    raise SelectorError(f"found '{following_text}', expected: ',' or ')'")
            elif kind == ",":
                if not values or following == ",":
                    values.add("")
                if following == ")":
                    values.add("")
                    return values
            else:
                raise SelectorError(f"found '{text}', expected: ',', or identifier")

    def exact_value(self) -> set[str]:
        if self.peek()[0] in (_END, ","):
            return {""}
        kind, text = self.take()
        if kind != _WORD:
            raise SelectorError(f"found '{text}', expected: identifier")
        return {text}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, end = 0, text.find("\0")
    text = text if end < 0 else text[:end]
    while position < len(text):
        character = text[position]
        if character in _SPACE:
            position += 1
            continue
        start = position
        if character in _SYMBOLS:
            position = _symbol_end(text, position)
            symbol = text[start:position]
            yield (symbol, symbol) if symbol in _TOKENS else ("error", f"error expected: keyword found '{symbol}'")
            continue
        while position < len(text) and text[position] not in _SYMBOLS and text[position] not in _SPACE:
            position += 1
        word = text[start:position]
        yield (word if word in _TOKENS else _WORD), word
    yield _END, ""


def _symbol_end(text: str, start: int) -> int:
    """Where the longest symbol that starts here ends; only `=` and `!` can be followed by another `=`."""
    return start + 2 if text[start : start + 2] in ("==", "!=") else start + 1


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """`field=value`, or `field!=value` where `equal` is false."""

    field: str
    value: str
    equal: bool = True


class FieldSelector:
    """All terms must hold; a field that an object has not counts as ''."""

    __slots__ = ("terms",)

    def __init__(self, terms: Sequence[FieldTerm] = ()) -> None:
        self.terms = tuple(terms)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.terms

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(term.field, "") == term.value) == term.equal for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The one value that the field must have, if the selector says so."""
        return next((t.value for t in self.terms if t.equal and t.field == field), None)

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{t.value}" for t in self.terms)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """The selector of a `fieldSelector` parameter; raises SelectorError. Which fields there are is for the caller."""
    terms: list[FieldTerm] = []
    for part in sorted(filter(None, _field_parts(text))):
        found = _field_term(part)
        if found is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append(FieldTerm(found[1], _unescaped(found[3]), found[2] != "!="))
    return FieldSelector(terms)


_field_parts = re.compile(r"(?:[^,\\]|\\.?)+", re.DOTALL).findall
"""Terms are separated by commas, but not by those behind a backslash."""
_field_term = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL).fullmatch


def _unescaped(value: str) -> str:
    r"""A value of a field selector, in which `\\`, `\,` and `\=` stand for the second character."""
    if "\\" not in value and "=" not in value:
        return value
    out, characters = [], iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif character == "=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            out.append(character)
    return "".join(out)


_SPEC_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS}


def from_label_selector(spec: Mapping[str, Any] | None) -> LabelSelector:
    """The selector of a `{matchLabels, matchExpressions}`; None matches nothing, {} everything.

    Raises SelectorError.
    """
    if spec is None:
        return NOTHING
    labels, expressions = spec.get("matchLabels") or {}, spec.get("matchExpressions") or ()
    requirements = [new_requirement(key, EQUALS, (value,)) for key, value in labels.items()]
    for expression in expressions:
        operator = _SPEC_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f"{quote(expression.get('operator', ''))} is not a valid label selector operator")
        requirements.append(new_requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return LabelSelector(requirements) if requirements else EVERYTHING


def from_labels(labels: Mapping[str, str] | None) -> LabelSelector:
    """Exactly these labels, unchecked; none select everything."""
    return LabelSelector([Requirement(key, EQUALS, (value,)) for key, value in (labels or {}).items()])


def validate_label_selector(
    spec: Mapping[str, Any] | None, path: str, *, allow_invalid_values: bool = False
) -> Iterator[FieldError]:
    """What is wrong with a `{matchLabels, matchExpressions}`; None is fine."""
    if spec is None:
        return
    for key, value in (spec.get("matchLabels") or {}).items():
        for problem in is_qualified_name(key):
            yield invalid(f"{path}.matchLabels", key, problem)
        for problem in is_label_value(value):
            yield invalid(f"{path}.matchLabels", value, problem)
    for index, expression in enumerate(spec.get("matchExpressions") or ()):
        yield from _expression_errors(expression, f"{path}.matchExpressions[{index}]", allow_invalid_values)


def _expression_errors(expression: Mapping[str, Any], path: str, allow_invalid_values: bool) -> Iterator[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    key = expression.get("key", "")
    for problem in is_qualified_name(key):
        yield invalid(f"{path}.key", key, problem)
    if not allow_invalid_values:
        for place, value in enumerate(values):
            for problem in is_label_value(value):
                yield invalid(f"{path}.values[{place}]", value, problem)
