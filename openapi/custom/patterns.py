"""Regular expressions that users give: RE2, with Go's words for what is wrong with one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2

KEPT_LENGTH = 128
_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "unexpected )": "unexpected )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid character class range": "invalid character class range",
    "invalid character class": "invalid character class",
    "invalid escape sequence": "invalid escape sequence",
    "trailing \\": "trailing backslash at end of expression",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid UTF-8": "invalid UTF-8",
}
_WHOLE = ("missing )", "missing ]", "unexpected )", "trailing \\")
_PARTS = re.compile(r"(missing \)|[^:]+): ?(.*)", re.DOTALL)


_QUIET = re2.Options()
_QUIET.log_errors = False


def compile_pattern(pattern: str) -> Any:
    """Raises re2.error; nothing is logged."""
    return re2.compile(pattern, _QUIET)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return compile_pattern(pattern)


@lru_cache(maxsize=8192)
def _matches_short(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in a text. Short texts repeat from object to object, so answers are kept."""
    return _matches_short(pattern, text) if len(text) <= KEPT_LENGTH else _compiled(pattern).search(text) is not None


def pattern_problem(pattern: str) -> str:
    """What Go says of a pattern; '' for a good one."""
    try:
        compile_pattern(pattern)
    except re2.error as err:
        text = err.args[0].decode() if isinstance(err.args[0], bytes) else str(err.args[0])
    else:
        return ""
    return problem_text(text, pattern)


def problem_text(text: str, pattern: str) -> str:
    """What RE2 says of a pattern, as Go says it."""
    match = _PARTS.fullmatch(text)
    words, part = (match[1], match[2]) if match is not None else (text, pattern)
    if words == "trailing \\":
        return "error parsing regexp: trailing backslash at end of expression: ``"
    shown = pattern if words in ("missing )", "unexpected )") else part
    return f"error parsing regexp: {_WORDS.get(words, words)}: `{shown}`"
