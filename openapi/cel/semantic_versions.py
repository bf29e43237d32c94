"""Semantic versions: what is one, and which of two is newer."""

from __future__ import annotations

import re
from typing import Any

from openapi.meta.field import quote

_DIGITS = re.compile(r"[0-9]*")
_WORD = re.compile(r"[0-9A-Za-z-]+")


def is_semver(text: str) -> bool:
    return not version_problem(text)


def normalized(text: str) -> str:
    """What is meant by `v1.02`: without the letter, with all three numbers, none with leading zeros."""
    text = text.removeprefix("v")
    end = next((at for at, letter in enumerate(text) if letter in "-+"), len(text))
    numbers = [part.lstrip("0") or "0" if part.isdigit() else part for part in text[:end].split(".")]
    return ".".join([*numbers, *("0" for _ in range(3 - len(numbers)))]) + text[end:]


def sort_key(text: str) -> tuple[Any, ...]:
    """Sorts as versions do; a version without a pre-release follows those with one. Raises ValueError."""
    problem = version_problem(text)
    if problem:
        raise ValueError(problem)
    major, minor, rest = text.partition("+")[0].split(".", 2)
    patch, dash, pre = rest.partition("-")
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")]
    return (int(major), int(minor), int(patch), not dash, parts)


def version_problem(text: str) -> str:
    """What is wrong with a version, in the words of Go's usual library for them; '' for a good one.

    Follows: github.com/blang/semver/v4/semver.go Parse
    """
    if not text:
        return "Version string empty"
    numbers = text.split(".", 2)
    if len(numbers) != 3:
        return "No Major.Minor.Patch elements found"
    rest, _, build = numbers[2].partition("+")
    patch, _, pre = rest.partition("-")
    for name, number in (("Major", numbers[0]), ("Minor", numbers[1]), ("Patch", patch)):
        if not _DIGITS.fullmatch(number):
            return f"Invalid character(s) found in {name.lower()} number {quote(number)}"
        if not number:
            return 'strconv.ParseUint: parsing "": invalid syntax'
        if len(number) > 1 and number[0] == "0":
            return f"{name} number must not contain leading zeroes {quote(number)}"
    for part in pre.split(".") if "-" in rest else ():
        if not part:
            return "Prerelease is empty"
        if part.isdigit() and len(part) > 1 and part[0] == "0":
            return f"Numeric PreRelease version must not contain leading zeroes {quote(part)}"
        if not _WORD.fullmatch(part):
            return f"Invalid character(s) found in prerelease {quote(part)}"
    for part in build.split(".") if "+" in numbers[2] else ():
        if not part:
            return "Build meta data is empty"
        if not _WORD.fullmatch(part):
            return f"Invalid character(s) found in build meta data {quote(part)}"
    return ""
