"""Bodies in YAML, read as the API server reads them: YAML 1.1 scalars, then JSON.

`y`, `no`, `on` and so on are booleans, `010` is eight, dates stay texts, and every key becomes a string.
`openapi.schema.yamlbody` imports this at the first YAML body, for PyYAML is slow to load and seldom needed.
Follows: sigs.k8s.io/yaml and its goyaml.v2 (resolve.go, decode.go)
"""

from __future__ import annotations

import base64
import re
from typing import Any

import yaml
from yaml.scanner import ScannerError

from openapi.schema.gotext import go_syntax
from openapi.schema.parse import YAMLError
from openapi.schema.yamlbody import YAML_PROBLEMS

_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_is_float = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?").fullmatch
_anchor = re.compile(rb"&([-\w]+)").match
_STR, _NULL_TAG, _BOOL, _INT, _FLOAT, _BINARY, _MERGE = (
    f"tag:yaml.org,2002:{word}" for word in ("str", "null", "bool", "int", "float", "binary", "merge")
)


def parse_yaml(raw: bytes) -> tuple[Any, list[str]]:
    """The JSON value of a YAML text, and one text that lists its duplicate keys, if it has any.

    Only the first document counts. Raises YAMLError.
    """
    loader = _Loader(raw)
    try:
        node = loader.get_node() if loader.check_node() else None
        value = None if node is None else loader.json_value(node)
    except yaml.MarkedYAMLError as error:
        raise YAMLError(_problem(error, raw)) from None
    except yaml.YAMLError as error:
        raise YAMLError(f"yaml: {error}") from None
    except RecursionError:
        raise YAMLError("yaml: exceeded max depth of 10000") from None
    except YAMLError:
        raise
    except ValueError as error:
        raise YAMLError(f"yaml: {error}") from None
    finally:
        loader.dispose()
    found: list[str] = loader.duplicate_keys
    if not found:
        return value, []
    return value, [YAML_PROBLEMS + "\n".join("  " + each for each in found)]


def _problem(error: Any, raw: bytes) -> str:
    """libyaml's complaint with the line that Go's port of it would name."""
    line = 0
    if error.problem_mark is not None and error.problem_mark.line:
        line = error.problem_mark.line + isinstance(error, ScannerError)
    elif error.context_mark is not None:
        line = error.context_mark.line
    where = f"line {line}: " if line else ""
    if error.problem == "found undefined alias":
        line_text = raw.decode("utf-8", "replace").splitlines()[error.problem_mark.line]
        name = re.match(r"\*([-\w]*)", line_text[error.problem_mark.column :])
        return f"yaml: unknown anchor '{name[1] if name else ''}' referenced"
    return f"yaml: {where}{error.problem}"


def dump_yaml(value: Any) -> bytes:
    """A JSON value as YAML: block style, keys sorted, long lines unbroken."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=2**31 - 1, allow_unicode=True)
    return text.encode()


def scalar_tag(text: str) -> str:
    """The type that a plain scalar resolves to."""
    if text in _NULL:
        return _NULL_TAG
    if text in _TRUE or text in _FALSE:
        return _BOOL
    if text == "<<":
        return _MERGE
    if text[0] in "+-.0123456789":
        if _integer(text) is not None:
            return _INT
        if _is_float(text.replace("_", "")) or text.lstrip("+-").lower() in (".inf", ".nan"):
            return _FLOAT
    return _STR


def _integer(text: str) -> int | None:
    """A number as Go reads it with base 0: `0x1f`, `0b1`, `0o7`, `017`, `1_000`."""
    plain = text.replace("_", "")
    sign = -1 if plain.startswith("-") else 1
    digits = plain.lstrip("+-") if plain[:1] in ("+", "-") else plain
    try:
        if digits[:1] == "0" and digits.isdigit() and len(digits) > 1:
            return sign * int(digits, 8)
        return sign * int(digits, 0) if digits[:1].isdigit() else None
    except ValueError:
        return None


class _Loader(_BaseLoader):  # type: ignore[misc]
    """Builds JSON values; a node that several aliases share is built once for each."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.duplicate_keys: list[str] = []
        self.budget = 4 * len(raw) + 10_000  # aliases may not blow up a small text
        self._text = raw
        self._open: set[int] = set()

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return scalar_tag(value) if implicit[0] else _STR
        return super().resolve(kind, value, implicit)

    def json_value(self, node: Any) -> Any:
        self.budget -= 1
        if self.budget < 0:
            raise ValueError("document contains excessive aliasing")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if id(node) in self._open:
            start = node.start_mark.index
            named = _anchor(self._text, start) or _anchor(self._text, self._text.rfind(b"&", 0, start))
            raise ValueError(f"anchor '{named[1].decode() if named else ''}' value contains itself")
        self._open.add(id(node))
        value = (
            [self.json_value(item) for item in node.value]
            if isinstance(node, yaml.SequenceNode)
            else self.mapping(node)
        )
        self._open.discard(id(node))
        return value

    def scalar(self, node: Any) -> Any:
        text, tag = node.value, node.tag
        if tag == _NULL_TAG:
            return None
        if tag == _BOOL:
            return text in _TRUE
        if tag == _INT:
            return _integer(text)
        if tag == _FLOAT:
            number = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
            if number != number or number in (float("inf"), float("-inf")):
                shown = "NaN" if number != number else "+Inf" if number > 0 else "-Inf"
                raise YAMLError(f"json: unsupported value: {shown}")
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        if tag == _BINARY:
            return base64.b64decode(text).decode("utf-8", "replace")
        return text

    def mapping(self, node: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):
                    merged.update(self.mapping(source))
                continue
            key = self.key(key_node, value_node)
            if key in own:
                line = key_node.start_mark.line + 1
                self.duplicate_keys.append(f'line {line}: key "{key}" already set in map')
            own[key] = self.json_value(value_node)
        return {**merged, **own}

    def key(self, node: Any, value_node: Any) -> str:
        value = self.json_value(node)
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if value is None:
            below = go_syntax(self.json_value(value_node))
            raise YAMLError(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {below}")
        raise ValueError(f"invalid map key: {go_syntax(value).replace('map[string]', 'map[interface {}]')}")
