"""What goes wrong with expressions, in the words that Kubernetes' users know."""

from __future__ import annotations

import re


class CompileError(Exception):
    """The text is the whole report: one `ERROR: <input>:1:2: ...` with its line for each problem."""


class EvaluationError(Exception):
    """The expression has no value for these inputs."""


_PREFIX = re.compile(r"^[A-Z_]+: ")
_SUFFIX = re.compile(r" \[[A-Z_]+\]$")
_NO_KEY = re.compile(r'Key not found in map : "?(.*?)"?$')
_OVERLOAD = re.compile(r"No matching overloads found : .*")
_UNKNOWN_NAME = re.compile(r'No value with name "(.*)" found in Activation')
_STRUCT = re.compile(r"(undefined field '[^']*') not found in struct '[^']*'")
_TEXTS = {
    "divide by zero": "division by zero",
    "modulus by zero": "modulus by zero",
    "index out of bounds": "index out of bounds",
}


def report(error: Exception) -> str:
    """What the compiler said, without the library's own codes."""
    return _STRUCT.sub(r"\1", _SUFFIX.sub("", _PREFIX.sub("", str(error), count=1), count=1))


def evaluation_text(text: str) -> str:
    text = _PREFIX.sub("", text, count=1)
    text = _NO_KEY.sub(r"no such key: \1", text)
    text = _OVERLOAD.sub("no such overload", text)
    text = _UNKNOWN_NAME.sub(r"no such attribute(s): \1", text)
    return _TEXTS.get(text, text)
