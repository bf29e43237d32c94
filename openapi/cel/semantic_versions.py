"""Semantic versions: what is one, and which of two is newer."""

from __future__ import annotations

import re
from typing import Any

from openapi.meta.field import quote

_NUMBER = "(?:0|[1-9][0-9]*)"
_PARTS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PARTS}))?(?:\+({_PARTS}))?")

_DIGITS = re.compile(r"[0-9]*")
_WORD = re.compile(r"[0-9A-Za-z-]+")


def is_semver(text: str) -> bool:
    match = _VERSION.fullmatch(text)
    parts = match.group(4).split(".") if match is not None and match.group(4) else []
    return match is not None and not any(p.isdigit() and len(p) > 1 and p[0] == "0" for p in parts)


def normalized(text: str) -> str:
    """What is meant by `v1.02`: without the letter, with all three numbers, none with leading zeros."""
    text = text.removeprefix("v")
    end = next((at for at, letter in enumerate(text) if letter in "-+"), len(text))
    numbers = [part.lstrip("0") or "0" if part.isdigit() else part for part in text[:end].split(".")]
    return ".".join([*numbers, *("0" for _ in range(3 - len(numbers)))]) + text[end:]


def sort_key(text: str) -> tuple[Any, ...]:
    """Sorts as versions do; a version without a pre-release follows those with one. Raises ValueError."""
    match = _VERSION.fullmatch(text)
    if match is None or not is_semver(text):
        raise ValueError(version_problem(text))
    major, minor, patch, pre, _ = match.groups()
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in (pre or "").split(".")]
    return (int(major), int(minor), int(patch), pre is None, parts)


def version_problem(text: str) -> str:
    """What is wrong with a version that is none, in the words of Go's usual library for them.

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
