"""What goes wrong with expressions, in the words that Kubernetes' users know."""

from __future__ import annotations

import re

from openapi.custom.patterns import problem_text


class CompileError(Exception):
    """The text is the whole report: one `ERROR: <input>:1:2: ...` with its line for each problem."""


class EvaluationError(Exception):
    """The expression has no value for these inputs."""


_PREFIX = re.compile(r"^[A-Z_]+: ")
_SUFFIX = re.compile(r" \[[A-Z_]+\]$")
_NO_KEY = re.compile(r'Key not found in map : "?(.*?)"?$')
_OVERLOAD = re.compile(r"No matching overloads found : .*")
_UNKNOWN_NAME = re.compile(r'No value with name "(.*)" found in Activation')
_INDEX = re.compile(r"^Index error: index=(-?\d+) size=\d+$")
_CONVERSION = re.compile(r"^(?:cannot convert )?(?!value)(\w+) [tT]o (\w+)(?: conversion failed)?$")
_PATTERN = re.compile(r"^invalid regular expression: (.*)$", re.DOTALL)
_INDEX_TYPE = re.compile(r"^Index error: expected integer type, got (\w+)$")
_TYPES = {"Timestamp": "google.protobuf.Timestamp", "Duration": "google.protobuf.Duration"}
_BLOCK = re.compile(r"(?m)^(?=ERROR: <input>:)")
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): ")
_NO_OVERLOAD = re.compile(
    r"(ERROR: <input>:\d+:(\d+): found no matching overload for '\w+' applied to )'\(([^']*)\)'(\n \| (.*)\n)"
)
_METHOD_CALL = re.compile(r"\.\s*\w+\s*$")
_MACRO = re.compile(r"(ERROR: <input>:\d+:\d+: )(\w+)\(\) (?:variable name must be a simple identifier)")
_UNDECLARED = re.compile(
    r"ERROR: <input>:(\d+):(\d+): undeclared reference to '([\w.]+)\.(\w+)'(.*)\n \| (.*)\n \| \.*\^"
)
_STRUCT = re.compile(r"(undefined field '[^']*') not found in struct '[^']*'")
_MACRO_TEXTS = {
    "all": "argument must be a simple name",
    "exists": "argument must be a simple name",
    "exists_one": "argument must be a simple name",
    "existsOne": "argument must be a simple name",
    "filter": "argument is not an identifier",
    "map": "argument is not an identifier",
}
_TEXTS = {
    "divide by zero": "division by zero",
    "modulus by zero": "modulus by zero",
    "index out of bounds": "index out of bounds",
    "int64 out of uint64 range": "unsigned integer overflow",
    "uint64 out of int64 range": "integer overflow",
    "double out of int64 range": "integer overflow",
    "double out of uint64 range": "unsigned integer overflow",
    "Type conversion error from 'string' to 'bool'": "type conversion error from 'string' to 'bool'",
}
_POSITION = re.compile(r"ERROR: <input>:1:(\d+):(.*)\n \| (.*)\n \| \.*\^")
_NO_SELECTION = re.compile(r"expression of type '([^']*)' cannot be the operand of a select operation")


def report(error: Exception, opening: str = "") -> str:
    """What the compiler said, by place, without the library's own codes and what only follows from other errors.

    `opening` is what was put before the expression, and closed behind it.
    """
    text = _STRUCT.sub(r"\1", _SUFFIX.sub("", _PREFIX.sub("", str(error), count=1), count=1))
    text = _NO_SELECTION.sub(r"type '\1' does not support field selection", text)
    if opening:
        text = _POSITION.sub(lambda match: _shifted(match, opening), text)
    firm = [block.rstrip("\n") for block in _BLOCK.split(text) if block and "'*error*'" not in block]
    return "\n".join(sorted(map(_in_words, firm), key=_place)) if firm else text


def _in_words(block: str) -> str:
    block = block.replace("has() argument must be a field selection", "invalid argument to has() macro")
    block = _MACRO.sub(lambda m: m[1] + _MACRO_TEXTS[m[2]] if m[2] in _MACRO_TEXTS else m[0], block)
    block = block.replace(
        "cel.bind() variable name must be a simple identifier", "cel.bind() variable names must be simple identifiers"
    )
    block = block.replace("\\u003F", "?")
    return _NO_OVERLOAD.sub(_with_receiver, _UNDECLARED.sub(_at_root, block))


def _place(block: str) -> tuple[int, int]:
    match = _PLACE.match(block)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _with_receiver(match: re.Match[str]) -> str:
    """The types of a method's call show the receiver in front: `string.(int)`."""
    start, column, types, rest, source = match.groups()
    if not _METHOD_CALL.search(source[: int(column) - 1]):
        return match.group()
    receiver, others = _first_type(types)
    return f"{start}'{receiver}.({others})'{rest}"


def _first_type(types: str) -> tuple[str, str]:
    depth = 0
    for at, char in enumerate(types):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            return types[:at], types[at + 1 :].lstrip()
    return types, ""


def _shifted(match: re.Match[str], opening: str) -> str:
    """A complaint about the expression alone."""
    column, rest, source = match.groups()
    start = max(int(column) - len(opening), 1)
    source = source.removeprefix(opening)[: -opening.count("cel.bind(") or None]
    return f"ERROR: <input>:1:{start}:{rest}\n | {source}\n | {'.' * (start - 1)}^"


def _at_root(match: re.Match[str]) -> str:
    """An undeclared `a.b` is an undeclared `a`, where `a` stands."""
    line, column, root, _field, rest, source = match.groups()
    start = int(column) - len(root)
    name = root.partition(".")[0]
    dots = "." * (start - 1)
    return f"ERROR: <input>:{line}:{start}: undeclared reference to '{name}'{rest}\n | {source}\n | {dots}^"


def evaluation_text(text: str) -> str:
    text = _PREFIX.sub("", text, count=1)
    text = _NO_KEY.sub(r"no such key: \1", text)
    text = _OVERLOAD.sub("no such overload", text)
    text = _UNKNOWN_NAME.sub(r"no such attribute(s): \1", text)
    text = _INDEX.sub(r"index out of bounds: \1", text)
    text = _PATTERN.sub(lambda m: problem_text(m[1], m[1].partition(": ")[2]), text)
    text = _INDEX_TYPE.sub(r"unsupported index type '\1' in list", text)
    text = _CONVERSION.sub(lambda m: f"type conversion error from '{m[1].lower()}' to '{_TYPES.get(m[2], m[2])}'", text)
    return _TEXTS.get(text, text)
